"""A small model with all that the renderer asks of one: a ball of a head with two eyeballs, quick to draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from facemodel import FaceParameters
from facemodel.base import Block
from facemodel.linear import LinearModel


def surface(mean: torch.Tensor, triangles: torch.Tensor, **tensors: torch.Tensor) -> LinearModel:
    """A model that has nothing but a surface, and the capabilities of the tensors that are given."""
    nothing = {"identity_basis": torch.zeros(1, *mean.shape), "expression_basis": torch.zeros(1, *mean.shape)}
    tensors = {"mean": mean, "triangles": triangles, **nothing, **tensors}
    return LinearModel(tensors, name="surface", fingerprint="0" * 16, expression=Block.standard("expression", 1))


def ball() -> LinearModel:
    """Head: a ball of 100 mm; eyeballs: balls of 15 mm that stick out in front; 2 identities, 2 expressions."""
    head = trimesh.creation.icosphere(subdivisions=3, radius=100)
    eye = trimesh.creation.icosphere(subdivisions=3, radius=15)
    centers = torch.tensor([[32.0, 30, 90], [-32.0, 30, 90]])
    offsets = np.cumsum([0, len(head.vertices), len(eye.vertices), len(eye.vertices)])
    parts = [head.vertices] + [eye.vertices + c.numpy() for c in centers]
    mean = torch.tensor(np.concatenate(parts), dtype=torch.float32)
    count = len(mean)
    eyes = torch.arange(count) >= int(offsets[1])
    local = mean - centers[(torch.arange(count) >= int(offsets[2])).long()]
    regions = {"eyes": eyes, "iris": eyes & (local[:, 2] > 15 * np.cos(0.42))}
    regions["pupil"] = eyes & (local[:, 2] > 15 * np.cos(0.2))
    g = torch.Generator().manual_seed(0)
    tensors = {
        "mean": mean,
        "triangles": torch.tensor(np.concatenate([head.faces, eye.faces + offsets[1], eye.faces + offsets[2]])),
        "identity_basis": mean * torch.tensor([0.05, 0.03])[:, None, None] * ~eyes[:, None],
        "expression_basis": torch.randn(2, count, 3, generator=g) * ~eyes[:, None],
        "albedo_mean": 0.2 + 0.6 * torch.rand(count, 3, generator=g),
        "albedo_basis": 0.02 * torch.randn(2, count, 3, generator=g),
        "eye_vertices_left": torch.arange(offsets[1], offsets[2]),
        "eye_vertices_right": torch.arange(offsets[2], offsets[3]),
        "eye_center_mean": centers,
        "eye_center_basis": torch.zeros(2, 2, 3),
        "eye_radius_mean": torch.full((2,), 15.0),
        "eye_radius_basis": torch.zeros(2, 2),
        "region_masks": torch.stack(list(regions.values())),
    }
    expression = Block.activations(("jawOpen", "mouthPucker"))
    return LinearModel(tensors, name="ball", fingerprint="0" * 16, expression=expression, region_names=tuple(regions))


@pytest.fixture(scope="session")
def ball_model() -> LinearModel:
    return ball()


@pytest.fixture(scope="session")
def ball_parameters(ball_model) -> FaceParameters:
    return FaceParameters.neutral(ball_model, (), distance=600.0)


def random_mesh(seed: int, count: int = 30, spread: float = 60.0, distance: float = 500.0):
    """Unconnected triangles in front of the camera: points_cam (3 count, 3) mm, triangles (count, 3)."""
    generator = torch.Generator().manual_seed(seed)
    center = spread * torch.randn(count, 1, 3, generator=generator)
    points = center + 0.5 * spread * torch.randn(count, 3, 3, generator=generator)
    points[..., 2] += distance
    return points.reshape(-1, 3), torch.arange(3 * count).reshape(count, 3)
