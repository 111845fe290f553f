"""What is compared in ``benchmarks.reenactment``: the trained network, its ablations, and simple ways to do without."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_erosion
from torch import Tensor, nn

from facemodel.track import Track
from foundation.progress import Report, ignore
from neural_render import Clip
from neural_render.images import Crop, cut_out, resize_square
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, EYES, FACE, WINDOW
from neural_render.methods.deep_video_portraits.method import DeepVideoPortraits, Options
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.synthesis import inference_network, synthesize_crops
from neural_render.methods.deep_video_portraits.weights import Weights
from neural_render.methods.face2face.method import Face2Face
from neural_render.training import bfloat16_helps

TEXTURED = "dvp-textured"
SHOWN = "dvp-shown"  # the same as users get it, a share of Face2Face's with it
POSE = ("expression", "rotation", "translation", "gaze")


@dataclass(frozen=True)
class Variant:
    """A training that differs from the paper's: settings, and map channels that the networks don't see."""

    settings: dict
    blank: tuple[int, ...] = ()


def _channels(*parts: slice) -> tuple[int, ...]:
    return tuple(k for part in parts for k in range(CHANNELS)[part])


ABLATIONS = {
    "full": Variant({}),
    "no_eyes": Variant({}, _channels(EYES)),
    "no_correspondence": Variant({}, _channels(FACE)),
    "diffuse_only": Variant({}, _channels(FACE, EYES)),
    "window_1": Variant({"window": 1}),
    "no_discriminator": Variant({"losses": {"l1": 100.0}}),
    "no_warps": Variant({"warped_every": 0}),
}
"""All of them, the full one too, train with an L1 that counts every pixel alike: its weights come from the maps that
some of them don't have."""


class OtherMaps:
    """A clip's training data with its maps changed on the way."""

    def __init__(self, cache, change: str) -> None:
        self.cache = cache
        self.name = f"{cache.name} {change}"

    def __getattr__(self, name: str):
        return getattr(self.cache, name)

    def __len__(self) -> int:
        return len(self.cache)

    def batch(self, samples: np.ndarray, window: int = WINDOW) -> tuple[Tensor, Tensor]:
        maps, images = self.cache.batch(samples, window)
        return self.changed(maps), images

    def changed(self, maps: Tensor) -> Tensor:
        """What the network sees of maps (..., C)."""
        raise NotImplementedError


class Blanked(OtherMaps):
    """With channels at zero, as where nothing is seen."""

    def __init__(self, cache, channels: tuple[int, ...]) -> None:
        self.channels = list(channels)
        super().__init__(cache, f"without {self.channels}")

    def changed(self, maps: Tensor) -> Tensor:
        maps[..., self.channels] = 0
        return maps


class ThreeMaps(OtherMaps):
    """Without the person's texture: the paper's maps, out of a cache that has four."""

    texture = None

    def __init__(self, cache) -> None:
        super().__init__(cache, "of three maps")

    def changed(self, maps: Tensor) -> Tensor:
        return maps[..., :CHANNELS]


