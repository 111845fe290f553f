"""The eye map of Deep Video Portraits: the visible eyeball white, the iris a blue disc that moves with the gaze.

The disc isn't drawn by vertex colours but worked out a pixel: each eyeball vertex carries its direction from the
eye's centre at rest, which turns with the eyeball; interpolated and normalised, its angle to the optical axis says
on which side of the iris' edge a pixel lies. So the disc is round and its edge smooth at any size.
Lids cover it as they cover the eyeball, through the depth buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SCLERA = (1.0, 1.0, 1.0)
IRIS = (0.0, 0.0, 1.0)
IRIS_RADIUS = 0.49
"""Of the eyeball's, where a model doesn't say which of its vertices are the iris: 5.9 mm of 12 mm in adults."""


@dataclass(frozen=True)
class EyeShape:
    """What the eye map needs of a model; see ``eye_shape``."""

    directions: Tensor  # (V, 3) unit, from the eye's centre at rest; zero off the eyeballs
    triangles: Tensor  # (T,) bool: triangles of an eyeball
    iris_angle: Tensor  # () radians from the optical axis to the edge of the iris
    radius: Tensor  # () mm, of the eyeball


def eye_shape(model) -> EyeShape:
    """Directions and iris size of the mean eyeballs of a ``FaceModel``, whose optical axis at rest is +z.

    Raises PortraitError where it has none.
    """
    centers, radius = model.eye_centers(), model.eye_radius().mean()
    directions = torch.zeros_like(model.mean)
    on_eyeball = torch.zeros(len(model.mean), dtype=torch.bool, device=model.mean.device)
    for vertices, center in zip(model.eyes.vertices, centers):
        directions[vertices] = torch.nn.functional.normalize(model.mean[vertices] - center, dim=-1)
        on_eyeball[vertices] = True
    iris = directions[(model.region("iris") | model.region("pupil")) & on_eyeball]
    return EyeShape(
        directions=directions,
        triangles=on_eyeball[model.triangles].all(-1),
        iris_angle=torch.acos(iris[:, 2].clamp(-1, 1)).amax() if len(iris) else radius.new_tensor(IRIS_RADIUS).asin(),
        radius=radius,
    )


def eye_colors(directions: Tensor, depth: Tensor, focal: Tensor, shape: EyeShape) -> Tensor:
    """Colours (P, 3) in [0, 1] of eyeball pixels.

    Args:
        directions: (P, 3) interpolated ``EyeShape.directions``, any length.
        depth: (P,) mm. focal: (P,) or () px. Together they say how wide the edge of one pixel is.
    """
    axial = directions[:, 2]
    lateral = directions[:, :2].square().sum(-1).clamp_min(1e-12).sqrt()
    angle = torch.atan2(lateral, axial)
    pixel = depth / (focal * shape.radius)  # radians of the eyeball that a pixel spans
    inside = (0.5 + (shape.iris_angle - angle) / pixel).clamp(0, 1)[:, None]
    return inside * directions.new_tensor(IRIS) + (1 - inside) * directions.new_tensor(SCLERA)
