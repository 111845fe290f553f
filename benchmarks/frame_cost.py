"""What a frame costs the solver with another model, over what it costs with the default one: `benchmarks.tracking`.

Both models fit the same frames, by turns, so that whatever else the machine does weighs on both alike; what is
counted is the thread's own time. Decoding, landmarks and the pyramid, which know of no model, are left out, as is the
solution for identity, which is one a clip.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.linear import LinearModel
from fitting.landmarks.registry import make_detector
from fitting.observation.crop import Observation, cut_out, observe
from fitting.policy.settings import Settings
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from foundation.errors import PortraitError

WARM_UP = 3  # frames that aren't counted: code is compiled, tables are gathered
KEY_FRAMES = 4


@dataclass(frozen=True)
class Seen:
    """Frames as the solver sees them, and those that identity is solved over."""

    frames: tuple[Observation, ...]
    keys: Observation
    scheme: str
    size: tuple[int, int]  # px, width and height
    seconds: float  # from one frame to the next


def look(frames: Iterable, size: tuple[int, int], seconds: float) -> Seen:
    """``frames``: (index, seconds, (H, W, 3) uint8 RGB). Those without a face are left out."""
    settings, seen, crops = Settings(), [], []
    with contextlib.closing(make_detector("mediapipe", "cpu")) as detector, torch.inference_mode():
        for _, _, picture in frames:
            if faces := detector.detect(picture):
                seen.append(observe(picture, faces[0], settings.levels, "cpu", settings.eyes))
                crops.append(cut_out(picture, faces[0], max(settings.joint_levels)))
        if len(seen) <= WARM_UP:
            raise PortraitError(f"video: a face in {len(seen)} frames alone; expected more than {WARM_UP}")
        chosen = np.linspace(0, len(crops) - 1, min(KEY_FRAMES, len(crops))).round().astype(int)
        keys = Observation.concatenate([crops[k].observe(settings.joint_levels) for k in chosen])
    return Seen(tuple(seen), keys, detector.scheme, size, seconds)


class Run:
    """A model that follows the frames, and the time of each."""

    def __init__(self, model: FaceModel, seen: Seen) -> None:
        self.seen, self.state, self.milliseconds = seen, None, []
        self.fitter = Fitter(model, seen.scheme, focal_from_frame(*seen.size))
        result = solve_shared(self.fitter, seen.keys)
        self.fitter.adapt(float(result.trusted), clip=True)
        self.shared = result.state

    def step(self, frame: Observation) -> None:
        start = self.state or self.fitter.start(frame, self.shared)
        begun = time.thread_time()
        self.state = self.fitter.track(frame, self.state, start, self.seen.seconds).state
        self.milliseconds.append(1000 * (time.thread_time() - begun))

    @property
    def cost(self) -> float:
        """Median, ms."""
        return float(np.median(self.milliseconds[WARM_UP:]))


def frame_costs(models: Sequence[FaceModel], seen: Seen) -> list[float]:
    """Thread time a frame, ms, with each of the models."""
    torch.set_num_threads(1)  # as the tracker has it
    with torch.inference_mode():
        runs = [Run(model, seen) for model in models]
        for frame in seen.frames:
            for run in runs:
                run.step(frame)
    return [run.cost for run in runs]


def split(model: LinearModel, count: int) -> LinearModel:
    """A model with each triangle made four, again until it has ``count`` vertices; without a UV atlas."""
    while len(model.mean) < count:
        triangles, vertices = model.triangles, len(model.mean)
        edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).sort(1).values
        edges, middle = edges.unique(dim=0, return_inverse=True)
        ab, bc, ca = (middle + vertices).view(3, -1)
        a, b, c = triangles.unbind(1)
        corners = (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)
        tensors = {k: v for k, v in model.flatten().items() if k not in ("uv", "uv_triangles")}
        tensors["triangles"] = torch.cat([torch.stack(t, 1) for t in corners])
        for name in ("mean", "identity_basis", "expression_basis", "albedo_mean", "albedo_basis"):
            x = tensors[name]
            tensors[name] = torch.cat([x, (x[..., edges[:, 0], :] + x[..., edges[:, 1], :]) / 2], -2)
        masks = tensors["region_masks"]
        tensors["region_masks"] = torch.cat([masks, masks[:, edges].all(-1)], 1)
        for name in ("eye_vertices_left", "eye_vertices_right"):
            inside = torch.isin(edges, tensors[name]).all(1).nonzero().flatten()
            tensors[name] = torch.cat([tensors[name], inside + vertices])
        for scheme in model.embeddings:  # in the corner's triangle, or in the middle one
            weights, at = tensors[f"landmark_barycentric_{scheme}"], tensors[f"landmark_triangles_{scheme}"]
            most, corner = weights.max(1)
            near = 2 * weights - torch.nn.functional.one_hot(corner, 3)
            middle_of = 1 - 2 * weights[:, [2, 0, 1]]
            tensors[f"landmark_barycentric_{scheme}"] = torch.where(most[:, None] >= 0.5, near, middle_of)
            tensors[f"landmark_triangles_{scheme}"] = at + torch.where(most >= 0.5, corner, 3) * len(triangles)
        model = model.rebuilt(tensors)
    return model
