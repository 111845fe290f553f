"""Where the eyes look, from the picture itself: the edge between iris and white.

The landmark detector's irises are few points and lean towards the middle of the eye. Here, for a head whose shape and
pose are known, each pixel of the visible eyeball has a direction from the eyeball's centre, and a gaze says whether
it's iris or white. The gaze whose two classes explain the pixels' brightness best is looked for on a grid, about what
the landmarks say and with that as a prior. Brightness of iris and white are free, so that neither light nor the iris'
colour needs to be known; the likelihood is a normal distribution of unknown variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facemodel.gaze import gaze_direction
from fitting.observation.eye_patches import PATCH
from fitting.solver.state import FitState
from geometry.camera import FLIP, Camera
from renderer.eyes import eye_shape
from renderer.rasterizers import rasterize

ROUNDS = 3  # of the grid, each a quarter as wide
GRID = 4  # steps to either side
INDEPENDENT = 0.12  # share of the pixels that count as independent measurements
FLOOR = 0.02  # of 1, standard deviation of the brightness that nothing explains better
FEW = 20  # visible pixels of the picture itself, below which an eye says nothing
APART = (0.05, 0.03)  # rad, how far the eyes' yaws and pitches are


@dataclass(frozen=True)
class Pixels:
    """What of an eyeball is seen."""

    directions: Tensor  # (P, 3) unit, from the eyeball's centre, model axes
    brightness: Tensor  # (P,)
    softness: float  # rad, width of the iris' edge in the picture
    count: float  # of the picture's own pixels


class GazeRefiner:
    """Moves a state's gaze to where the pixels say."""

    def __init__(self, model) -> None:
        shape = eye_shape(model)
        self.model, self.iris = model, shape.iris_angle
        self.radius = shape.radius
        owner = torch.full((len(model.mean),), -1, device=model.mean.device)
        for side, vertices in enumerate(model.eyes.vertices):
            owner[vertices] = side
        of = owner[model.triangles]
        self.owner = torch.where((of == of[:, :1]).all(1), of[:, 0], -1)  # (T,) the eye a triangle belongs to
        span = torch.arange(-GRID, GRID + 1, device=model.mean.device) / GRID
        self.grid = torch.cartesian_prod(span, span)  # (K, 2)

    def __call__(self, state: FitState, neutral_vertices: Tensor, seen, reach: float, deviation: float) -> Tensor:
        """Gaze (F, 2, 2) of F frames that have ``seen.eyes``.

        It's looked for up to ``reach`` rad about the state's, which is believed to be off by ``deviation`` rad.
        """
        return torch.stack([self._frame(state, f, neutral_vertices, seen, reach, deviation) for f in range(len(state))])

    def _frame(self, state: FitState, f: int, neutral: Tensor, seen, reach: float, deviation: float) -> Tensor:
        pixels = self._pixels(state, f, neutral, seen)
        start = state.gaze[f]
        if all(p is None for p in pixels):
            return start
        step, centre = reach, torch.zeros(2, device=start.device)
        for _ in range(ROUNDS):  # both eyes turn together
            turns = centre + step * self.grid  # (K, 2)
            cost = turns.square().sum(-1) / (2 * deviation**2)
            for side, p in enumerate(pixels):
                if p is not None:
                    cost = cost + self._unlikely(p, start[side] + turns)
            centre, step = turns[cost.argmin()], step / GRID * 1.5
        gaze = start + centre
        apart = torch.tensor(APART, device=start.device)
        for _ in range(2):  # then each for itself
            moved = gaze.clone()
            for side, p in enumerate(pixels):
                if p is None:
                    continue
                turns = gaze[side] + apart.max() * self.grid
                off = (turns - gaze[1 - side]) - (start[side] - start[1 - side])
                cost = self._unlikely(p, turns) + (off / apart).square().sum(-1) / 2
                cost = cost + (turns - start[side]).square().sum(-1) / (2 * deviation**2)
                moved[side] = _lowest(turns, cost, GRID)
            gaze = moved
        return gaze

    def _unlikely(self, pixels: Pixels, gaze: Tensor) -> Tensor:
        """(K,) negative log-likelihood of gazes (K, 2)."""
        angle = (pixels.directions @ gaze_direction(gaze).T).clamp(-1, 1).acos()  # (P, K)
        white = ((angle - self.iris) / pixels.softness).sigmoid()
        white = white - white.mean(0)
        y = pixels.brightness - pixels.brightness.mean()
        spread = white.square().sum(0)
        along = (white * y[:, None]).sum(0).clamp_min(0)  # the white is brighter
        left = (y.square().sum() - along.square() / spread.clamp_min(1e-3)) / len(y)
        return 0.5 * INDEPENDENT * pixels.count * (left + FLOOR**2).log()

    def _pixels(self, state: FitState, f: int, neutral: Tensor, seen) -> list[Pixels | None]:
        eyes = seen.eyes[f]
        device = state.gaze.device
        flip = state.gaze.new_tensor(FLIP)
        rotation, shift = state.rotation[f], state.translation[f]
        vertices = neutral + torch.einsum("evk,e->vk", self.model.expression_basis, state.expression[f])
        points = (vertices @ rotation.T) * flip + shift
        scale = PATCH / eyes.side
        focal = float(state.log_focal.exp())
        middle = (
            seen.frame_centre - torch.as_tensor(eyes.corners, dtype=torch.float32, device=device)
        ) * scale  # (2, 2)
        camera = Camera(focal=focal * scale, width=PATCH, height=PATCH, cx=middle[:, 0], cy=middle[:, 1])
        nearest = rasterize(points.expand(2, -1, -1), self.model.triangles, camera).pix_to_face[..., 0]
        owner = self.owner[nearest.clamp_min(0) % len(self.owner)]  # numbered through all pictures
        inside = (owner == torch.arange(2, device=device)[:, None, None]) & (nearest >= 0)
        # The lids' edge is fitted to about a pixel: leave it out.
        inside = torch.nn.functional.avg_pool2d(inside.float()[:, None], 3, 1, 1)[:, 0] > 0.99
        centres = self.model.eye_center_mean + torch.einsum("ick,i->ck", self.model.eye_center_basis, state.identity)
        centres = (centres @ rotation.T) * flip + shift
        out: list[Pixels | None] = []
        for eye in range(2):
            rows, columns = inside[eye].nonzero().unbind(1)
            count = len(rows) * min(1.0, 1 / scale) ** 2
            if count < FEW:
                out.append(None)
                continue
            ray = torch.stack([(columns + 0.5 - middle[eye, 0]), (rows + 0.5 - middle[eye, 1])], -1) / (focal * scale)
            ray = torch.nn.functional.normalize(torch.nn.functional.pad(ray, (0, 1), value=1.0), dim=-1)
            along = ray @ centres[eye]
            depth = along - (along.square() - centres[eye].square().sum() + self.radius**2).clamp_min(0).sqrt()
            direction = ((ray * depth[:, None] - centres[eye]) / self.radius * flip) @ rotation
            direction = torch.nn.functional.normalize(direction, dim=-1)
            brightness = torch.as_tensor(eyes.brightness[eye], device=device)[rows, columns]
            pixel = max(1.0, scale) / scale * float(centres[eye, 2]) / (focal * float(self.radius))
            out.append(Pixels(direction, brightness, 0.5 * pixel, count))
        return out


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
