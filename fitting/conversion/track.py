"""A performance in another model's coefficients: a track of one model enters, one of another leaves.

What carries it are points that both surfaces have (`facemodel.bridge.pairs`). Identity is solved for once, by the
person's face at rest; where the other model can't be that shape, what is left is the person's own offset, which no
expression has to make up for. Then each frame's pose, expression and joints are those that move the other surface as
the first one moved: a linear solve within the model's bounds, again where rotations aren't linear. Coefficients that
both models have by the same name are held about their values. Gaze, camera and light are carried as they are,
reflectance as far as the other model has one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.pairs import Pairs
from facemodel.combinations import Place, gather
from facemodel.gaze import EYE_LOOK_NAMES, eye_look, gaze_direction
from facemodel.jointed import JointedModel
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from fitting.conversion.steps import POSE, Basis, Prior, pose_slopes, rigid
from fitting.solver.bounds import solve_bounded
from foundation.progress import Event, Report, ignore
from geometry.camera import FLIP
from geometry.rotation import axis_angle, rotation_matrix

TOLD = 200  # frames at most that the residual is told of


@dataclass(frozen=True)
class ConversionPolicy:
    """How far points count, and how much the models' priors do."""

    shape: float = 2.0  # mm: how near the other model comes to a person's shape, at first and at most
    noise: float = 0.3  # mm: the same to how it moves
    kept: float = 0.4  # std of a model's own identities about what they alone come to, where more were carried over
    colour: float = 0.02  # of 1, linear: the same to its colours
    independent: float = 500.0  # points that count as independent measurements, of a surface's thousands
    named: float = 0.1  # std of an expression about that of the same name
    shape_steps: int = 6
    steps: int = 6  # a frame, at most
    rest: float = 1e-3  # of a coefficient: a frame whose last step was shorter is done


@dataclass(frozen=True)
class Residual:
    """Distance between corresponding points of the face, mm, over all frames."""

    median: float
    most: float  # 95 % are below


@dataclass(frozen=True)
class Conversion:
    """A converted track, and how near it came."""

    track: Track
    surface: Residual  # between the surfaces: what the person's shape loses is in it
    motion: Residual  # without what is the same in all frames: the performance's own loss
    points: int  # that it went by


@dataclass(frozen=True)
class _Rest:
    """The face at rest, of the other model."""

    identity: Tensor  # (I,)
    rotation: Tensor  # (3, 3): the first model's frame = rotation x the other's + shift
    shift: Tensor  # (3,) mm
    offset: Tensor  # (N, 3) mm, the other's frame: what its shape lacks


def convert_track(
    track: Track,
    source: FaceModel,
    target: FaceModel,
    pairs: Pairs,
    *,
    own: bool = False,
    policy: ConversionPolicy = ConversionPolicy(),
    report: Report = ignore,
) -> Conversion:
    """The track of ``source`` as one of ``target``.

    Args:
        pairs: points of the source and of the target.
        own: by the target's own expressions alone, without those that it was given at import.
    """
    with torch.no_grad():
        return _Converter(track, source, target, pairs, own, policy).convert(report)


