"""What MediaPipe's detector sees in pictures of the model: its points, and where the vertices were."""

from __future__ import annotations

from dataclasses import dataclass

import mediapipe
import numpy as np
import torch

from facemodel.arkit import ARKIT_NAMES
from facemodel.gaze import gaze_rotation
from fitting.landmarks.calibration import EXPRESSIONS
from geometry.camera import Camera, project, to_camera
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from geometry.spherical_harmonics import shade
from renderer.interpolation import interpolate
from renderer.rasterizers import rasterize

SIZE = 448
CAMERA = Camera(900.0, SIZE, SIZE)
DISTANCE = 680.0
SEED = 20240302
PEOPLE = 12
YAWS, PITCHES = (-25, -12, 0, 12, 25), (-12, 0, 12)
# Every person is seen neutral, and with each of the others; gaze (yaw, pitch) in degrees, which the lids go with.
GAZES = ((0, 0), (18, 0), (-18, 0), (0, 10), (10, -8), (-10, -8))


@dataclass(frozen=True)
class Observation:
    vertices: np.ndarray  # (V, 3) mm, model frame
    pixels: np.ndarray  # (V, 2) where they are seen
    depth: np.ndarray  # (V,) mm
    facing: np.ndarray  # (V,) cosine between the normal and the direction to the camera
    points: np.ndarray  # (478, 2) pixels, what the detector found


class HeadPictures:
    """Draws random people of the model and runs the detector on them."""

    def __init__(
        self, mean, identity_basis, expression_basis, albedo_mean, albedo_basis, triangles, eyes, centers, people
    ):
        """``eyes``: the eyeballs' vertices; ``centers``: mean (2, 3) and basis (80, 2, 3) of the eyeballs' centres."""
        self.tensor = lambda a: torch.as_tensor(np.asarray(a), dtype=torch.float32)
        self.mean, self.identity, self.expression = mean, identity_basis, expression_basis
        self.albedo_mean, self.albedo_basis = albedo_mean, albedo_basis
        self.triangles = torch.as_tensor(triangles)
        self.eyes, self.centers, self.people = eyes, centers, people

    def observe(self) -> list[Observation]:
        """All views of all people; a picture in which no face is found is left out."""
        rng = np.random.default_rng(SEED)
        found = []
        with mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, max_num_faces=1
        ) as detector:
            for person in range(self.people):
                strength = 0.0 if person == 0 else 0.8
                identity = strength * np.clip(rng.normal(size=len(self.identity)), -2, 2)
                color = self.albedo_mean + 0.7 * strength * np.tensordot(
                    rng.normal(size=len(self.albedo_basis)), self.albedo_basis, 1
                )
                color = np.clip(color, 0.01, 0.95)
                views = [({}, yaw, pitch) for yaw in YAWS for pitch in PITCHES] if person == 0 else []
                views += [({}, *rng.uniform([-25, -12], [25, 12])) for _ in range(4)]
                views += [(e, *rng.uniform([-20, -10], [20, 10])) for e in EXPRESSIONS[1:]]
                for expression, yaw, pitch in views:
                    gaze = np.radians(GAZES[rng.integers(len(GAZES))])
                    vertices = self._vertices(identity, expression, gaze)
                    seen = self._see(vertices, color, yaw, pitch, rng, detector)
                    found += [seen] if seen else []
        return found

    def _vertices(self, identity, expression: dict[str, float], gaze) -> np.ndarray:
        coefficients = np.array([expression.get(n, 0.0) for n in ARKIT_NAMES])
        vertices = self.mean + np.tensordot(identity, self.identity, 1) + np.tensordot(coefficients, self.expression, 1)
        centers = self.centers[0] + np.tensordot(identity, self.centers[1], 1)
        turn = gaze_rotation(torch.as_tensor(gaze, dtype=torch.float64)).numpy()
        for index, center in zip(self.eyes, centers):
            vertices[index] = (vertices[index] - center) @ turn.T + center
        return vertices

    def _see(self, vertices, color, yaw, pitch, rng, detector) -> Observation | None:
        v = self.tensor(vertices)
        rotation = self.tensor(np.radians([pitch, yaw, rng.normal(0, 3)]))
        cam = to_camera(v, rotation, torch.tensor([0.0, 0.0, DISTANCE]))
        normals = to_camera(vertex_normals(v, self.triangles), rotation, torch.zeros(3)) * torch.tensor(
            [1.0, -1.0, -1.0]
        )
        light = torch.zeros(9, 3)
        light[0] = 2.3 + 0.3 * rng.normal()
        light[1:4] = self.tensor(rng.normal([0.4, 0.9, 0.0], [0.2, 0.15, 0.4]))[:, None]
        fragments = rasterize(cam[None], self.triangles, CAMERA)
        picture = interpolate(fragments, shade(self.tensor(color), normals, light), self.triangles)[0]
        picture = (linear_to_srgb(picture.clamp(0.0, 1.0)) * 255).round().byte().numpy()
        picture[fragments.pix_to_face[0, ..., 0].numpy() < 0] = rng.integers(40, 200)
        result = detector.process(picture).multi_face_landmarks
        if not result:
            return None
        points = np.array([[p.x, p.y] for p in result[0].landmark]) * SIZE
        toward = -torch.nn.functional.normalize(cam, dim=-1) * torch.tensor([1.0, -1.0, -1.0])
        facing = (normals * toward).sum(-1)
        return Observation(vertices, project(cam, CAMERA).numpy(), cam[:, 2].numpy(), facing.numpy(), points)
