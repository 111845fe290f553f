"""A small model with all that the renderer asks of one: a ball of a head with two eyeballs, quick to draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from facemodel import FaceParameters
from renderer import rotation_matrix


class BallModel:
    """Head: a ball of 100 mm; eyeballs: balls of 15 mm that stick out in front; 2 identities, 2 expressions."""

    name, fingerprint = "ball", "0" * 16

    def __init__(self):
        head = trimesh.creation.icosphere(subdivisions=3, radius=100)
        eye = trimesh.creation.icosphere(subdivisions=3, radius=15)
        self.centers = torch.tensor([[32.0, 30, 90], [-32.0, 30, 90]])
        offsets = np.cumsum([0, len(head.vertices), len(eye.vertices), len(eye.vertices)])
        parts = [head.vertices] + [eye.vertices + c.numpy() for c in self.centers]
        self.mean = torch.tensor(np.concatenate(parts), dtype=torch.float32)
        faces = [head.faces, eye.faces + offsets[1], eye.faces + offsets[2]]
        self.triangles = torch.tensor(np.concatenate(faces), dtype=torch.int64)
        count = len(self.mean)
        self.eye_vertices = [torch.arange(offsets[k], offsets[k + 1]) for k in (1, 2)]
        eyes = torch.arange(count) >= int(offsets[1])
        local = self.mean - self.centers[(torch.arange(count) >= int(offsets[2])).long()]
        iris = eyes & (local[:, 2] > 15 * np.cos(0.42))
        self.regions = {"eyes": eyes, "iris": iris, "pupil": eyes & (local[:, 2] > 15 * np.cos(0.2))}
        generator = torch.Generator().manual_seed(0)
        self.identity_basis = self.mean * torch.tensor([0.05, 0.03])[:, None, None] * ~eyes[:, None]
        self.expression_basis = torch.randn(2, count, 3, generator=generator) * ~eyes[:, None]
        self.albedo_mean = 0.2 + 0.6 * torch.rand(count, 3, generator=generator)
        self.albedo_basis = 0.02 * torch.randn(2, count, 3, generator=generator)

    def vertices(self, identity=None, expression=None, gaze=None):
        vertices = self.mean
        for coefficients, basis in ((identity, self.identity_basis), (expression, self.expression_basis)):
            if coefficients is not None:
                vertices = vertices + torch.einsum("...k,kvc->...vc", coefficients, basis)
        if gaze is None:
            return vertices
        vertices = vertices.expand(*torch.broadcast_shapes(vertices.shape[:-2], gaze.shape[:-2]), -1, -1).clone()
        for k, (index, center) in enumerate(zip(self.eye_vertices, self.centers)):
            turn = torch.stack([-gaze[..., k, 1], gaze[..., k, 0], torch.zeros_like(gaze[..., k, 0])], -1)
            rotated = (self.mean[index] - center) @ rotation_matrix(turn).transpose(-1, -2) + center
            vertices[..., index, :] = rotated
        return vertices

    def albedo(self, reflectance=None):
        if reflectance is None:
            return self.albedo_mean
        return self.albedo_mean + torch.einsum("...k,kvc->...vc", reflectance, self.albedo_basis)

    def eye_centers(self, identity=None, expression=None):
        return self.centers

    def eye_radius(self, identity=None):
        return torch.tensor([15.0, 15.0])


@pytest.fixture(scope="session")
def ball_model() -> BallModel:
    return BallModel()


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
