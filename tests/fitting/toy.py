"""A small jointed model: an ellipsoid with a nose, a jaw that turns, signed expressions, no eyes, UV or reflectance."""

from functools import lru_cache

import numpy as np
import torch

from facemodel.base import Block, FaceModel, LandmarkEmbedding
from facemodel.landmark_schemes import IBUG68
from geometry.rotation import rotation_matrix

AXES = torch.tensor([75.0, 105.0, 85.0])  # mm
HINGE = torch.tensor([0.0, -5.0, 0.0])  # mm: the jaw turns about the x axis through it


class JawModel(FaceModel):
    """V = 642 or so; three identities, two expressions without bounds, one joint within -0.1 and 0.6 rad."""

    name, license, fingerprint, linear = "jaw", "CC0", "jaw-1", False

    def __init__(self) -> None:
        super().__init__()
        direction, triangles = sphere(3)
        x, y, z = direction.unbind(1)
        nose = 18 * torch.exp(-((x / 0.13) ** 2 + ((y + 0.05) / 0.2) ** 2)) * (z > 0)
        self.mean = direction * AXES + torch.stack([torch.zeros_like(nose), torch.zeros_like(nose), nose], 1)
        self.triangles = triangles
        front, low = (z > 0).float(), torch.sigmoid((-y - 0.25) * 12)
        self.jaw_weight = low * torch.sigmoid(6 * (z + 0.2))
        wide = torch.stack([4 * x, torch.zeros_like(x), torch.zeros_like(x)], 1)
        tall = torch.stack([torch.zeros_like(x), 5 * y, torch.zeros_like(x)], 1)
        nosed = torch.stack([torch.zeros_like(x), torch.zeros_like(x), nose / 5], 1)
        self.identity_basis = torch.stack([wide, tall, nosed])
        smile = torch.stack([5 * x, 3 * x.abs(), -2 * x.abs()], 1) * (front * low)[:, None]
        frown = torch.stack([torch.zeros_like(x), -4 * torch.exp(-(((y - 0.4) / 0.1) ** 2)) * front, x * 0], 1)
        self.expression_basis = torch.stack([smile, frown])
        self._blocks = {
            "identity": Block.standard("identity", 3),
            "expression": Block.standard("signed", 2),
            "joints": Block(("jaw",), *(torch.tensor([v]) for v in (-0.1, 0.6, 0.05, 0.2))),
        }

    @property
    def blocks(self):
        return self._blocks

    @property
    def embeddings(self):
        return {"ibug68": _embedding(self)}

    def vertices(self, identity=None, expression=None, gaze=None, joints=None):
        v = self.mean
        if identity is not None:
            v = v + torch.einsum("...i,ivk->...vk", identity, self.identity_basis)
        if expression is not None:
            v = v + torch.einsum("...e,evk->...vk", expression, self.expression_basis)
        angle = self._blocks["joints"].mean.to(v) if joints is None else joints
        turn = rotation_matrix(torch.cat([angle, torch.zeros_like(angle), torch.zeros_like(angle)], -1)).to(v)
        turned = (v - HINGE) @ turn.transpose(-1, -2) + HINGE
        weight = self.jaw_weight[:, None]
        return v * (1 - weight) + turned * weight


def sphere(times: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors (V, 3) of an icosphere and its triangles (T, 3)."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=times)
    return torch.tensor(np.array(ball.vertices)).float(), torch.tensor(np.array(ball.faces))


@lru_cache(maxsize=1)
def _places() -> torch.Tensor:
    """(68, 2): x and y of iBUG's points on the unit sphere's front, roughly a face's."""
    angle = np.linspace(np.pi, 2 * np.pi, 17)
    jaw = np.stack([0.8 * np.cos(angle), 0.75 * np.sin(angle) + 0.05], 1)
    line = lambda x0, x1, y, n: np.stack([np.linspace(x0, x1, n), np.full(n, y)], 1)  # noqa: E731
    brows = np.concatenate([line(-0.5, -0.15, 0.42, 5), line(0.15, 0.5, 0.42, 5)])
    nose = np.concatenate([np.stack([np.zeros(4), np.linspace(0.25, -0.05, 4)], 1), line(-0.12, 0.12, -0.15, 5)])
    ring = lambda cx, cy, rx, ry, n: np.stack(  # noqa: E731
        [cx - rx * np.cos(np.linspace(0, 2 * np.pi, n, False)), cy + ry * np.sin(np.linspace(0, 2 * np.pi, n, False))],
        1,
    )
    eyes = np.concatenate([ring(-0.3, 0.25, 0.12, 0.05, 6), ring(0.3, 0.25, 0.12, 0.05, 6)])
    mouth = np.concatenate([ring(0, -0.4, 0.28, 0.12, 12), ring(0, -0.4, 0.2, 0.05, 8)])
    return torch.tensor(np.concatenate([jaw, brows, nose, eyes, mouth])).float()


def _embedding(model: JawModel) -> LandmarkEmbedding:
    xy = _places()
    assert len(xy) == IBUG68.count
    wanted = torch.cat([xy, (1 - xy.square().sum(1, keepdim=True)).clamp_min(0).sqrt()], 1) * AXES
    centres = model.mean[model.triangles].mean(1)
    nearest = torch.cdist(wanted, centres).argmin(1)
    return LandmarkEmbedding(nearest, torch.full((68, 3), 1 / 3), torch.ones(68))
