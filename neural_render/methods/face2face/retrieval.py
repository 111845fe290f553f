"""Which frame of the clip a part of the face is taken from: descriptors, the appearance graph, ways through it.

A way has one state a made frame: `OWN`, the frame that is underneath anyway, or one of the kept frames. It keeps what
is shown near to what is asked for, and jumps where that is worth it and the two frames look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from neural_render.methods.face2face.settings import Part, Policy
from renderer import to_camera

OWN = 0


@dataclass(frozen=True)
class Shapes:
    """A part's shape in F frames."""

    points: np.ndarray  # (F, K * 3) mm over root K, of one person without the head's pose
    opening: np.ndarray  # (F,) mm between upper and lower landmarks
    turn: np.ndarray  # (F, 3) radians

    def __getitem__(self, rows) -> Shapes:
        return Shapes(self.points[rows], self.opening[rows], self.turn[rows])


def region(model: FaceModel, names: tuple[str, ...]) -> np.ndarray:
    """(V,) bool: vertices in any of the regions that the model knows."""
    return torch.stack([model.region(name) for name in names]).any(0).cpu().numpy()


@dataclass(frozen=True)
class Descriptor:
    """What `Shapes` are made from: numbers of vertices, and barycentric places of landmarks."""

    chosen: Tensor  # (K,) vertices
    corners: Tensor  # (2, P, 3) vertices around the upper and lower landmarks
    weights: Tensor  # (2, P, 3)

    @classmethod
    def of(cls, model: FaceModel, part: Part) -> Descriptor:
        """A model without the part's regions has the whole surface looked at."""
        chosen = region(model, part.around) | (region(model, part.inside) & part.follows)
        chosen = np.flatnonzero(chosen) if chosen.any() else np.arange(len(model.mean))
        pairs = torch.tensor(part.pairs if "ibug68" in model.embeddings else (), dtype=torch.int64).reshape(-1, 2).T
        if not pairs.numel():
            return cls(torch.from_numpy(chosen[:: max(1, len(chosen) // 160)]), pairs[..., None], pairs[..., None])
        embedding = model.embedding("ibug68")
        return cls(
            torch.from_numpy(chosen[:: max(1, len(chosen) // 160)]),
            model.triangles[embedding.triangles[pairs]],
            embedding.barycentric[pairs],
        )

    def __call__(self, vertices: Tensor, p: FaceParameters) -> Shapes:
        """Of vertices (F, V, 3) mm, model frame, and their parameters (F,)."""
        points = vertices[:, self.chosen].flatten(1) / len(self.chosen) ** 0.5
        if not self.weights.numel():
            return Shapes(points.numpy(), np.zeros(len(points), np.float32), p.rotation.numpy())
        upper, lower = (vertices[:, self.corners] * self.weights[..., None]).sum(-2).unbind(1)
        return Shapes(points.numpy(), (upper - lower).norm(dim=-1).mean(-1).numpy(), p.rotation.numpy())


@dataclass(frozen=True)
class Face:
    """What tells how far a frame has to be changed to show a face: its shape, its place in the picture, its light."""

    chosen: Tensor  # (K,) vertices
    moved: float  # what a mm in the picture, at the head's distance, counts beside one of shape
    lit: float  # mm that e times as much light counts

    @classmethod
    def of(cls, model: FaceModel, policy: Policy) -> Face:
        """A model that doesn't know its face has the whole surface looked at."""
        chosen = region(model, ("face",))
        chosen = np.flatnonzero(chosen) if chosen.any() else np.arange(len(model.mean))
        return cls(torch.from_numpy(chosen[:: max(1, len(chosen) // 200)]), policy.moved, policy.lit)

    def __call__(self, vertices: Tensor, p: FaceParameters) -> Shapes:
        """See `Descriptor`."""
        points = vertices[:, self.chosen]
        camera = to_camera(points, p.rotation, p.translation)
        place = camera[..., :2] / camera[..., 2:] * p.translation[:, None, 2:]
        both = torch.cat([points, self.moved * place], -1).flatten(1) / len(self.chosen) ** 0.5
        light = self.lit / 3**0.5 * p.illumination[:, 0].clamp_min(0.05).log()
        all_of_it = torch.cat([both, light], 1)
        return Shapes(all_of_it.numpy(), np.zeros(len(both), np.float32), torch.zeros_like(p.rotation).numpy())


def shapes(model: FaceModel, parameters: FaceParameters, parts: Sequence[Descriptor | Face]) -> list[Shapes]:
    """A part, of the parameters (F,) of one person."""
    p, found = parameters.expanded(), []
    for rows in torch.arange(len(p.rotation)).split(64):
        one = p[rows]
        vertices = model.vertices(one.identity, one.expression, one.gaze, one.joints if one.joints.shape[-1] else None)
        found.append([part(vertices, one) for part in parts])
    return [Shapes(*map(np.concatenate, zip(*((s.points, s.opening, s.turn) for s in of)))) for of in zip(*found)]


def distance(wanted: Shapes, known: Shapes, policy: Policy) -> np.ndarray:
    """(A, B) mm: how badly each of B known frames shows what each of A asks for."""
    shape = np.sqrt(np.maximum(_squares(wanted.points, known.points), 0))
    turn = np.sqrt(np.maximum(_squares(wanted.turn, known.turn), 0))
    hidden = np.maximum(wanted.opening[:, None] - known.opening[None], 0)
    return shape + policy.turned * turn + policy.lacking * hidden


def apart(wanted: Shapes, known: Shapes, policy: Policy) -> np.ndarray:
    """(A,) mm: `distance` of each wanted to the known one of its row."""
    return np.array([distance(wanted[k : k + 1], known[k : k + 1], policy)[0, 0] for k in range(len(wanted.opening))])


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T


def clusters(known: Shapes, count: int, turned: float = 6.0, seed: int = 0) -> np.ndarray:
    """Sorted rows of ``count`` frames that stand for all: of each cluster of shapes the one nearest to its middle.

    turned: mm that a radian of head's turn counts.
    """
    if len(known.points) <= count:
        return np.arange(len(known.points))
    features = np.concatenate([known.points, turned * known.turn], 1).astype(np.float64)
    middles, label = kmeans2(features, count, minit="++", seed=seed, iter=8)
    gap = np.sqrt(((features - middles[label]) ** 2).sum(1))
    return np.array(sorted(min(np.flatnonzero(label == k), key=gap.__getitem__) for k in np.unique(label)))


def jumps(frames: np.ndarray, looks: np.ndarray, jump: float, weight: float, settled: float) -> np.ndarray:
    """(N + 1, N + 1): the appearance graph's costs from each state to each, `OWN` first.

    frames: (N,) numbers of the kept frames. looks: (N, P) small pictures of the part, aligned by its shape.
    """
    flat = looks.astype(np.float64) - looks.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    between = jump + weight * (1 - flat @ flat.T).clip(0, 1)
    apart = np.abs(frames[:, None] - frames[None])
    between = np.where(apart <= 1, np.minimum(settled * (apart + 1) / 2, between), between)
    costs = np.full((len(frames) + 1,) * 2, jump)
    costs[1:, 1:] = between
    costs[OWN, OWN] = 0.0
    return costs


def jumps_beneath(frames: np.ndarray, jump: float, settled: float) -> np.ndarray:
    """(N + 1, N + 1): the same of whole frames, of which any two are as far apart but for neighbours."""
    costs = np.full((len(frames) + 1,) * 2, jump)
    apart = np.abs(frames[:, None] - frames[None])
    costs[1:, 1:] = np.where(apart <= 1, settled * (apart + 1), jump)
    costs[OWN, OWN] = 0.0
    return costs


def best_way(costs: np.ndarray, jump: np.ndarray) -> np.ndarray:
    """(T,) states of the cheapest way through costs (T, S), where a step from s to t costs ``jump`` (S, S).

    Exact, by dynamic programming (Viterbi, 1967); T S^2 operations.
    """
    total, came = costs[0].copy(), np.zeros(costs.shape, np.int64)
    for t in range(1, len(costs)):
        through = total[:, None] + jump
        came[t] = through.argmin(0)
        total = through[came[t], np.arange(costs.shape[1])] + costs[t]
    way = np.zeros(len(costs), np.int64)
    way[-1] = total.argmin()
    for t in range(len(costs) - 1, 0, -1):
        way[t - 1] = came[t, way[t]]
    return way


def next_state(state: int | None, costs: np.ndarray, jump: np.ndarray) -> int:
    """The state behind ``state`` without knowing what will be asked for: the cheapest by costs (S,) and jump."""
    return int((costs if state is None else costs + jump[state]).argmin())


Shares = list[tuple[int, float]]
"""States that are shown in a frame, and how much of each."""


def is_cut(a: int, b: int, frames: np.ndarray) -> bool:
    """Whether two states one after the other aren't one motion. frames: (N,) numbers of the kept frames."""
    if OWN in (a, b):
        return a != b
    return abs(int(frames[a - 1]) - int(frames[b - 1])) > 1


def blended(way: np.ndarray, frames: np.ndarray, length: int, costs: np.ndarray, worse: float) -> list[Shares]:
    """A way's states with its cuts blended over about ``length`` frames.

    What is retrieved stands still while it is blended, on either side of the cut; the frame underneath, which goes on
    to what isn't wanted, is blended while it's wanted. A state that shows what is asked for by ``worse`` mm less well
    than the way's, by costs (T, S), isn't blended at all: a mouth that opens fast isn't held shut.
    """
    shares: list[Shares] = [[(int(state), 1.0)] for state in way]
    for cut in (t for t in range(1, len(way)) if is_cut(int(way[t - 1]), int(way[t]), frames)):
        old, new = int(way[cut - 1]), int(way[cut])
        start = cut - (length if old == OWN else 0 if new == OWN else length // 2)
        for k in range(length):
            t, share = start + k, (k + 1) / (length + 1)
            if 0 <= t < len(way) and len(shares[t]) == 1 and shares[t][0][0] in (old, new):
                other, part = (old, 1 - share) if t >= cut else (new, share)
                shares[t] = shared(int(way[t]), other, part, costs[t], worse)
    return shares


def shared(state: int, other: int, part: float, costs: np.ndarray, worse: float) -> Shares:
    """A state with a part of another one, less where that shows what is asked for less well: see `blended`."""
    part *= float(np.clip(1 - (costs[other] - costs[state]) / worse, 0, 1)) if np.isfinite(costs[other]) else 0.0
    return [(state, 1 - part), (other, part)] if part else [(state, 1.0)]


class Fader:
    """`blended` for a way that isn't known in advance: each cut is blended behind it."""

    def __init__(self, frames: np.ndarray, length: int, worse: float) -> None:
        self.frames, self.length, self.worse = frames, length, worse
        self.old: int | None = None
        self.state: int | None = None
        self.left = 0

    def __call__(self, state: int, costs: np.ndarray) -> Shares:
        """Of the next frame, with its costs (S,)."""
        if self.state is not None and is_cut(self.state, state, self.frames):
            self.old, self.left = self.state, self.length
        self.state = state
        if not self.left or self.old == state:
            self.left = 0
            return [(state, 1.0)]
        part = self.left / (self.length + 1)
        self.left -= 1
        return shared(state, self.old, part, costs, self.worse)
