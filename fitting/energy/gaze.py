"""Where the eyes look, from the picture itself: the edge between iris and white.

The landmark detector's irises are few points and lean towards the middle of the eye. Here, for a head whose shape and
pose are known, each pixel of the visible eyeball has a direction from the eyeball's centre, and a gaze says whether
it's iris or white. The gaze whose two classes explain the pixels' brightness best is looked for on a grid, about what
the landmarks say and with that as a prior. Brightness of iris and white are free, so that neither light nor the iris'
colour needs to be known; the likelihood is a normal distribution of unknown variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.gaze import gaze_direction
from fitting.energy.occluder import Occluder
from fitting.energy.residuals import compiled, flip
from fitting.observation.crop import Observation
from fitting.policy.settings import GazeSearch
from fitting.solver.state import FitState
from geometry.camera import Camera
from renderer.eyes import eye_shape
from renderer.rasterizers import rasterize


@dataclass(frozen=True)
class EyeballPixels:
    """What of an eyeball is seen."""

    directions: Tensor  # (P, 3) unit, from the eyeball's centre, model axes
    brightness: Tensor  # (P,) about its mean
    power: Tensor  # () sum of its squares
    softness: float  # rad, width of the iris' edge in the picture
    count: float  # of the picture's own pixels


class EyeView(NamedTuple):
    """How the camera sees an eyeball, in the square about it."""

    focal: float  # px of the square
    middle: Tensor  # (2,) principal point, px of it
    centre: Tensor  # (3,) mm, camera frame
    radius: float  # mm
    rotation: Tensor  # (3, 3) of the head
    axes: Tensor  # (3,) what takes the model's axes to the camera's


class GazeRefiner:
    """Moves a state's gaze to where the pixels say. For models that have eyes."""

    def __init__(self, model: FaceModel, occluder: Occluder, policy: GazeSearch) -> None:
        """``occluder``: what the eyes are seen in."""
        shape = eye_shape(model)
        self.model, self.policy, self.iris, self.radius = model, policy, shape.iris_angle, shape.radius
        owner = torch.full((len(model.mean),), -1, device=model.mean.device)
        for side, vertices in enumerate(model.eyes.vertices):
            owner[vertices] = side
        self.triangles = occluder.triangles
        of = owner[occluder.vertices][self.triangles]
        self.owner = torch.where((of == of[:, :1]).all(1), of[:, 0], -1)  # (T,) the eye a triangle belongs to

    def __call__(self, state: FitState, vertices: Tensor, seen: Observation, reach: float, std: float) -> Tensor:
        """Gaze (F, 2, 2) of F frames that have ``seen.eyes``, for the occluder's vertices (F, V, 3) with the
        eyes straight ahead.

        It's looked for up to ``reach`` rad about the state's, which is taken to be off by ``std`` rad.
        """
        return torch.stack([self._frame(state, f, vertices[f], seen, reach, std) for f in range(len(state))])

    def _frame(self, state: FitState, f: int, vertices: Tensor, seen: Observation, reach: float, std: float) -> Tensor:
        pixels, start = self._pixels(state, f, vertices, seen), state.gaze[f]
        if all(p is None for p in pixels):
            return start
        search = _compiled if compiled(start) else best_gaze
        return search(pixels, start, self.iris, reach, std, self.policy)

    def _pixels(self, state: FitState, f: int, vertices: Tensor, seen: Observation) -> list[EyeballPixels | None]:
        eyes, axes, size = seen.eyes[f], flip(state.gaze), seen.eyes[f].brightness.shape[-1]
        rotation, shift, device = state.rotation[f], state.translation[f], state.gaze.device
        points = (vertices @ rotation.T) * axes + shift
        scale = size / eyes.side
        focal = float(state.log_focal.exp())
        corners = torch.as_tensor(eyes.corners, dtype=torch.float32, device=device)
        middle = (seen.frame_centre - corners) * scale  # (2, 2)
        camera = Camera(focal=focal * scale, width=size, height=size, cx=middle[:, 0], cy=middle[:, 1])
        nearest = rasterize(points.expand(2, -1, -1), self.triangles, camera).pix_to_face[..., 0]
        owner = self.owner[nearest.clamp_min(0) % len(self.owner)]  # numbered through all pictures
        inside = (owner == torch.arange(2, device=device)[:, None, None]) & (nearest >= 0)
        centres = self.model.eyes.center_mean + torch.einsum("ick,i->ck", self.model.eyes.center_basis, state.identity)
        centres = (centres @ rotation.T) * axes + shift
        look = _look_compiled if compiled(state.gaze) else eyeball_pixels
        out: list[EyeballPixels | None] = []
        for eye in range(2):
            brightness = torch.as_tensor(eyes.brightness[eye], device=device)
            where = EyeView(focal * scale, middle[eye], centres[eye], float(self.radius), rotation, axes)
            directions, brightness = look(inside[eye], brightness, where)
            count = len(directions) * min(1.0, 1 / scale) ** 2
            if count < self.policy.fewest or not eyes.seen[eye]:
                out.append(None)
                continue
            pixel = max(1.0, scale) / scale * float(centres[eye, 2]) / (focal * float(self.radius))
            brightness = brightness - brightness.mean()
            out.append(EyeballPixels(directions, brightness, brightness.square().sum(), 0.5 * pixel, count))
        return out


