"""A clip with expressions that it doesn't have: its own frames, warped by the model's motion.

A network trained on one clip shows only what was in the clip: where no brow was raised, none will be. So it trains on
made-up performances too. Brows, lids, gaze, mouth corners and jaw follow random curves; each pixel of the face then
takes the colour from where its point of the model was in the real frame. Lids hardly open and the jaw hardly moves, as
no warp shows what the frame doesn't (the eye behind a lid, the inside of a mouth).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter1d

from facemodel.editing.edits import couple_lids
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus, Track
from foundation.progress import Report, ignore
from neural_render.images import Crop, cut_out
from neural_render.methods.deep_video_portraits.conditioning import (
    WINDOW,
    camera_for,
    window_frames,
)
from neural_render.methods.deep_video_portraits.data import ClipCache
from renderer import interpolate, project, rasterize, surface_points


@dataclass(frozen=True)
class Move:
    """What is added to a shape's activation: a smooth random curve from ``low`` to ``high``."""

    shape: str  # beginning of its name; left and right move apart
    low: float
    high: float
    seconds: float  # standard deviation of the curve's smoothing


@dataclass(frozen=True)
class WarpPolicy:
    """What made-up performances do, and how many there are."""

    moves: tuple[Move, ...] = (
        Move("browInnerUp", -0.6, 1.0, 0.2),
        Move("browOuterUp", -0.6, 1.0, 0.2),
        Move("browDown", -0.6, 0.9, 0.2),
        Move("eyeBlink", -0.15, 0.3, 0.3),
        Move("eyeSquint", -0.1, 0.2, 0.2),
        Move("mouthSmile", -0.2, 0.3, 0.2),
        Move("jawOpen", -0.2, 0.1, 0.1),
    )
    blink: float = 0.08  # seconds: the standard deviation of the bell that closes both lids
    blinks_apart: float = 1.0  # seconds between two of them, on average
    closed: float = 0.6  # what the fit finds for eyeBlink in a closed eye
    gaze: tuple[float, float] = (8.0, 5.0)  # degrees that both eyes turn at most, yaw and pitch
    look: float = 0.1  # seconds: the standard deviation of that curve's smoothing
    gaze_gain: float = 2.0  # how many times further they turn in the picture, since the fit finds about so much less
    fade: float = 1 / 40  # of the crop's side: the standard deviation of the blur that ends the motion beside the face
    frames: int = 1000  # about how many warped frames a training has
    copies: int = 8  # how often a short clip is played for them at most


POLICY = WarpPolicy()


def performances(track: Track, model, copies: int, seed: int = 0, policy: WarpPolicy = POLICY) -> Track:
    """The track ``copies`` times in a row, each a shot of its own with expressions and a gaze of its own.

    Frame k is to be made from frame k % len(track). Expressions move that have ARKit's names.
    """
    rng, count = np.random.default_rng([seed, copies]), len(track)
    rows = torch.arange(count).repeat(copies)
    p = track.parameters[rows]
    expression, gaze = p.expression.clone(), p.gaze.clone()
    for start in range(0, len(rows), count):
        one = slice(start, start + count)
        closed = policy.closed * blinks(rng, count, track.fps, policy)
        for name, k in model.arkit.items():
            for move in (m for m in policy.moves if name.startswith(m.shape)):
                curve = move.low + (move.high - move.low) * smooth_noise(rng, count, move.seconds * track.fps)
                expression[one, k] = (expression[one, k] + torch.from_numpy(curve).to(gaze)).clamp(0, 1)
            if name.startswith("eyeBlink"):
                expression[one, k] = torch.maximum(expression[one, k], torch.from_numpy(closed).to(gaze))
        look = [2 * smooth_noise(rng, count, policy.look * track.fps) - 1 for _ in policy.gaze]
        gaze[one] += torch.from_numpy(np.stack(look, -1) * np.radians(policy.gaze))[:, None].to(gaze)
    status = track.status[rows].clone()
    status[::count] |= int(FrameStatus.CUT)
    return replace(
        track, parameters=p.replace(expression=couple_lids(expression, gaze, model), gaze=gaze),
        times=track.times[rows], status=status, confidence=track.confidence[rows], landmarks=None, energies={},
        spread={},
        visibility={},
    )  # fmt: skip


def shown(real: FaceParameters, performed: FaceParameters, model, policy: WarpPolicy = POLICY) -> FaceParameters:
    """What a picture is to show of a performance: eyes turn by ``gaze_gain`` as much.

    real: of the frame that it is made from, as the fit found it.
    """
    gaze = real.gaze + policy.gaze_gain * (performed.gaze - real.gaze)
    expression = couple_lids(performed.expression, gaze, model)
    return performed.replace(expression=expression, gaze=gaze)


def smooth_noise(rng: np.random.Generator, count: int, std: float) -> np.ndarray:
    """(count,) in [0, 1]: white noise smoothed over ``std`` frames, stretched to fill most of the range."""
    reach = int(np.ceil(4 * std))
    curve = gaussian_filter1d(rng.standard_normal(count + 2 * reach), max(std, 0.1))[reach : reach + count]
    return np.clip(0.5 + 0.3 * curve * np.sqrt(2 * np.sqrt(np.pi) * max(std, 0.1)), 0, 1)


def blinks(rng: np.random.Generator, count: int, fps: float, policy: WarpPolicy = POLICY) -> np.ndarray:
    """(count,) in [0, 1]: how far both lids are closed by bells at random times, some of which stay half open."""
    times, closed = np.arange(count) / fps, np.zeros(count)
    for _ in range(rng.poisson(count / fps / policy.blinks_apart)):
        centre, depth = rng.uniform(0, count / fps), rng.uniform(0.3, 1.0)
        closed = np.maximum(closed, depth * np.exp(-0.5 * ((times - centre) / policy.blink) ** 2))
    return closed


