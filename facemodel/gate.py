"""Whether a model that was read is a face: its size, the side its surface shows, how far its components move it.

A file that is read with the wrong unit, with variances for standard deviations, or with triangles that go around the
other way, is a valid model of something that isn't a face. Enters: a `FaceModel`. Leaves: a list of checks, each with
what was found and a guess of what is wrong. Imports call `require`, `portrait model info` shows `inspect`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.jointed import JointedModel
from facemodel.landmark_schemes import SCHEMES
from foundation.errors import PortraitError


@dataclass(frozen=True)
class Limits:
    """What a face may be. Lengths in millimetres."""

    eyes_apart: tuple[float, float] = (55.0, 75.0)  # between the eyes' centres
    height: tuple[float, float] = (120.0, 400.0)  # of the whole mesh, a mask or a head with neck
    outward: float = 0.05  # share of the surface, by area, that looks outwards rather than inwards: -1 to 1
    strongest: tuple[float, float] = (0.5, 60.0)  # rms, where it moves at all, of a block's strongest one at 3 std
    weakest: float = 0.01  # the same of its weakest
    alike: float = 1.2  # the strongest over the weakest, of an orthonormal basis that was read without its std
    share: float = 0.05  # of a component's largest move: vertices below it aren't moved


LIMITS = Limits()


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    passed: bool | None  # None where the model can't be asked
    found: str
    expected: str = ""
    guess: str = ""  # what is wrong, probably; of a check that failed


def inspect(model: FaceModel, limits: Limits = LIMITS) -> list[Check]:
    """All checks, in the order in which a failure is best explained."""
    checks = [
        _finite(model), _height(model, limits), _eyes(model, limits), _outward(model, limits), _upright(model),
        *(_moves(model, block, limits) for block in ("identity", "expression") if model.count(block)),
    ]  # fmt: skip
    return [replace(check, guess="") if check.passed else check for check in checks]


def require(model: FaceModel, name: str, limits: Limits = LIMITS) -> None:
    """PortraitError with the first check that failed."""
    for check in inspect(model, limits):
        if check.passed is False:
            raise PortraitError(
                f"model '{name}': {check.name}: {check.found}, expected {check.expected}; {check.guess}; "
                "import it with --force if it is what you want"
            )


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _finite(model: FaceModel) -> Check:
    parts = {"mean": model.mean} | {k: v for k, v in model.named_buffers() if k.endswith("_basis")}
    bad = [k for k, v in parts.items() if not bool(torch.isfinite(v).all())]
    found = f"{bad[0]} has numbers that aren't finite" if bad else "all finite"
    return Check("numbers", not bad, found, "finite numbers", "the file is broken: get it again")


def _surface(model: FaceModel) -> Tensor:
    """The vertices that triangles use."""
    return model.mean[model.triangles.unique()]


def _unit(ratio: float) -> str:
    """What a length that is ``ratio`` times what it should be says about the unit."""
    units = {1e-3: "metres", 1e-2: "tenths of a metre", 0.1: "centimetres", 1e3: "micrometres"}
    best = min(units, key=lambda u: abs(torch.tensor(ratio / u).log().item()))
    close = abs(torch.tensor(ratio / best).log().item()) < 0.7
    wrong = f"its lengths look like {units[best]} taken for millimetres"
    return wrong if close else "it isn't a face, or its unit is another"


def _height(model: FaceModel, limits: Limits) -> Check:
    surface = _surface(model)
    height = float(surface[:, 1].max() - surface[:, 1].min())
    return Check(
        "size",
        _within(height, limits.height),
        f"{height:.3g} mm high",
        f"{limits.height[0]:g} to {limits.height[1]:g} mm",
        _unit(max(height, 1e-9) / 220),
    )


def eye_places(model: FaceModel) -> Tensor | None:
    """About where the two eyes are (2, 3), the left first; None of a model that doesn't say."""
    if model.eyes is not None:
        return model.eye_centers()
    for name, embedding in model.embeddings.items():
        scheme = SCHEMES[name]
        corners = [list(pair) for pair in scheme.eye_corners]
        if all(float(embedding.weights[c].min()) > 0 for c in corners):
            marks = model.landmarks(model.mean, name)
            return torch.stack([marks[c].mean(0) for c in corners])
    return None