def eyeball_pixels(inside: Tensor, brightness: Tensor, view: EyeView) -> tuple[Tensor, Tensor]:
    """Directions (P, 3) of an eyeball's pixels from its centre, unit, model axes, and their brightness (P,).

    ``inside``: (S, S) bool, where it's seen; ``brightness``: (S, S). In plain torch.
    """
    # The lids' edge is fitted to about a pixel: leave it out.
    inside = torch.nn.functional.avg_pool2d(inside.float()[None], 3, 1, 1)[0] > 0.99
    rows, columns = inside.nonzero().unbind(1)
    pixels = torch.stack([columns, rows], -1).to(view.centre)
    ray = (pixels + 0.5 - view.middle) / view.focal
    ray = torch.nn.functional.normalize(torch.nn.functional.pad(ray, (0, 1), value=1.0), dim=-1)
    along = ray @ view.centre
    depth = along - (along.square() - view.centre.square().sum() + view.radius**2).clamp_min(0).sqrt()
    direction = ((ray * depth[:, None] - view.centre) * view.axes) @ view.rotation
    return torch.nn.functional.normalize(direction, dim=-1), brightness[rows, columns]


def _look_compiled(inside: Tensor, brightness: Tensor, view: EyeView) -> tuple[Tensor, Tensor]:
    from fitting.energy import gaze_kernel as kernel

    numbers = (x.double().contiguous().numpy() if isinstance(x, Tensor) else float(x) for x in view)
    found = kernel.eyeball_pixels(inside.numpy(), brightness.numpy(), kernel.View(*numbers))
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def best_gaze(
    pixels: Sequence[EyeballPixels | None], start: Tensor, iris: Tensor, reach: float, std: float, policy: GazeSearch
) -> Tensor:
    """Gaze (2, 2) that explains what is seen of either eye, about ``start``; see `GazeRefiner`. In plain torch.

    ``iris``: (), rad, the angle between the gaze and the iris' edge.
    """
    grid, step, centre = policy.grid, reach, torch.zeros(2, device=start.device)
    span = torch.arange(-grid, grid + 1, device=start.device) / grid
    places = torch.cartesian_prod(span, span)  # (K, 2)
    for _ in range(policy.rounds):  # both eyes turn together
        turns = centre + step * places
        cost = turns.square().sum(-1) / (2 * std**2)
        for side, p in enumerate(pixels):
            if p is not None:
                cost = cost + _unlikely(p, start[side] + turns, iris, policy)
        centre, step = turns[cost.argmin()], step / grid * 1.5
    gaze = start + centre
    apart = torch.tensor(policy.apart, device=start.device)
    for _ in range(2):  # then each for itself
        moved = gaze.clone()
        for side, p in enumerate(pixels):
            if p is None:
                continue
            turns = gaze[side] + apart.max() * places
            off = (turns - gaze[1 - side]) - (start[side] - start[1 - side])
            cost = _unlikely(p, turns, iris, policy) + (off / apart).square().sum(-1) / 2
            cost = cost + (turns - start[side]).square().sum(-1) / (2 * std**2)
            moved[side] = _lowest(turns, cost, grid)
        gaze = moved
    return gaze


def _compiled(pixels, start, iris, reach, std, policy) -> Tensor:
    from fitting.energy import gaze_kernel as kernel

    nothing = kernel.Eye(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), 0.0, 1.0, 0.0)
    eyes = tuple(
        nothing if p is None else
        kernel.Eye(p.directions.numpy(), p.brightness.numpy(), float(p.power), p.softness, p.count)
        for p in pixels
    )  # fmt: skip
    search = kernel.Search(
        float(iris), reach, std, policy.rounds, policy.grid, policy.independent, policy.noise, np.array(policy.apart)
    )
    return torch.from_numpy(kernel.best_gaze(eyes, start.double().numpy(), search)).to(start)


def _unlikely(pixels: EyeballPixels, gaze: Tensor, iris: Tensor, policy: GazeSearch) -> Tensor:
    """(K,) negative log-likelihood of gazes (K, 2)."""
    white = (pixels.directions @ gaze_direction(gaze).T).clamp_(-1, 1).acos_()  # (P, K) angles at first
    white.sub_(iris).div_(pixels.softness).sigmoid_()
    white -= white.mean(0)
    spread = white.square().sum(0)
    along = white.mul_(pixels.brightness[:, None]).sum(0).clamp_min(0)  # the white is brighter
    left = (pixels.power - along.square() / spread.clamp_min(1e-3)) / len(pixels.brightness)
    return 0.5 * policy.independent * pixels.count * (left + policy.noise**2).log()


def _lowest(turns: Tensor, cost: Tensor, grid: int) -> Tensor:
    """The lowest point (2,) of the parabolas through the best of a grid (K, 2) and its neighbours."""
    n = 2 * grid + 1
    table, best = cost.view(n, n), int(cost.argmin())
    i, j = divmod(best, n)
    out = turns[best].clone()
    for axis, k, line in ((0, i, table[:, j]), (1, j, table[i])):
        if 0 < k < n - 1:
            a, b, c = line[k - 1], line[k], line[k + 1]
            step = (turns[-1, axis] - turns[0, axis]) / (n - 1)
            out[axis] += step * 0.5 * (a - c) / (a - 2 * b + c).clamp_min(1e-6)
    return out