def motion(model, before: FaceParameters, after: FaceParameters, camera) -> tuple[np.ndarray, np.ndarray]:
    """At each pixel of a face rendered ``after`` where its point was ``before`` less where it is: (H, W, 2) px, and
    (H, W) bool, where the face is; zero elsewhere. One picture, so parameters without leading dimensions.

    A point of an eyeball that a lid hid before has the place of the nearest one that was seen.
    """
    both = FaceParameters.stack([before, after]).to(model.mean.device)
    with torch.no_grad():
        points = surface_points(model, both)
        fragments = rasterize(points, model.triangles, camera)
        was, now = project(points, camera)
        moved = torch.stack([torch.zeros_like(was), was - now])
        shift = interpolate(fragments, moved, model.triangles)[1].cpu().numpy()
    faces = fragments.pix_to_face[..., 0].cpu()
    eyeballs = model.region("eyes")[model.triangles].all(-1).cpu()
    on_eye = ((faces >= 0) & eyeballs[faces % len(eyeballs)]).numpy()
    seen_before(shift, on_eye[1], on_eye[0])
    return shift, (faces[1] >= 0).numpy()


def seen_before(shift: np.ndarray, after: np.ndarray, before: np.ndarray) -> None:
    """Ends a motion (H, W, 2) px inside ``before`` (H, W) where it starts in ``after``, at the nearest pixel."""
    if not before.any():
        return
    y, x = np.nonzero(after)
    limit = np.array(before.shape) - 1
    row, column = np.clip((np.stack([y, x]) + shift[y, x].T[::-1]).round().astype(int), 0, limit[:, None])
    nearest = distance_transform_edt(~before, return_distances=False, return_indices=True)[:, row, column]
    hidden = ~before[row, column]
    shift[y[hidden], x[hidden]] = (nearest - np.stack([y, x]))[::-1].T[hidden]


def faded(shift: np.ndarray, inside: np.ndarray, std: float) -> np.ndarray:
    """A motion (H, W, 2), known where ``inside`` (H, W), gone on with beside it until it fades out."""
    near = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), std)[..., None]
    beside = cv2.GaussianBlur(shift, (0, 0), std) / np.maximum(near, 0.5)
    return np.where(inside[..., None], shift, beside)


def warped(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Bilinear samples of an image (S, S, 3) uint8 at each pixel's own place plus ``shift`` (s, s, 2), px of (s, s)."""
    side, size = image.shape[0], shift.shape[0]
    shift = cv2.resize(shift * (side / size), (side, side), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return cv2.remap(image, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class WarpedFrames:
    """The clip's frames with the expressions of ``performances``: re-iterable of (index, time, (H, W, 3) uint8)."""

    model: object
    track: Track
    performed: Track  # by ``performances``
    frames: Iterable
    crop: Crop
    size: int  # px of the crop at which the motion is rendered
    policy: WarpPolicy = POLICY

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        count, camera = len(self.track), camera_for(self.track, self.crop, self.size)
        real, performed = self.track.parameters.expanded(), self.performed.parameters.expanded()
        for start in range(0, len(self.performed), count):
            for index, time, rgb in self.frames:
                if index >= count:
                    break
                frame = rgb.copy()
                if self.track.tracked[index]:
                    after = shown(real[index], performed[start + index], self.model, self.policy)
                    shift = motion(self.model, real[index], after, camera)
                    region = cut_out(frame, self.crop)
                    region[:] = warped(region, faded(*shift, self.policy.fade * self.size))
                yield start + index, time, frame


@dataclass(frozen=True)
class WarpedSamples:
    """Training data made from other training data."""

    cache: ClipCache
    real: ClipCache  # the clip's own
    made_from: np.ndarray  # (N,) samples of that

    def __len__(self) -> int:
        return len(self.cache)

    @property
    def name(self) -> str:
        return self.cache.name

    def batch(self, samples: np.ndarray, window: int = WINDOW) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``ClipCache.batch``; the performance sets in somewhere in the window, and maps before are the clip's own.

        Real faces move smoothly, so that frames before tell nearly as much as the current one, and a network that has
        seen nothing else answers quick blinks late.
        """
        maps, images = self.cache.batch(samples, window)
        own = self.made_from[samples]
        at_hand = self.real.frames[own] == self.cache.frames[samples] % len(self.real.starts)
        before = (np.arange(window) < (samples % window)[:, None]) & at_hand[:, None]
        rows = window_frames(self.real.frames[own], self.real.starts, window)
        maps[torch.from_numpy(before)] = torch.from_numpy(self.real.maps(rows[before]))
        return maps, images


def build(
    folder: Path,
    real: ClipCache,
    track: Track,
    frames: Iterable,
    model,
    report: Report = ignore,
    policy: WarpPolicy = POLICY,
) -> WarpedSamples:
    """About ``policy.frames`` warped frames of the clip that ``real`` is of, in a cache like it."""
    copies = min(max(1, round(policy.frames / len(track))), policy.copies)
    performed = performances(track, model, copies, policy=policy)
    made = WarpedFrames(model, track, performed, frames, real.crop, 2 * real.size, policy)
    limit = 2 * policy.frames * real.size**2 * (real.channels + 3)
    cache = ClipCache.build(
        folder, performed, made, model, crop=real.crop, size=real.size, texture=real.texture, limit_bytes=limit,
        report=report,
    )  # fmt: skip
    nearest = np.searchsorted(real.frames, cache.frames % len(track))
    return WarpedSamples(cache, real, nearest.clip(max=len(real) - 1))