class BlankedInput(nn.Module):
    """A network that doesn't see some channels of each frame's maps."""

    def __init__(self, network: nn.Module, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.channels = network, list(channels)

    def forward(self, x: Tensor) -> Tensor:
        seen = x.unflatten(1, (-1, CHANNELS)).clone()
        seen[:, :, self.channels] = -1
        return self.network(seen.flatten(1, 2))


class OverSharedCache(DeepVideoPortraits):
    """The method as users have it; all trainings on a clip read one cache, and may miss channels of it.

    Minutes are those of processors, summed over threads, so that a busy machine trains as far as an idle one.
    """

    clock = staticmethod(time.process_time)

    def __init__(self, cache: Path, settings: Settings | None = None, blank: tuple[int, ...] = ()) -> None:
        super().__init__(settings)
        self.cache, self.blank = cache, blank

    def prepare(self, clip: Clip, work: Path, options: Options, report: Report = ignore):
        cache = super().prepare(clip, self.cache, replace(options, textured=True), report)
        self.textured, self.shared = options.textured, cache
        return self._seen(cache)

    def prepare_warped(self, cache, clip: Clip, work: Path, report: Report = ignore):
        return self._seen(super().prepare_warped(self.shared, clip, self.cache, report))

    def _seen(self, samples):
        samples = samples if self.textured else ThreeMaps(samples)
        return Blanked(samples, self.blank) if self.blank else samples


def train_variant(name: str, clip: Clip, work: Path, options: Options, report: Report = ignore) -> Weights:
    """Trains ``dvp``, ``dvp-textured`` or one of ``ABLATIONS`` in a folder, going on from what is there."""
    variant = ABLATIONS.get(name, Variant({}))
    settings = None
    if name in ABLATIONS:
        base = Settings(face_weight=0, eye_weight=0, bfloat16=bfloat16_helps(options.device))
        settings = replace(base, batch=2 if options.device == "cpu" else 8, **variant.settings)
    name = TEXTURED if name == SHOWN else name
    options = replace(options, textured=name == TEXTURED)
    stem = f"{name}-{options.size}-{options.width}"
    method = OverSharedCache(work / f"data-{options.size}", settings, variant.blank)
    out = work / f"{stem}.weights.safetensors"
    method.train([clip], out, options, work=work / f"{stem}.work", report=report)
    return method.load(out, clip.model)


def crops_of(name: str, weights: Weights, track: Track, *, model, device: str) -> tuple[np.ndarray, np.ndarray]:
    """What a trained network makes of every frame of the track, from its parameters alone, and where the head is.

    (F, S, S, 3) uint8 and (F, S, S) bool.
    """
    blank = ABLATIONS[name].blank if name in ABLATIONS else ()
    network = inference_network(weights, device)
    if blank:
        network = BlankedInput(network, blank)
    made = synthesize_crops(network, weights, track, model=model, device=device)
    pictures, heads = zip(*made)
    return np.stack(pictures), np.stack(heads)


def synthesised(
    name: str, weights: Weights, track: Track, frames: np.ndarray, *, model, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """The same of these frames of the track, in rising order."""
    first = max(0, int(frames[0]) - weights.header.window + 1)
    pictures, heads = crops_of(name, weights, track.frames(first, len(track)), model=model, device=device)
    return pictures[frames - first], heads[frames - first]


def nearest_frames(track: Track, wanted: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(N,): for each wanted frame the one ``among`` others whose parameters are nearest.

    Expression, rotation, translation and gaze count alike, each scaled by its mean square over ``among``.
    """
    p = track.parameters.expanded()
    total = torch.zeros(len(wanted), len(among), dtype=torch.float64)
    for name in POSE:
        values = getattr(p, name).flatten(1).double()
        a, b = values[torch.from_numpy(wanted)], values[torch.from_numpy(among)]
        spread = (b - b.mean(0)).square().sum(-1).mean()
        total += torch.cdist(a, b).square() / spread.clamp_min(1e-12)
    return among[total.argmin(1).numpy()]


def pasted(maps: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) uint8: the shaded model of the maps (N, S, S, 9) over pictures (N, S, S, 3).

    Without the outermost pixels, which are half black.
    """
    seen = maps[..., FACE].max(-1) > 0
    inner = np.stack([binary_erosion(mask, np.ones((3, 3)), border_value=1) for mask in seen])
    return np.where(inner[..., None], maps[..., :3], behind)


def face2face(target: Clip, track: Track, crop: Crop, size: int) -> np.ndarray:
    """(F, size, size, 3) uint8: every frame of a track that was mixed, over the target's clip."""
    made = Face2Face().animate(None, target, Clip.of_track(track, None, target.model))
    return np.stack([resize_square(cut_out(picture, crop), size) for picture in made])


def held_by_face2face(target: Clip, track: Track, frames: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """(N, size, size, 3) uint8: these frames of the track, in rising order, behind those of the target's clip.

    Underneath is the clip played backwards from its end, where the method finds no frame that is nearer.
    """
    first = len(target.track)
    held = track.frames(first, len(track))
    behind = [max(first - 1 - k, 0) for k in range(len(held))]
    return face2face(target, replace(held, facts={**held.facts, "target_frames": behind}), crop, size)[frames - first]
