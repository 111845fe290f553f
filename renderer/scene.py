"""What is drawn: a model's surface under given parameters, ready for the rasteriser."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from facemodel.base import UVAtlas
from geometry.camera import Camera, to_camera
from renderer.eyes import EyeShape, eye_shape

CHANNELS = {"diffuse": 3, "correspondence": 3, "eyes": 3, "normals": 3, "depth": 1, "mask": 1, "textured": 3}
"""Name and number of channels of each map that ``renderer.render`` draws."""


def correspondence_colors(model) -> Tensor:
    """(V, 3) in [0, 1]: the mean head's x, y, z, each scaled to its own range over the whole mesh.

    The colour says which point of the model a pixel shows, whatever the face's shape, expression or pose is
    ("normalised coordinate code"). It depends on the model alone, so it is the same in all tracks of a model.
    """
    low, high = model.mean.amin(0), model.mean.amax(0)
    return (model.mean - low) / (high - low).clamp_min(1e-6)


@dataclass(frozen=True)
class MouthDepth:
    """How much farther from the camera than they are parts of the mouth are drawn, mm."""

    teeth: float = 6.0  # wide mouths press them through the chin
    tongue: float = 6.0


@dataclass(frozen=True)
class _Constants:
    """What depends on the model alone."""

    device: torch.device
    correspondence: Tensor
    eyes: EyeShape | None  # of a model that has eyeballs
    teeth: Tensor  # (V, 1), 1 on them
    tongue: Tensor  # likewise
    tongue_out: int | None  # the expression that puts it out


_constants: WeakKeyDictionary = WeakKeyDictionary()


def _constants_of(model) -> _Constants:
    found = _constants.get(model)
    if found is None or found.device != model.mean.device:
        with torch.no_grad():
            eyes = None if model.eyes is None else eye_shape(model)
            mouth = (model.region(name).to(model.mean)[:, None] for name in ("teeth", "tongue"))
            found = _Constants(
                model.mean.device, correspondence_colors(model), eyes, *mouth, model.arkit.get("tongueOut")
            )
        _constants[model] = found
    return found


def surface_points(model, parameters) -> Tensor:
    """The face's vertices (..., V, 3), mm, camera frame, of parameters with any leading dimensions."""
    p = parameters
    joints = p.joints if p.joints.shape[-1] else None
    return to_camera(model.vertices(p.identity, p.expression, p.gaze, joints), p.rotation, p.translation)


def behind_skin(model, points: Tensor, expression: Tensor, depth: MouthDepth = MouthDepth()) -> Tensor:
    """Points (..., V, 3) mm, camera frame, with teeth and tongue moved back along the line of sight.

    The tongue the less, the farther the tongue is out by the expression (..., E).
    """
    constants = _constants_of(model)
    teeth, tongue = depth.teeth * constants.teeth, depth.tongue * constants.tongue
    if constants.tongue_out is not None:
        tongue = tongue * (1 - expression[..., constants.tongue_out, None, None])
    return points * (1 + (teeth + tongue) / points[..., 2:].clamp_min(1.0))


@dataclass(frozen=True)
class DrawnScene:
    """n pictures' worth of surface. A leading 1 stands for "the same in all"."""

    points: Tensor  # (n, V, 3) mm, camera frame; teeth and tongue a little deeper (`behind_skin`)
    triangles: Tensor  # (T, 3) int64
    albedo: Tensor  # (n or 1, V, 3) linear RGB
    illumination: Tensor  # (n or 1, 9, 3)
    constants: _Constants
    atlas: UVAtlas | None = None
    texture: Tensor | None = None  # (S, R, 3) linear RGB

    @property
    def correspondence(self) -> Tensor:
        return self.constants.correspondence

    @property
    def eyes(self) -> EyeShape | None:
        return self.constants.eyes

    def wants_gradient(self, camera: Camera) -> bool:
        """Whether anything drawn depends on a tensor that wants a gradient through the geometry."""
        tensors = (self.points, camera.focal, camera.focal_y, camera.cx, camera.cy)
        return torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)

    def colors_want_gradient(self) -> bool:
        tensors = (self.albedo, self.illumination, self.texture)
        return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


class SceneBuilder:
    """Makes the scenes of slices of a clip; what all its pictures share is worked out once."""

    def __init__(self, model, parameters, with_albedo: bool, texture: Tensor | None = None):
        self.model, self.texture = model, texture
        self.count = parameters.batch_shape[0] if parameters.batch_shape else 1
        self.parameters = _shared_once(parameters)
        self.with_albedo = with_albedo

    @cached_property
    def _shared_albedo(self) -> Tensor | None:
        reflectance = self.parameters.reflectance
        return self.model.albedo(reflectance)[None] if reflectance.dim() == 1 else None

    def scene(self, part: slice) -> DrawnScene:
        """The scene of the pictures in ``part``."""
        parameters = self.parameters
        own = parameters[part] if parameters.batch_shape else parameters
        points = behind_skin(self.model, surface_points(self.model, own), own.expression)
        count = len(range(*part.indices(self.count)))
        points = points.expand(count, -1, -1) if points.dim() == 3 else points[None].expand(count, -1, -1)
        if not self.with_albedo:
            albedo = self.model.albedo()[None]
        else:
            albedo = self._shared_albedo if own.reflectance.dim() == 1 else self.model.albedo(own.reflectance)
        light = own.illumination if own.illumination.dim() == 3 else own.illumination[None]
        atlas = None if self.texture is None else self.model.atlas
        return DrawnScene(points, self.model.triangles, albedo, light, _constants_of(self.model), atlas, self.texture)


_TRAILING: dict[str, int] = {"illumination": 2, "gaze": 2, "focal": 0}


def _shared_once(parameters):
    """Fields of leading dimensions (1,) lose them: they are the same in all pictures."""
    changes = {}
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if value.dim() > _TRAILING.get(field.name, 1) and len(value) == 1:
            changes[field.name] = value[0]
    return parameters.replace(**changes)