class _Converter:
    def __init__(self, track: Track, source: FaceModel, target: FaceModel, pairs: Pairs, own: bool, policy) -> None:
        self.track, self.source, self.target, self.policy, self.pairs = track, source, target, policy, pairs
        self.old, self.new = source.combinations(pairs.first), target.combinations(pairs.second)
        self.weights = pairs.weights.double()
        self.share = policy.independent / float(self.weights.sum())
        self.given = track.parameters.expanded()
        self.person = track.parameters.identity.reshape(-1, source.count("identity"))[0]
        self.count, self.own = len(track), own
        self._moved: tuple[Place, Basis] | None = None
        expression, joints = target.blocks["expression"], target.blocks.get("joints")
        self.prior = Prior.of(expression) if joints is None else Prior.of(expression, joints)
        if own and (known := getattr(target.provenance, "own_expressions", None)) is not None:
            self.prior.held[known : len(expression)] = True
        else:
            self.prior.held[len(expression) :] |= target.driven
        index = {name: k for k, name in enumerate(source.expression_names)}
        named = [(index[n], k) for k, n in enumerate(target.expression_names) if n in index and not self.prior.held[k]]
        named = [(a, b) for a, b in named if source.arkit.get(source.expression_names[a]) == a]
        self.theirs, self.ours = torch.tensor(named, dtype=torch.long).reshape(-1, 2).unbind(1)
        look = [target.arkit.get(name) for name in EYE_LOOK_NAMES]
        self.look = None if None in look or target.eyes is None or self.prior.held[look].any() else torch.tensor(look)

    def convert(self, report: Report) -> Conversion:
        rest = self._at_rest()
        made = self.given
        rotation, gaze = rotation_matrix(made.rotation), made.gaze
        flip = torch.as_tensor(FLIP, dtype=torch.float32)
        place = made.translation * flip  # the model's axes, as rotation has them
        poses, shifts, motions, looks, surface, motion, each = [], [], [], [], [], [], []
        told = set(np.linspace(0, self.count - 1, min(self.count, TOLD)).round().astype(int).tolist())
        before: Tensor | None = None
        for f in range(self.count):
            report(Event("converting", f, self.count, "frames"))
            points = self.old.positions(self.person, made.expression[f], _joints(made, f)).double()
            turn = rotation[f].double()
            seen = points @ turn.T + place[f].double()
            pose = turn @ rest.rotation, turn @ rest.shift + place[f].double()
            eyes = _turned(gaze[f], (pose[0].T @ turn).float())
            pose, before, off = self._frame(rest, seen, pose, self._expected(f, eyes), before)
            poses.append(pose[0]), shifts.append(pose[1]), motions.append(before), looks.append(eyes)
            distance = (off - rest.offset).norm(dim=-1)[self.pairs.face]
            each.append(distance.median())
            if f in told:
                surface.append(distance), motion.append(off.norm(dim=-1)[self.pairs.face])
        turns, moved = torch.stack(poses).float(), torch.stack(motions).float()
        expression, joints = moved.split((self.target.count("expression"), self.target.count("joints")), 1)
        if isinstance(self.target, JointedModel):
            expression, joints = self.target.by_name(expression, joints)
        parameters = FaceParameters(
            identity=rest.identity.float(),
            reflectance=self._reflectance(),
            expression=expression,
            rotation=axis_angle(turns),
            translation=torch.stack(shifts).float() * flip,
            illumination=made.illumination,
            gaze=torch.stack(looks),
            focal=self.track.parameters.focal,
            joints=joints if self.target.count("joints") else torch.zeros(0),
        )
        residuals = [_residual(torch.cat(x)) for x in (surface, motion)]
        energies = self.track.energies | {"converted": torch.stack(each).float()}
        facts = {
            "converted": {
                "from": self.source.name,
                "fingerprint": self.source.fingerprint,
                "surface_mm": vars(residuals[0]),
                "motion_mm": vars(residuals[1]),
            }
        }
        converted = replace(
            self.track, model=self.target.name, fingerprint=self.target.fingerprint, parameters=parameters,
            energies=energies, spread={}, facts=self.track.facts | facts,
        )  # fmt: skip
        return Conversion(converted, *residuals, int(self.pairs.face.sum()))

    def _at_rest(self) -> _Rest:
        """The identity of the other model that is nearest to the person's face at rest."""
        w = self.weights
        wanted = self.old.positions(self.person, self.source.blocks["expression"].mean, _still(self.source)).double()
        block, own = self.target.blocks["identity"], self.target.own_identities
        identity = block.mean.clone()
        state = self.target.blocks["expression"].mean, _still(self.target)
        turn, shift = rigid(self.new.positions(identity, *state).double(), wanted, w)
        prior = Prior.of(block)
        prior.held[own:] = True
        stages = [prior]
        if own < len(block) and not self.own:  # what its own statistics don't hold
            stages.append(Prior.of(block))
        for stage, prior in enumerate(stages):
            noise = self.policy.shape
            if stage:
                prior.mean[:own], prior.std[:own] = identity[:own].double(), self.policy.kept
            for k in range(self.policy.shape_steps):
                points = self.new.positions(identity, *state).double()
                basis = Basis.of(self.new.by_identity(identity, *state), w)
                off = points - (wanted - shift) @ turn
                if k:  # how near the model comes is seen in what was left
                    left = (w[:, None] * off.square()).sum() / (3 * w.sum())
                    noise = min(max(float(left.sqrt()), self.policy.noise), self.policy.shape)
                step = self._step(basis, points, off, noise, identity.double(), prior)
                turn, shift = turn @ rotation_matrix(step[:3]), shift + turn @ step[3:POSE]
                identity = identity + step[POSE:].float()
        points = self.new.positions(identity, *state).double()
        return _Rest(identity, turn, shift, (wanted - shift) @ turn - points)

    def _moving(self, state: Place) -> Basis:
        """The derivatives by motion at a state, or those of shortly before, where they hold."""
        if self._moved is None or not self.new.holds(self._moved[0], state):
            self._moved = state, Basis.of(self.new.by_motion(*state), self.weights)
        return self._moved[1]

    def _step(self, basis: Basis, points: Tensor, off: Tensor, noise: float, values: Tensor, prior: Prior) -> Tensor:
        """A Gauss-Newton step (6 + K,) of pose and coefficients, for points (N, 3) that are ``off`` (N, 3) mm."""
        pad = torch.nn.functional.pad
        root = self.weights.sqrt()[:, None]
        pose, rows = (pose_slopes(points) * root[..., None]).flatten(0, 1), (off * root).flatten()
        across = pose.T @ basis.rows
        scale = self.share / noise**2
        matrix = scale * torch.cat([torch.cat([pose.T @ pose, across], 1), torch.cat([across.T, basis.squared], 1)])
        gradient = scale * torch.cat([pose.T @ rows, basis.rows.T @ rows])
        precision = pad(prior.std**-2, (POSE, 0))
        matrix = matrix + torch.diag(precision + 1e-9)
        gradient = gradient + precision * pad(values - prior.mean, (POSE, 0))
        bounds = [(bound - values).masked_fill(prior.held, 0.0) for bound in (prior.lower, prior.upper)]
        low, high = (
            pad(bounds[0].clamp_max(0), (POSE, 0), value=-torch.inf),
            pad(bounds[1].clamp_min(0), (POSE, 0), value=torch.inf),
        )
        return solve_bounded(matrix, gradient, low, high)

    def _expected(self, frame: int, gaze: Tensor) -> Prior:
        """What a frame's motion is before points are looked at."""
        p = self.prior
        mean, std, held = p.mean.clone(), p.std.clone(), p.held.clone()
        if len(self.ours):
            mean[self.ours] = self.given.expression[frame][self.theirs].double()
            std[self.ours] = self.policy.named
        if self.look is not None:
            mean[self.look], held[self.look] = eye_look(gaze).double(), True
        return Prior(p.lower, p.upper, mean.clamp(p.lower, p.upper), std, held)

    def _frame(
        self, rest: _Rest, seen: Tensor, pose: tuple[Tensor, Tensor], prior: Prior, before: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Pose and motion (M,) of a frame whose points are ``seen`` (N, 3), and what they are off by, (N, 3)."""
        (turn, shift), values = pose, prior.mean.clone()
        if before is not None:  # where no name says anything, the frame before is nearest
            unnamed = ~prior.held
            unnamed[self.ours] = False
            values = torch.where(unnamed, before, values)
        expressions = self.target.count("expression")

        def state() -> tuple[Tensor, Tensor, Tensor]:
            return rest.identity, values[:expressions].float(), values[expressions:].float()

        for _ in range(self.policy.steps):
            points = self.new.positions(*state()).double() + rest.offset
            basis = self._moving(state())
            step = self._step(basis, points, points - (seen - shift) @ turn, self.policy.noise, values, prior)
            turn, shift = turn @ rotation_matrix(step[:3]), shift + turn @ step[3:POSE]
            values = torch.minimum(torch.maximum(values + step[POSE:], prior.lower), prior.upper)
            if float(step.abs().max()) < self.policy.rest:
                break
        points = self.new.positions(*state()).double() + rest.offset
        return (turn, shift), values, points - (seen - shift) @ turn

    def _reflectance(self) -> Tensor:
        """Coefficients (A,) of the colours that are nearest, where both models have any."""
        ours, theirs = self.target.reflectance, self.source.reflectance
        if ours is None or theirs is None:
            return torch.zeros(self.target.count("reflectance"))
        colour = gather(self.pairs.first, self.source.albedo(self.track.parameters.reflectance)).double()
        mean, basis = (gather(self.pairs.second, x).double() for x in (ours.mean, ours.basis))
        of, root = Basis.of(basis, self.weights), self.weights.sqrt()[:, None]
        scale = self.share / self.policy.colour**2
        matrix = scale * of.squared + torch.eye(basis.shape[-1], dtype=basis.dtype)
        return torch.linalg.solve(matrix, scale * of.rows.T @ ((colour - mean) * root).flatten()).float()


def _turned(gaze: Tensor, rotation: Tensor) -> Tensor:
    """Gaze (2, 2) of the same directions in axes that are turned."""
    x, y, z = (gaze_direction(gaze) @ rotation.T).unbind(-1)
    return torch.stack([torch.atan2(x, z), y.clamp(-1, 1).asin()], -1)


def _joints(parameters: FaceParameters, frame: int) -> Tensor:
    joints = parameters.joints
    return joints[frame] if joints.dim() > 1 else joints


def _still(model: FaceModel) -> Tensor:
    """Joints at rest, (0,) of a model without any."""
    block = model.blocks.get("joints")
    return torch.zeros(0) if block is None else torch.zeros(len(block))


def _residual(distances: Tensor) -> Residual:
    values = distances.numpy()
    return Residual(*(round(float(np.percentile(values, q)), 3) for q in (50, 95)))
