"""The morphable model: vertices = mean + identity + expression, albedo = mean + reflectance."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import torch
from torch import Tensor

from facemodel.formats.default import LANDMARK_SCHEMES, read_model_file
from facemodel.gaze import gaze_rotation
from foundation.errors import PortraitError, unknown_name

DEFAULT_MODEL = Path(__file__).parent / "data" / "default.safetensors"


class MorphableModel(torch.nn.Module):
    """A linear face model. Millimetres; x to the subject's left, y up, z towards the viewer; right-handed.

    Identity, reflectance (in standard deviations) and expression (0 to 1 a shape) are independent of each other.
    Eyeballs are spheres that identity moves and scales and that gaze turns about their centres.
    Every method takes any leading dimensions, broadcasts them, is differentiable and runs where the model lies.
    """

    mean: Tensor  # (V, 3) mm
    identity_basis: Tensor  # (I, V, 3) mm a standard deviation
    expression_basis: Tensor  # (E, V, 3) mm a unit
    albedo_mean: Tensor  # (V, 3) linear RGB, 0 to 1
    albedo_basis: Tensor  # (A, V, 3) linear RGB a standard deviation
    triangles: Tensor  # (T, 3) int64, counter-clockwise seen from outside
    uv: Tensor  # (U, 2) in [0, 1], v up
    uv_triangles: Tensor  # (T, 3) int64 into uv
    mirror: Tensor  # (V,) int64, the left-right partner of each vertex
    eye_center_mean: Tensor  # (2, 3) mm
    eye_center_basis: Tensor  # (I, 2, 3) mm a standard deviation
    eye_radius_mean: Tensor  # (2,) mm
    eye_radius_basis: Tensor  # (I, 2) mm a standard deviation

    def __init__(self, tensors: dict[str, Tensor], facts: dict, fingerprint: str):
        """``tensors`` and ``facts`` as ``model_file.read_model_file`` returns them, checked."""
        super().__init__()
        self.name: str = facts["name"]
        self.license: str = facts["license"]
        self.fingerprint = fingerprint
        self.expression_names: tuple[str, ...] = tuple(facts["expression_names"])
        self.region_names: tuple[str, ...] = tuple(facts["region_names"])
        for name, value in tensors.items():
            kept = value.float() if value.is_floating_point() else value.long()
            self.register_buffer(name, value.bool() if name == "region_masks" else kept, persistent=False)

    @property
    def regions(self) -> dict[str, Tensor]:
        """Masks (V,) bool by name: face, lips, eyelids, brows, nose, ears, scalp, neck, eyes, iris, pupil, ..."""
        return dict(zip(self.region_names, self.region_masks))

    @property
    def eye_vertices(self) -> list[Tensor]:
        """Indices (int64) of the left and of the right eyeball's vertices."""
        return [self.eye_vertices_left, self.eye_vertices_right]

    @property
    def landmark_schemes(self) -> tuple[str, ...]:
        return tuple(LANDMARK_SCHEMES)

    @property
    def landmark_triangles(self) -> dict[str, Tensor]:
        """(L,) int64 by scheme: the triangle in which each landmark lies."""
        return self._by_scheme("triangles")

    @property
    def landmark_barycentric(self) -> dict[str, Tensor]:
        """(L, 3) by scheme: weights of that triangle's corners."""
        return self._by_scheme("barycentric")

    @property
    def landmark_weights(self) -> dict[str, Tensor]:
        """(L,) in [0, 1] by scheme: how well the landmark is tied to the surface; 0 is unreliable."""
        return self._by_scheme("weights")

    def _by_scheme(self, part: str) -> dict[str, Tensor]:
        return {scheme: getattr(self, f"landmark_{part}_{scheme}") for scheme in LANDMARK_SCHEMES}

    def vertices(
        self,
        identity: Tensor | None = None,  # (..., I) standard deviations
        expression: Tensor | None = None,  # (..., E) 0 to 1
        gaze: Tensor | None = None,  # (..., 2 eyes, 2) yaw, pitch in radians
    ) -> Tensor:
        """Vertex positions (..., V, 3), mm, model frame. None stands for zeros."""
        vertices = self.mean
        if identity is not None:
            vertices = vertices + self._combine("identity", identity, self.identity_basis)
        if expression is not None:
            vertices = vertices + self._combine("expression", expression, self.expression_basis)
        return vertices if gaze is None else self._turn_eyes(vertices, identity, gaze)

    def _turn_eyes(self, vertices: Tensor, identity: Tensor | None, gaze: Tensor) -> Tensor:
        if gaze.shape[-2:] != (2, 2):
            raise PortraitError(f"gaze: expected shape (..., 2 eyes, 2 angles), got {tuple(gaze.shape)}")
        batch = torch.broadcast_shapes(vertices.shape[:-2], gaze.shape[:-2])
        vertices = vertices.expand(*batch, *vertices.shape[-2:])
        rotation, centers = gaze_rotation(gaze), self.eye_centers(identity)
        for eye, index in enumerate(self.eye_vertices):
            center = centers[..., eye, None, :]
            offset = vertices.index_select(-2, index) - center
            turned = center + offset @ rotation[..., eye, :, :].transpose(-1, -2)
            vertices = vertices.index_copy(-2, index, turned.expand(*batch, *turned.shape[-2:]))
        return vertices

    def albedo(self, reflectance: Tensor | None = None) -> Tensor:
        """Linear RGB (..., V, 3) of reflectance (..., A). Not clamped: far from the mean it may leave [0, 1]."""
        if reflectance is None:
            return self.albedo_mean
        return self.albedo_mean + self._combine("reflectance", reflectance, self.albedo_basis)

    def landmarks(
        self,
        vertices: Tensor,  # (..., V, 3) in any frame, or any attribute of the vertices
        scheme: str = "ibug68",
    ) -> Tensor:
        """Landmarks (..., L, 3): barycentric combinations of the vertices, in the vertices' frame."""
        if scheme not in LANDMARK_SCHEMES:
            raise unknown_name("landmark scheme", scheme, LANDMARK_SCHEMES)
        corners = self.triangles[self.landmark_triangles[scheme]]
        picked = vertices.index_select(-2, corners.flatten()).unflatten(-2, corners.shape)
        return (picked * self.landmark_barycentric[scheme][..., None]).sum(-2)

    def eye_centers(self, identity: Tensor | None = None, expression: Tensor | None = None) -> Tensor:
        """Centres (..., 2, 3) of the eyeballs, mm. Expressions don't move them; the argument only gives its shape."""
        centers = self.eye_center_mean
        if identity is not None:
            centers = centers + self._combine("identity", identity, self.eye_center_basis)
        if expression is not None:
            batch = torch.broadcast_shapes(centers.shape[:-2], expression.shape[:-1])
            centers = centers.expand(*batch, 2, 3)
        return centers

    def eye_radius(self, identity: Tensor | None = None) -> Tensor:
        """Radii (..., 2) of the eyeballs, mm."""
        if identity is None:
            return self.eye_radius_mean
        return self.eye_radius_mean + self._combine("identity", identity, self.eye_radius_basis)

    def expression_index(self, name: str) -> int:
        """Index of an expression shape; PortraitError with the nearest name where there is none such."""
        try:
            return self.expression_names.index(name)
        except ValueError:
            raise unknown_name("expression", name, self.expression_names) from None

    @staticmethod
    def _combine(what: str, coefficients: Tensor, basis: Tensor) -> Tensor:
        if coefficients.dim() < 1 or coefficients.shape[-1] != basis.shape[0]:
            raise PortraitError(
                f"{what}: expected {basis.shape[0]} coefficients in the last dimension, "
                f"got shape {tuple(coefficients.shape)}; was it made with another model?"
            )
        return (coefficients @ basis.flatten(1)).unflatten(-1, basis.shape[1:])

    def on(self, device: str | torch.device) -> MorphableModel:
        """This model where it lies on ``device``, else a copy there: a caller's own stays where it is."""
        here = torch.empty(0, device=device).device == self.mean.device  # "cuda" alone doesn't say which
        return self if here else copy.deepcopy(self).to(device)

    def extra_repr(self) -> str:
        identity, vertices = self.identity_basis.shape[:2]
        return (
            f"{self.name} {self.fingerprint}: {vertices} vertices, {len(self.triangles)} triangles, "
            f"{identity} identity, {len(self.expression_names)} expression, {len(self.albedo_basis)} reflectance"
        )


def load(path: str | os.PathLike | None = None, device: str | torch.device = "cpu") -> MorphableModel:
    """Loads a model file; None is the one that ships with the package.

    Raises PortraitError where the file is missing, is no model file, is truncated or of another version.
    """
    tensors, facts, fingerprint = read_model_file(Path(path) if path is not None else DEFAULT_MODEL)
    return MorphableModel(tensors, facts, fingerprint).to(device)
