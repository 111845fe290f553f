"""Weights of Deep Video Portraits: a generator, and what it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from facemodel.parameters import OPTIONAL, FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.images import Crop
from neural_render.methods.deep_video_portraits.conditioning import CONDITIONS, inputs
from neural_render.methods.weights import WeightsHeader, load_weights, save_weights
from neural_render.networks import RefinementUNet

PREFIX, OWN = "generator.", "own."


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    """What trained weights are for."""

    width: int  # channels of the network's first layer
    size: int  # px of its images
    window: int  # frames a condition
    crop: Crop  # of the original frame
    frame_width: int  # px of the original frame
    frame_height: int
    conditions: int = CONDITIONS  # version of what the network sees
    norm: str = "batch"
    textured: bool = False  # whether the person's texture is a fourth map
    target: dict = field(default_factory=dict)  # frames trained on, frames kept out, seed, ...

    @classmethod
    def from_json(cls, header: Mapping, path: object) -> Header:
        target = header.get("target")
        once = target.get("source") if isinstance(target, Mapping) else None  # where the one source was said once
        found = super().from_json({"conditions": 0, "sources": [once] if once else [], **header}, path)
        if found.conditions != CONDITIONS:
            raise PortraitError(
                f"weights '{path}': expected conditions of version {CONDITIONS}, found {found.conditions}; train again"
            )
        return found


@dataclass(frozen=True)
class Weights:
    """A trained generator's tensors and what they are for."""

    header: Header
    generator: dict[str, Tensor]
    region: Tensor | None = None  # (size, size) uint8: where the head ever was in the target clip
    texture: Tensor | None = None  # (S, S, 3) uint8 sRGB, the person's without light, where it is a map
    own: Track | None = None  # the clip's, of `own_track`, where its frames can be used

    def save(self, path: str | os.PathLike) -> Path:
        tensors = {f"{PREFIX}{k}": v for k, v in self.generator.items()}
        for name, extra in (("region", self.region), ("texture", self.texture)):
            if extra is not None:
                tensors[name] = extra
        tensors |= track_tensors(self.own)
        return save_weights(path, self.header, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike, *, model=None) -> Weights:
        """Reads weights; with ``model`` given, also checks that they were trained with it."""
        found = load_weights(path, Header, model)
        generator = {k.removeprefix(PREFIX): v for k, v in found.tensors.items() if k.startswith(PREFIX)}
        texture = found.tensors.get("texture")
        if found.header.textured != (texture is not None):
            raise PortraitError(f"weights '{path}': expected a texture where the header says so alone; train again")
        if texture is not None and (texture.dtype != torch.uint8 or texture.dim() != 3 or texture.shape[-1] != 3):
            raise PortraitError(f"weights '{path}': expected a texture (S, S, 3) of bytes; train again")
        own = track_of(found.tensors, found.header, path)
        return cls(found.header, generator, found.tensors.get("region"), texture, own)

    def network(self, device: str = "cpu") -> torch.nn.Module:
        """The generator in evaluation mode. PortraitError where the tensors don't fit the header."""
        h = self.header
        try:
            net = RefinementUNet(
                inputs(h.window, h.textured), h.size, h.width, norm=h.norm, background="background" in self.generator,
                beneath=h.textured,
            )  # fmt: skip
            net.load_state_dict(self.generator)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            what = f"a {h.size} px network of width {h.width}"
            raise PortraitError(f"weights: tensors don't fit {what} ({reason}); train again") from None
        return net.to(device, memory_format=torch.channels_last).eval()


def own_track(track: Track) -> Track:
    """What goes with the weights of the track that they were trained on: enough to make frames of its clip."""
    return replace(
        track, confidence=torch.ones(len(track)), landmarks=None, energies={}, spread={}, visibility={}, facts={}
    )


def track_tensors(own: Track | None) -> dict[str, Tensor]:
    """A track of `own_track` as a file has it, by name; nothing of None."""
    if own is None:
        return {}
    values = {f.name: getattr(own.parameters, f.name) for f in fields(FaceParameters)}
    kept = {name: value for name, value in values.items() if name not in OPTIONAL or value.shape[-1]}
    return {f"{OWN}{name}": value for name, value in {**kept, "times": own.times, "status": own.status}.items()}


def track_of(tensors: Mapping[str, Tensor], header: Header, path: object) -> Track | None:
    """The track in a file's tensors; None where there is none. PortraitError where it isn't whole."""
    own = {name.removeprefix(OWN): value for name, value in tensors.items() if name.startswith(OWN)}
    if not own:
        return None
    try:
        times, status = own.pop("times"), own.pop("status")
        track = Track(
            header.model, header.fingerprint, header.frame_width, header.frame_height, FaceParameters(**own), times,
            status, torch.ones(len(times)),
        )  # fmt: skip
        track.check()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise PortraitError(f"weights '{path}': the clip's track isn't whole ({error}); train again") from None
    return track
