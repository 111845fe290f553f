"""FLAME's coefficients as other projects' trackers keep them, from and to this project's parameters.

There lengths are metres, joints axis-angle, and the root turns about its joint; here the root doesn't turn, and a pose
is about the model's origin. World: OpenGL's camera axes (x right, y up), before a camera at the origin that looks along
-z. Who calls: exports of avatars' data sets, and imports of trackers' files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.gaze import gaze_rotation
from facemodel.jointed import JointedModel
from facemodel.parameters import FaceParameters
from foundation.errors import PortraitError
from geometry.camera import FLIP
from geometry.rotation import axis_angle, rotation_matrix

METRES = 0.001
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
IDENTITY, EXPRESSION = 300, 100
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
STILL = 1e-3  # an activation that is none


@dataclass(frozen=True)
class Flame:
    """F frames; float64."""

    shape: np.ndarray  # (300,)
    expression: np.ndarray  # (F, 100)
    rotation: np.ndarray  # (F, 3) of the root, about its joint
    translation: np.ndarray  # (F, 3) metres
    neck: np.ndarray  # (F, 3)
    jaw: np.ndarray  # (F, 3)
    eyes: np.ndarray  # (F, 6) left, right
    lids: np.ndarray  # (F, 2) left, right, 0 to 1; zeros where there is no such shape

    def __len__(self) -> int:
        return len(self.expression)

    @classmethod
    def joined(cls, parts: Sequence[Flame]) -> Flame:
        """Frames one after the other; a clip has one shape, the mean of theirs."""
        names = ("expression", "rotation", "translation", "neck", "jaw", "eyes", "lids")
        shape = np.mean([p.shape for p in parts], 0)
        return cls(shape, *(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def is_flame(model: FaceModel) -> bool:
    """Whether a model's coefficients are FLAME's own."""
    return (
        isinstance(model, JointedModel)
        and model.skeleton.names == JOINTS
        and model.own_identities == IDENTITY
        and model.count("expression") >= EXPRESSION
    )


def own_expressions(model: FaceModel) -> int:
    """How many of a model's expressions are its file's: the first ones. The rest it was given at its import."""
    own = getattr(model.provenance, "own_expressions", None)
    return model.count("expression") if own is None else own


def lid_indices(model: FaceModel) -> list[int | None]:
    """Where the eyelids, left and right, that come with FLAME are among the expressions; None of one that isn't."""
    names = model.expression_names[EXPRESSION : own_expressions(model)]
    return [EXPRESSION + names.index(n) if n in names else None for n in LIDS]


def require_own(p: FaceParameters, model: FaceModel) -> None:
    """PortraitError where a face is or moves by what FLAME was given at its import, and not by its jaw."""
    own = own_expressions(model)
    rest = model.blocks["expression"].mean[own:]
    used = (p.expression[:, own:] - rest).abs().amax(0) > STILL
    used[[k - own for k in model.driving if k >= own]] = False
    again = (
        "which other programs' FLAME doesn't have; 'portrait model convert TRACK --model flame.model --to flame.model "
        "--npz flame.npz -o TRACK2' has FLAME's own alone"
    )
    if (p.identity[..., model.own_identities :].abs() > STILL).any():
        raise PortraitError(f"track: of a person by shapes that '{model.name}' was given at its import, {again}")
    if used.any():
        names = [n for n, u in zip(model.expression_names[own:], used.tolist()) if u]
        raise PortraitError(
            f"track: moves by {len(names)} shapes that '{model.name}' was given at its import ({', '.join(names[:3])}, "
            f"...), {again}"
        )


def require_flame(model: FaceModel, purpose: str) -> None:
    """PortraitError for any other model. ``purpose``: what needs it, as the sentence's subject."""
    if not is_flame(model):
        raise PortraitError(
            f"{purpose} has FLAME's coefficients, and the model '{model.name}' isn't FLAME; import yours ('portrait "
            "model import flame2023.pkl -o flame.model') and give --model flame.model, and what was fitted with it"
        )


def root_joint(model: JointedModel, identity: Tensor, expression: Tensor) -> np.ndarray:
    """(F, 3) metres, model frame: where the root turns. identity (I,) or (F, I), expression (F, E)."""
    with torch.inference_mode():
        return METRES * _array(model.rest_joints(identity, expression))[:, 0]


