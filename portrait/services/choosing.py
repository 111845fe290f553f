"""Which of two methods shows a person better, told on the last frames of the clip, which neither has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import torch

from facemodel.base import FaceModel
from foundation.progress import Report, counted, ignore
from neural_render.methods.base import Method
from neural_render.methods.clip import Clip
from renderer import render

UNTRAINED = "face2face"
KEPT_OUT, FEWEST, MOST = 0.15, 8, 48
"""Of the clip's frames, the share that is kept out, and how many that are at least and at most."""


@dataclass(frozen=True)
class Likeness:
    """How near a method's faces came to those of frames that it hadn't seen. Means over frames."""

    name: str
    ssim: float  # of the face, Wang et al. 2004
    sharpness: float  # its mean squared gradient over the real one's

    @property
    def worth(self) -> float:
        """By which methods are told apart: a blur is never far from anything, so what lacks edges counts the less."""
        return self.ssim * min(1.0, self.sharpness**0.5)


@dataclass(frozen=True)
class Choice:
    """What was measured of a trained method and of one without training."""

    trained: Likeness
    untrained: Likeness
    frames: int  # that were looked at

    @property
    def first(self) -> bool:
        """Whether the trained one is the better."""
        return self.trained.worth >= self.untrained.worth

    def line(self) -> str:
        """What there is to say of it."""
        a, b = (self.trained, self.untrained) if self.first else (self.untrained, self.trained)
        return (
            f"the result is {a.name}'s, not {b.name}'s: on {self.frames} frames of the target that neither had seen, "
            f"its face has an SSIM of {a.ssim:.3f} (the other's {b.ssim:.3f}) and {a.sharpness:.2f} of the real "
            f"sharpness ({b.sharpness:.2f})"
        )


def comparable(method: Method, model: FaceModel) -> bool:
    """Whether there is something to compare: Face2Face does without training what the method is trained for."""
    with_tracks = method.training is not None and method.target.track and method.driver.track
    return with_tracks and all(c in model.capabilities for c in ("atlas", "reflectance"))


def short_title(method: Method) -> str:
    """Without who wrote it."""
    return method.title.split(" (")[0]


def first_part(clip: Clip) -> Clip | None:
    """The clip without the frames that are kept out; None where it's too short for that."""
    track = clip.track
    out = min(MOST, int(KEPT_OUT * len(track)))
    first = len(track) - out
    if out < FEWEST or not track.tracked[:first].any() or not track.tracked[first:].any():
        return None
    return Clip.of_track(track.frames(0, first), clip.frames, clip.model, person=clip.person)


def kept_out(known: Clip, whole: Clip) -> Clip:
    """What a driver of ``known`` would do that does what the frames behind it do. Over the clip played backwards."""
    first = len(known.track)
    track = whole.track.frames(first, len(whole.track))
    behind = [max(first - 1 - k, 0) for k in range(len(track))]
    return Clip.of_track(replace(track, facts={**track.facts, "target_frames": behind}), None, whole.model)


def compare(
    method: Method, weights, untrained: Method, known: Clip, whole: Clip, device: str = "cpu", report: Report = ignore
) -> Choice:
    """A method, with weights of ``known``, and one without, on the frames of ``whole`` that come after those."""
    asked = kept_out(known, whole)
    first, masks = len(known.track), faces(asked)
    real = [rgb for _, _, rgb in islice(whole.frames, first, first + len(asked.track))]
    found = []
    for one, trained in ((method, weights), (untrained, None)):
        made = one.animate(trained, known, asked, device=device)
        shown = counted(made, report, f"compare {one.name}", len(real))
        found.append(likeness(short_title(one), shown, real, masks))
    return Choice(*found, len(masks))


def faces(clip: Clip) -> dict[int, np.ndarray]:
    """(H, W) bool by frame: where a tracked frame shows the model."""
    track, found = clip.track, {}
    for k in torch.nonzero(track.tracked).flatten().tolist():
        parameters = track.parameters[k : k + 1].expanded().to(clip.model.mean.device)
        with torch.inference_mode():
            drawn = render(clip.model, parameters, track.camera, maps=["mask"])
        found[k] = drawn["mask"][0, ..., 0].cpu().numpy() > 0.5
    return found


def likeness(name: str, made: Iterable[np.ndarray], real: list[np.ndarray], masks: dict[int, np.ndarray]) -> Likeness:
    """Of pictures (H, W, 3) uint8 inside the masks (H, W) bool of those that have one."""
    values = []
    for k, picture in enumerate(made):
        if k in masks and masks[k].any():
            a, b = (p.astype(np.float32).mean(-1) for p in (picture, real[k]))
            energy = [(np.square(np.stack(np.gradient(p))).sum(0))[masks[k]].mean() for p in (a, b)]
            values.append((ssim(a, b)[masks[k]].mean(), energy[0] / max(energy[1], 1e-6)))
    return Likeness(name, *map(float, np.mean(values, 0)))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) structural similarity of grey pictures (H, W) float32, 0 to 255 (Wang et al., TIP 2004)."""
    blurred = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)  # noqa: E731
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = blurred(a), blurred(b)
    va, vb, both = blurred(a * a) - ma * ma, blurred(b * b) - mb * mb, blurred(a * b) - ma * mb
    return (2 * ma * mb + c1) * (2 * both + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
