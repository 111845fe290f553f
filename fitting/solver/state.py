"""The unknowns: what is one a clip, what is one a frame, and how a step is applied to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from facemodel.parameters import FaceParameters
from geometry.rotation import axis_angle, rotation_matrix

POSE, GAZE, LIGHT = 6, 4, 27
OWN = ("rotation", "translation", "expression", "gaze", "light")  # what each frame has of its own


@dataclass(frozen=True)
class Layout:
    """Where each block of unknowns stands in a row of the Jacobian: the shared ones first, then a frame's own."""

    identity: int
    reflectance: int
    expression: int

    @property
    def shared(self) -> int:
        return self.identity + self.reflectance + 1

    @property
    def frame(self) -> int:
        return POSE + self.expression + GAZE + LIGHT

    def slices(self) -> dict[str, slice]:
        """Columns of each block in [shared | frame]."""
        sizes = {
            "identity": self.identity,
            "reflectance": self.reflectance,
            "log_focal": 1,
            "rotation": 3,
            "translation": 3,
            "expression": self.expression,
            "gaze": GAZE,
            "light": LIGHT,
        }
        out, start = {}, 0
        for name, size in sizes.items():
            out[name] = slice(start, start + size)
            start += size
        return out


@dataclass(frozen=True)
class FitState:
    """Current estimate for F frames."""

    identity: Tensor  # (I,) standard deviations
    reflectance: Tensor  # (A,) standard deviations
    detail: Tensor  # (N, 3) linear RGB, what each surface sample's albedo is beyond the model's
    brows: Tensor  # (P',) shares of the face's size: how much higher than on the model brows rest on this person
    log_focal: Tensor  # () log px
    rotation: Tensor  # (F, 3, 3), model axes
    translation: Tensor  # (F, 3) mm, camera frame
    expression: Tensor  # (F, E) in [0, 1]
    gaze: Tensor  # (F, 2, 2) rad
    light: Tensor  # (F, 9, 3)

    def __len__(self) -> int:
        return len(self.rotation)

    def frame(self, index: int) -> FitState:
        """One of the frames, as a state of one."""
        return replace(self, **{n: getattr(self, n)[index : index + 1] for n in OWN})

    def stepped(self, shared: Tensor | None, frame: Tensor, layout: Layout) -> FitState:
        """The state after a step: ``shared`` (S,), None for no change, and ``frame`` (F, P), in the layout's order.

        Rotations are multiplied from the left by the step's, expressions stay within [0, 1].
        """
        at = layout.slices()
        own = lambda name: frame[:, at[name].start - layout.shared : at[name].stop - layout.shared]  # noqa: E731
        moved = replace(
            self,
            rotation=rotation_matrix(own("rotation")) @ self.rotation,
            translation=self.translation + own("translation"),
            expression=(self.expression + own("expression")).clamp(0, 1),
            gaze=self.gaze + own("gaze").view(-1, 2, 2),
            light=self.light + own("light").view(-1, 3, 9).transpose(1, 2),
        )
        if shared is None:
            return moved
        return replace(
            moved,
            identity=self.identity + shared[at["identity"]],
            reflectance=self.reflectance + shared[at["reflectance"]],
            log_focal=self.log_focal + shared[at["log_focal"]][0],
        )

    def parameters(self) -> FaceParameters:
        return FaceParameters(
            identity=self.identity,
            reflectance=self.reflectance,
            expression=self.expression,
            rotation=axis_angle(self.rotation),
            translation=self.translation,
            illumination=self.light,
            gaze=self.gaze,
            focal=self.log_focal.exp(),
        )