def to_flame(p: FaceParameters, model: JointedModel) -> Flame:
    """Of parameters with a row a frame, of a FLAME model."""
    turn = rotation_matrix(p.rotation.double()).cpu().numpy()
    root = root_joint(model, p.identity, p.expression)
    origin = METRES * np.array(FLIP) * _array(p.translation)
    translation = origin - root + np.einsum("fab,fb->fa", turn, root)
    lids = [np.zeros(len(turn)) if k is None else _array(p.expression[:, k]) for k in lid_indices(model)]
    eyes = _array(axis_angle(gaze_rotation(p.gaze.double()))).reshape(-1, 6)
    joints = _array(model.angles(p.expression, p.joints))
    return Flame(
        _array(p.identity[0, :IDENTITY]), _array(p.expression[:, :EXPRESSION]), _array(p.rotation), translation,
        joints[:, :3], joints[:, 3:], eyes, np.stack(lids, 1),
    )  # fmt: skip


def to_parameters(flame: Flame, model: JointedModel, focal: float) -> FaceParameters:
    """A row a frame, identity, reflectance and focal length (px) once; reflectance and light are the mean's.

    Gaze is where an eye looks: a turn of it about that direction is lost. The jaw is open by the expression that opens
    it, where there is one.
    """
    frames, tensor = len(flame), lambda a: torch.from_numpy(np.ascontiguousarray(a)).float()
    p = FaceParameters.neutral(model, (frames,), focal=focal)
    expression = p.expression.clone()
    expression[:, :EXPRESSION] = tensor(flame.expression)
    for side, k in enumerate(lid_indices(model)):
        if k is not None:
            expression[:, k] = tensor(flame.lids[:, side])
    forward = rotation_matrix(torch.from_numpy(flame.eyes.reshape(-1, 2, 3)))[..., 2]  # where (0, 0, 1) goes
    yaw, pitch = torch.atan2(forward[..., 0], forward[..., 2]), torch.asin(forward[..., 1].clamp(-1, 1))
    identity = torch.nn.functional.pad(tensor(flame.shape), (0, model.count("identity") - IDENTITY))
    root = root_joint(model, identity, expression)
    turn = rotation_matrix(torch.from_numpy(flame.rotation)).numpy()
    origin = flame.translation + root - np.einsum("fab,fb->fa", turn, root)
    expression, joints = model.by_name(expression, tensor(np.concatenate([flame.neck, flame.jaw], 1)))
    return p.replace(
        identity=identity,
        reflectance=p.reflectance[0],
        focal=torch.tensor(float(focal)),
        expression=expression,
        rotation=tensor(flame.rotation),
        translation=tensor(origin / METRES * np.array(FLIP)),
        gaze=torch.stack([yaw, pitch], -1).float(),
        joints=joints,
    )


def moved_before(flame: Flame, root: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> Flame:
    """The same seen by cameras with x_camera = R x + t, (F or 1, 3, 3) and (F or 1, 3) metres, OpenGL's axes.

    root: (F, 3), see `root_joint`.
    """
    turn = rotation @ rotation_matrix(torch.from_numpy(flame.rotation)).numpy()
    turned = _array(axis_angle(torch.from_numpy(turn)))
    at = np.einsum("fab,fb->fa", np.broadcast_to(rotation, turn.shape), flame.translation + root) + translation
    return replace(flame, rotation=turned, translation=at - root)


def six(rotations: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) as the first two rows of each matrix, (..., 6): PyTorch3D's 6-D rotations."""
    return rotation_matrix(torch.from_numpy(rotations)).numpy()[..., :2, :].reshape(*rotations.shape[:-1], 6)


def from_six(rows: np.ndarray) -> np.ndarray:
    """The inverse of `six`; made orthonormal as by Zhou et al., "On the continuity of rotation representations"."""
    a, b = rows[..., :3], rows[..., 3:]
    x = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b - (x * b).sum(-1, keepdims=True) * x
    y = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return _array(axis_angle(torch.from_numpy(np.stack([x, y, np.cross(x, y)], -2))))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
