"""A face model that is one file: a round head of some hundred vertices, with a jaw that turns.

Nothing of it is as in the default model: another topology, four identity coefficients, three signed expressions without
ARKit's names, a joint, and no eyes, atlas, reflectance or regions. Its landmarks are of a scheme of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from facemodel import Block, FaceModel
from facemodel.base import LandmarkEmbedding, combine
from facemodel.landmark_schemes import SCHEMES, LandmarkScheme
from facemodel.registry import MODELS
from geometry.rotation import rotation_matrix

NAME = "toy"
SCHEME = LandmarkScheme(
    name="toy20",
    count=20,
    eye_corners=((0, 1), (2, 3)),
    eye_pairs=(((4, 5),), ((6, 7),)),
    lip_pairs=((15, 16),),
    brows_outer=((8,), (10,)),
    brows_inner=((9,), (11,)),
    nose_tip=12,
    mouth_corners=(13, 14),
    forehead=18,
    chin=17,
)
# Where the landmarks are looked for on the mean head, mm: x, y; the subject's left first.
PLACES = (
    (48, 26), (18, 26), (-48, 26), (-18, 26), (33, 34), (33, 18), (-33, 34), (-33, 18), (44, 48), (16, 48), (-44, 48),
    (-16, 48), (0, -4), (26, -46), (-26, -46), (0, -38), (0, -54), (0, -84), (0, 80), (0, 30),
)  # fmt: skip
PIVOT = (0.0, -10.0, 10.0)  # mm: where the jaw turns
ROWS, COLUMNS = 25, 32
RADII = (75.0, 105.0, 88.0)  # mm


def _sphere() -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) unit vectors, denser in front, and (T, 3) triangles, counter-clockwise from outside."""
    across = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    longitude = across - 0.35 * np.sin(across)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, ROWS + 2)[1:-1]
    lat, lon = np.meshgrid(latitude, longitude, indexing="ij")
    ring = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], -1).reshape(-1, 3)
    points = np.concatenate([ring, [[0, -1, 0], [0, 1, 0]]])
    at = lambda r, c: r * COLUMNS + c % COLUMNS  # noqa: E731
    triangles = []
    for c in range(COLUMNS):
        for r in range(ROWS - 1):
            a, b, up, over = at(r, c), at(r, c + 1), at(r + 1, c), at(r + 1, c + 1)
            triangles += [(a, b, over), (a, over, up)]
        triangles += [(len(ring), at(0, c + 1), at(0, c)), (len(ring) + 1, at(ROWS - 1, c), at(ROWS - 1, c + 1))]
    return points, np.array(triangles)


def _bump(points: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    """(V,): 1 at a place of the front, falling off around it."""
    near = np.exp(-(((points[:, 0] - x) / width) ** 2) - ((points[:, 1] - y) / height) ** 2)
    return near * (points[:, 2] > 0)


class ToyModel(FaceModel):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.license, self.fingerprint = NAME, "CC0-1.0", "toy0000000000001"
        points, triangles = _sphere()
        v = points * RADII
        v[:, 2] += 20 * _bump(v, 0, -4, 12, 16) + 6 * _bump(v, 0, -46, 28, 14) + 7 * _bump(v, 0, -84, 22, 14)
        v[:, 2] -= 8 * (_bump(v, 33, 26, 16, 9) + _bump(v, -33, 26, 16, 9))
        side, height = v[:, 0], v[:, 1]
        zero = np.zeros(len(v))
        identity = [
            np.stack([0.06 * side, zero, zero], -1),
            np.stack([zero, 0.05 * height, zero], -1),
            np.stack([zero, zero, 5 * _bump(v, 0, -4, 14, 20)], -1),
            np.stack([0.12 * side * (height < 0) * np.abs(height) / 105, zero, zero], -1),
        ]
        left, right = _bump(v, 26, -46, 12, 10), _bump(v, -26, -46, 12, 10)
        brows = _bump(v, 30, 48, 26, 10) + _bump(v, -30, 48, 26, 10)
        expression = [
            np.stack([4 * (left - right), 7 * (left + right), zero], -1),
            np.stack([zero, 6 * brows, zero], -1),
            np.stack([zero, zero, 6 * _bump(v, 0, -46, 16, 12)], -1),
        ]
        jaw = np.clip((-44 - height) / 8, 0, 1) * np.clip((v[:, 2] + 10) / 40, 0, 1)
        corners = [self._corner(v, triangles, place) for place in PLACES]
        for name, value in (
            ("mean", v), ("triangles", triangles), ("identity_basis", np.stack(identity)),
            ("expression_basis", np.stack(expression)), ("jaw", jaw), ("pivot", np.array(PIVOT)),
            ("corners", np.array(corners)), ("barycentric", np.eye(3)[[0] * len(PLACES)]),
            ("weights", np.ones(len(PLACES))),
        ):  # fmt: skip
            tensor = torch.from_numpy(value)
            self.register_buffer(name, tensor.float() if tensor.is_floating_point() else tensor.long())
        self._blocks = {
            "identity": Block.standard("identity", 4),
            "expression": _block(("grin", "brow", "pout"), (-1.5, -1.0, -0.5), (1.5, 1.0, 2.0), 0.5),
            "joints": _block(("jaw",), (-0.02,), (0.5,), 0.15),
        }

    @staticmethod
    def _corner(vertices: np.ndarray, triangles: np.ndarray, place: tuple[float, float]) -> int:
        """A triangle, turned so that its first corner is the front's vertex nearest to a place."""
        distance = np.linalg.norm(vertices[:, :2] - place, axis=1) + 1e3 * (vertices[:, 2] < 0)
        nearest = int(distance.argmin())
        found = np.flatnonzero((triangles == nearest).any(1))[0]
        triangles[found] = np.roll(triangles[found], -int(np.flatnonzero(triangles[found] == nearest)[0]))
        return int(found)

    @property
    def blocks(self) -> Mapping[str, Block]:
        return {name: block.to(self.mean.device) for name, block in self._blocks.items()}

    @property
    def embeddings(self) -> Mapping[str, LandmarkEmbedding]:
        return {SCHEME.name: LandmarkEmbedding(self.corners, self.barycentric, self.weights)}

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        gaze: Tensor | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        vertices = self.mean
        if identity is not None:
            vertices = vertices + combine("identity", identity, self.identity_basis)
        if expression is not None:
            vertices = vertices + combine("expression", expression, self.expression_basis)
        if joints is None:
            return vertices
        turn = rotation_matrix(torch.cat([joints, torch.zeros_like(joints), torch.zeros_like(joints)], -1))
        offset = vertices - self.pivot
        return vertices + self.jaw[:, None] * (offset @ turn.mT - offset)


def _block(names: tuple[str, ...], lower: tuple, upper: tuple, std: float) -> Block:
    count = len(names)
    return Block(names, torch.tensor(lower), torch.tensor(upper), torch.zeros(count), torch.full((count,), std))


def register() -> None:
    SCHEMES.add(SCHEME.name, SCHEME)
    MODELS.add(NAME, ToyModel)


def unregister() -> None:
    SCHEMES.remove(SCHEME.name)
    MODELS.remove(NAME)
