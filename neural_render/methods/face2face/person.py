"""The target of Face2Face: its clip looked at once, so that frames can be made of it."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError
from neural_render.methods.clip import Clip
from neural_render.methods.common.texture import person_texture
from neural_render.methods.face2face import background, layers, retrieval
from neural_render.methods.face2face.layers import Marks, Source
from neural_render.methods.face2face.retrieval import Descriptor, Face, Shapes
from neural_render.methods.face2face.settings import POLICY, Policy
from renderer import Camera, project, surface_points


def shown(parameters: FaceParameters, model: FaceModel) -> FaceParameters:
    """Parameters as they are drawn: within what the model has, as drivers that were edited may not be."""
    return parameters.replace(expression=model.blocks["expression"].clamp(parameters.expression))


@dataclass(frozen=True)
class Costs:
    """What it costs to take things from each state: `OWN`, and N kept frames."""

    parts: list[np.ndarray]  # a part (T, N + 1) mm
    lacking: list[np.ndarray]  # a part (T, N + 1) mm that it opens further than the state shows


@dataclass(frozen=True)
class Layered:
    """A frame of the clip, its person told from what is behind them."""

    person: np.ndarray  # (H, W, 4) uint8, the fourth being how surely a pixel shows the person
    behind: np.ndarray  # (H, W, 3) uint8, without the person


@dataclass
class Person:
    """The target: its clip prepared."""

    model: FaceModel  # on the CPU
    track: Track
    parameters: FaceParameters  # (F,) as they are drawn
    frames: np.ndarray  # (N,) numbers of the kept frames, rising
    pictures: list[np.ndarray]  # theirs, (H, W, 3) uint8
    texture: np.ndarray  # (S, S, 3) linear RGB without light
    marks: Marks
    policy: Policy
    camera: Camera  # of the pictures
    descriptors: list[Descriptor]  # a part
    shapes: list[Shapes]  # a part, of the kept frames
    jumps: list[np.ndarray]  # a part, (N + 1, N + 1)
    face: Face
    faces: Shapes  # of the kept frames
    _sources: dict[int, Source] = field(default_factory=dict)
    _layered: OrderedDict[int, Layered] = field(default_factory=OrderedDict)

    @classmethod
    def of(cls, clip: Clip, policy: Policy = POLICY, longest: float = math.inf) -> Person:
        """Reads the clip twice. longest: px of a picture's longer side, at most; larger ones are made smaller."""
        model, track = clip.model.on("cpu"), clip.track
        parameters = shown(track.parameters.expanded().to("cpu"), model)
        tracked = torch.nonzero(track.tracked).flatten()
        if not len(tracked):
            raise PortraitError(f"{clip}: expected a face in at least one frame, found none; use another clip")
        texture, _ = person_texture(model, clip, policy.texture, policy.textured)
        scale = min(1.0, longest / max(track.width, track.height))
        size = tuple(2 * max(1, round(scale * n / 2)) if scale < 1 else n for n in (track.width, track.height))
        count = int(min(policy.kept, max(1, policy.kept_bytes // (size[0] * size[1] * 3))))
        descriptors, face = [Descriptor.of(model, part) for part in policy.parts], Face.of(model, policy)
        *known, faces = retrieval.shapes(model, parameters[tracked], [*descriptors, face])
        rows = retrieval.clusters(known[0], count, policy.turned)
        frames = tracked.numpy()[rows]
        wanted, pictures = set(frames.tolist()), []
        for index, _time, rgb in clip.frames:
            if rgb.shape[:2] != (track.height, track.width):
                raise PortraitError(
                    f"target: expected frames of {track.width} x {track.height} as in its track, "
                    f"got {rgb.shape[1]} x {rgb.shape[0]}; give the target clip"
                )
            if index in wanted:
                small = rgb if scale == 1 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
                pictures.append(np.ascontiguousarray(small))
            if index == frames[-1]:
                break
        person = cls(
            model, track, parameters, frames, pictures, texture.numpy(), Marks.of(model, policy.parts), policy,
            track.camera.resized(*size), descriptors, [of[rows] for of in known], [], face, faces[rows],
        )  # fmt: skip
        for part in policy.parts:
            looks = np.stack([person.look(k, part) for k in range(len(frames))])
            person.jumps.append(retrieval.jumps(frames, looks, policy.jump, policy.looks, policy.settled))
        return person

    def source(self, kept: int) -> Source:
        """A kept frame's."""
        if kept not in self._sources:
            self._sources[kept] = self.own(int(self.frames[kept]), self.pictures[kept])
        return self._sources[kept]

    def own(self, index: int, picture: np.ndarray) -> Source:
        """Any frame's, of its number in the clip and its picture (H, W, 3) uint8."""
        return layers.source(self.model, self.parameters[index], picture, self.camera, self.policy)

    def layered(self, source: Source) -> Layered:
        """A source's person and what is behind them. Remembered of some of the kept frames."""
        key = next((k for k, s in self._sources.items() if s is source), None)
        found = self._layered.pop(key, None) or self._told_apart(source)
        if key is not None:
            self._layered[key] = found
            if len(self._layered) > self.policy.layered:
                self._layered.popitem(last=False)
        return found

    def _told_apart(self, source: Source) -> Layered:
        who, margin = self._segmenter(source.picture), self.policy.halo * self.height(source)
        return Layered(np.dstack([source.picture, who]), background.behind(source.picture, who, self.plate, margin))

    def height(self, source: Source) -> float:
        """px of the head."""
        return float(np.ptp(source.pixels[self.marks.head > 0, 1]))

    @cached_property
    def _segmenter(self) -> background.Segmenter:
        return background.Segmenter()

    @cached_property
    def plate(self) -> np.ndarray:
        """(H, W, 3) uint8: what is behind the person."""
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, self.policy.plate).round().astype(int))
        pictures = [self.pictures[k] for k in chosen]
        margin = self.policy.halo * self.height(self.source(0))
        return background.plate(pictures, [self._segmenter(p) for p in pictures], margin)

    def look(self, kept: int, part) -> np.ndarray:
        """(P,): a small grey picture of a part of a kept frame."""
        chosen = retrieval.region(self.model, part.around)
        p = self.parameters[int(self.frames[kept])]
        points = project(surface_points(self.model, p), self.camera).numpy()
        points = points[chosen] if chosen.any() else points
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        width, height = self.policy.look
        matrix = np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0]], np.float32)
        small = cv2.warpAffine(
            self.pictures[kept], matrix, self.policy.look, flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return small.mean(-1).ravel()

    @cached_property
    def shots(self) -> np.ndarray:
        """(F,): number of the shot that each of the clip's frames is in."""
        return np.cumsum(self.track.where(FrameStatus.CUT).cpu().numpy())

    @cached_property
    def covered(self) -> np.ndarray:
        """(P, F) bool: frames in which something is before a part: a hand, a mask, dark glasses."""
        track, nothing = self.track, np.zeros(len(self.track), bool)
        hidden = {name: track.hidden(name).cpu().numpy() for name in track.visibility}
        parts = ([hidden[name] for name in part.seen if name in hidden] for part in self.policy.parts)
        return np.stack([np.any([nothing, *of_part], 0) for of_part in parts])

    @cached_property
    def jumps_beneath(self) -> np.ndarray:
        """(N + 1, N + 1) mm: of the frames underneath."""
        return retrieval.jumps_beneath(self.frames, self.policy.jump_beneath, self.policy.settled_beneath)

    def costs(self, wanted: list[Shapes], own: list[Shapes]) -> Costs:
        """Of T frames with T of the clip underneath, a part each."""
        policy, parts, lacking = self.policy, [], []
        for asked, beneath, known, covered in zip(wanted, own, self.shapes, self.covered[:, self.frames]):
            others = retrieval.distance(asked, known, policy) + policy.foreign + policy.covered * covered
            parts.append(np.concatenate([retrieval.apart(asked, beneath, policy)[:, None], others], 1))
            openings = np.concatenate([beneath.opening[:, None], np.broadcast_to(known.opening, others.shape)], 1)
            lacking.append(asked.opening[:, None] - openings)
        return Costs(parts, lacking)