def _eyes(model: FaceModel, limits: Limits) -> Check:
    name = "distance of the eyes"
    places = eye_places(model)
    if places is None:
        return Check(name, None, "not checked: it has neither eyeballs nor landmarks")
    apart = float((places[0] - places[1]).norm())
    return Check(
        name,
        _within(apart, limits.eyes_apart),
        f"{apart:.3g} mm",
        f"{limits.eyes_apart[0]:g} to {limits.eyes_apart[1]:g} mm",
        _unit(max(apart, 1e-9) / 63),
    )


def outwardness(model: FaceModel) -> float:
    """-1 to 1: how far the surface looks away from the middle of the model, by area."""
    a, b, c = (model.mean[model.triangles[:, k]] for k in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    surface = _surface(model)
    away = torch.nn.functional.normalize((a + b + c) / 3 - (surface.amin(0) + surface.amax(0)) / 2, dim=-1)
    return float((normals * away).sum() / normals.norm(dim=-1).sum().clamp_min(1e-12))


def _outward(model: FaceModel, limits: Limits) -> Check:
    value = outwardness(model)
    return Check(
        "surface",
        value >= limits.outward,
        f"looks outwards by {value:.2f}",
        f"at least {limits.outward:g}",
        "its triangles go around the other way"
        if value < 0
        else "its triangles are of another mesh, or counted from 1",
    )


def _upright(model: FaceModel) -> Check:
    """Nose in front of the eyes, chin below them, the left eye at the subject's left."""
    name, places = "axes", eye_places(model)
    for scheme_name, embedding in model.embeddings.items():
        scheme = SCHEMES[scheme_name]
        nose, mouth = scheme.nose_tip, list(scheme.mouth_corners)
        if places is None or float(embedding.weights[[nose, *mouth]].min()) <= 0:
            continue
        marks = model.landmarks(model.mean, scheme_name)
        front = bool(marks[nose, 2] > places[:, 2].max())
        up = bool(marks[mouth, 1].max() < places[:, 1].min())
        left = bool(places[0, 0] > places[1, 0] and marks[mouth[0], 0] > marks[mouth[1], 0])
        wrong = [w for w, right in (("the nose is behind the eyes", front), ("the mouth is above the eyes", up),
                                    ("left and right are swapped", left)) if not right]  # fmt: skip
        return Check(
            name,
            not wrong,
            wrong[0] if wrong else "nose in front, mouth below, left at +x",
            "x to the subject's left, y up, z to the front",
            "its landmarks are another model's, or its axes are swapped",
        )
    return Check(name, None, "not checked: it has no landmarks")


def moved(model: FaceModel, block: str, limits: Limits = LIMITS) -> Tensor:
    """How far (K,) 3 std of each component move the mesh, mm rms over the vertices that it moves.

    Of expressions that go from 0 to 1: how far 1 moves it.
    """
    part, basis = model.blocks[block], model.identity_basis if block == "identity" else model.expression_basis
    if block == "expression" and isinstance(model, JointedModel) and model.driving:
        turned = torch.eye(len(part)).to(basis)[model.driving]
        basis = basis.index_copy(0, torch.tensor(model.driving), model.vertices(None, turned) - model.mean)
    reach = torch.where(part.lower < 0, 3 * part.std, torch.ones_like(part.std)).to(basis)
    lengths = basis.norm(dim=-1) * reach[:, None]
    there = lengths >= limits.share * lengths.amax(1, keepdim=True).clamp_min(1e-12)
    return (lengths.square() * there).sum(1).div(there.sum(1).clamp_min(1)).sqrt()


def _moves(model: FaceModel, block: str, limits: Limits) -> Check:
    name = f"{block} components"
    lengths = moved(model, block, limits)
    lowest, highest = float(lengths.min()), float(lengths.max())
    flat = len(lengths) > 4 and highest < limits.alike * max(lowest, 1e-12)
    enough = _within(highest, limits.strongest)
    weak = int((lengths < limits.weakest).sum())
    if highest > limits.strongest[1]:
        guess = "variances were taken for standard deviations, or the unit is another"
    elif flat:
        guess = "it is an orthonormal basis whose standard deviations are missing"
    else:
        guess = "standard deviations are missing, or the unit is another"
    found = f"3 std move it by {lowest:.2g} to {highest:.3g} mm"
    found += f" ({weak} of {len(lengths)} by less than {limits.weakest:g} mm)" if weak else ""
    return Check(
        name,
        enough,
        found + (", all alike" if flat and not enough else ""),
        f"{limits.strongest[0]:g} to {limits.strongest[1]:g} mm of the strongest",
        guess,
    )
