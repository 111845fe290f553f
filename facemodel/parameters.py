"""The parameters of a face in a picture: what fitting finds, mixing edits and rendering draws."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from facemodel.base import FaceModel
from geometry.camera import Camera, project, to_camera
from geometry.spherical_harmonics import C0

# Trailing shape of each field, after the leading dimensions. None stands for a basis' size.
_TRAILING: dict[str, tuple[int | None, ...]] = {
    "identity": (None,),
    "reflectance": (None,),
    "expression": (None,),
    "rotation": (3,),
    "translation": (3,),
    "illumination": (9, 3),
    "gaze": (2, 2),
    "focal": (),
    "joints": (None,),
}
SHARED = ("identity", "reflectance", "focal")
"""Fields that are one a clip rather than one a frame."""
OPTIONAL = ("joints",)
"""Fields that not all models have; they are empty then, and not written."""


@dataclass(frozen=True)
class FaceParameters:
    """All parameters of a face, with any leading dimensions (one picture: none; a clip: frames).

    Leading dimensions broadcast against each other, so that a clip's identity is kept once.
    """

    identity: Tensor  # (..., I) standard deviations
    reflectance: Tensor  # (..., A) standard deviations
    expression: Tensor  # (..., E) of each named shape, within the model's bounds (often 0 to 1)
    rotation: Tensor  # (..., 3) axis-angle, radians, model axes; zero faces the camera
    translation: Tensor  # (..., 3) mm, camera frame (OpenCV: x right, y down, z forward)
    illumination: Tensor  # (..., 9, 3) spherical harmonics a linear RGB channel (geometry.spherical_harmonics)
    gaze: Tensor  # (..., 2 eyes, 2) yaw, pitch in radians, head frame; eye 0 is the subject's left
    focal: Tensor  # (...) pixels
    joints: Tensor = field(default_factory=lambda: torch.zeros(0))  # (..., J) radians; (0,) where a model has none

    @property
    def batch_shape(self) -> torch.Size:
        """The leading dimensions, broadcast over all fields."""
        return torch.broadcast_shapes(*(self._leading(f.name, getattr(self, f.name)) for f in fields(self)))

    @staticmethod
    def _leading(name: str, value: Tensor) -> torch.Size:
        trailing = len(_TRAILING[name])
        return value.shape[: value.dim() - trailing]

    def __post_init__(self) -> None:
        for f in fields(self):
            value, trailing = getattr(self, f.name), _TRAILING[f.name]
            got = tuple(value.shape[value.dim() - len(trailing) :])
            if len(got) != len(trailing) or any(e not in (None, g) for e, g in zip(trailing, got)):
                expected = ", ".join(["..."] + ["K" if t is None else str(t) for t in trailing])
                raise ValueError(f"{f.name}: expected shape ({expected}), got {tuple(value.shape)}")

    @classmethod
    def neutral(
        cls, model: FaceModel, batch_shape: tuple[int, ...] = (), *, focal: float = 1000.0, distance: float = 800.0
    ) -> FaceParameters:
        """The mean face looking into the camera from ``distance`` mm, under white ambient light.

        It lies on the model's device.
        """
        device = model.mean.device
        zeros = lambda *shape: torch.zeros(*batch_shape, *shape, device=device)  # noqa: E731
        rest = lambda name: zeros(model.count(name)) + (model.blocks[name].mean if model.count(name) else 0)  # noqa: E731
        translation, illumination = zeros(3), zeros(9, 3)
        translation[..., 2] = distance
        illumination[..., 0, :] = 0.8 / C0  # the constant basis function times this is 0.8
        return cls(
            identity=rest("identity"),
            reflectance=rest("reflectance"),
            expression=rest("expression"),
            rotation=zeros(3),
            translation=translation,
            illumination=illumination,
            gaze=zeros(2, 2),
            focal=torch.full(batch_shape, float(focal), device=device),
            joints=rest("joints"),
        )

    def landmarks(self, model: FaceModel, camera: Camera, scheme: str = "mediapipe478") -> Tensor:
        """Where a scheme's points are in a camera's picture: (..., L, 2) px."""
        vertices = model.vertices(self.identity, self.expression, self.gaze, self.joints)
        return project(to_camera(model.landmarks(vertices, scheme), self.rotation, self.translation), camera)

    def map(self, function) -> FaceParameters:
        """A copy with ``function`` applied to each tensor."""
        return FaceParameters(**{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def to(self, device) -> FaceParameters:
        return self.map(lambda t: t.to(device))

    def replace(self, **changes: Tensor) -> FaceParameters:
        return replace(self, **changes)

    def expanded(self) -> FaceParameters:
        """A view in which every field has the full leading dimensions."""
        shape = self.batch_shape

        def expand(name: str, value: Tensor) -> Tensor:
            return value.expand((*shape, *value.shape[value.dim() - len(_TRAILING[name]) :]))

        return FaceParameters(**{f.name: expand(f.name, getattr(self, f.name)) for f in fields(self)})

    def __getitem__(self, index) -> FaceParameters:
        """Frames of a clip: indexes the leading dimensions; fields without any are shared and kept."""

        def pick(name: str, value: Tensor) -> Tensor:
            return value[index] if self._leading(name, value) else value

        return FaceParameters(**{f.name: pick(f.name, getattr(self, f.name)) for f in fields(self)})

    @staticmethod
    def stack(items: list[FaceParameters]) -> FaceParameters:
        """Single pictures' parameters as a clip: a new leading dimension in every field."""
        return FaceParameters(
            **{f.name: torch.stack([getattr(i, f.name) for i in items]) for f in fields(FaceParameters)}
        )
