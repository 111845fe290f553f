"""Action units of the Facial Action Coding System from ARKit's shapes, and back.

The table follows FACS (Ekman, Friesen, Hager, "Facial Action Coding System", 2002) as ICT-FaceKit's README (Li et al.,
"Learning formation of physically-based face attributes", CVPR 2020) and M. Ozel's "ARKit to FACS cheat sheet" assign
shapes to it. Intensities go from 0 to 5, as A to E do in FACS and in OpenFace's ``AUxx_r``. They are AU-like: geometry,
in proportion to a shape's activation, on a scale that no coder has calibrated. Sides are averaged, since such columns
have none. Enters and leaves: arrays or tensors by name or number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STRONGEST = 5.0  # an activation of 1
PRESENT = 1.0  # intensity from which a unit counts as there: FACS' A


@dataclass(frozen=True)
class ActionUnit:
    """A unit, and the shapes whose mean it is."""

    name: str
    shapes: tuple[str, ...]


def _both(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}{side}" for stem in stems for side in ("Left", "Right"))


ACTION_UNITS: dict[int, ActionUnit] = {
    1: ActionUnit("inner brow raiser", ("browInnerUp",)),
    2: ActionUnit("outer brow raiser", _both("browOuterUp")),
    4: ActionUnit("brow lowerer", _both("browDown")),
    5: ActionUnit("upper lid raiser", _both("eyeWide")),
    6: ActionUnit("cheek raiser", _both("cheekSquint")),
    7: ActionUnit("lid tightener", _both("eyeSquint")),
    9: ActionUnit("nose wrinkler", _both("noseSneer")),
    10: ActionUnit("upper lip raiser", _both("mouthUpperUp")),
    12: ActionUnit("lip corner puller", _both("mouthSmile")),
    14: ActionUnit("dimpler", _both("mouthDimple")),
    15: ActionUnit("lip corner depressor", _both("mouthFrown")),
    16: ActionUnit("lower lip depressor", _both("mouthLowerDown")),
    17: ActionUnit("chin raiser", ("mouthShrugLower",)),
    18: ActionUnit("lip pucker", ("mouthPucker",)),
    19: ActionUnit("tongue show", ("tongueOut",)),
    20: ActionUnit("lip stretcher", _both("mouthStretch")),
    22: ActionUnit("lip funneler", ("mouthFunnel",)),
    23: ActionUnit("lip tightener", _both("mouthPress")),  # ARKit has one shape for 23 and 24
    24: ActionUnit("lip pressor", _both("mouthPress")),
    26: ActionUnit("jaw drop", ("jawOpen",)),
    28: ActionUnit("lip suck", ("mouthRollLower", "mouthRollUpper")),
    29: ActionUnit("jaw thrust", ("jawForward",)),
    34: ActionUnit("cheek puff", ("cheekPuff",)),
    45: ActionUnit("blink", _both("eyeBlink")),
}
"""By number. 25, lips part, follows from several shapes: see `intensities`."""

LIPS_PART = 25


def unit_name(number: int) -> str:
    """As OpenFace's columns begin: AU01."""
    return f"AU{number:02d}"


def intensities(activations: Mapping[str, Any]) -> dict[int, Any]:
    """0 to 5 of every unit whose shapes are all there; of 25, lips part, where the jaw's is.

    25 is the widest of what parts lips: the jaw, less what closes the mouth over it, the lower lip, the upper one.
    """
    found = {
        number: sum(activations[n] for n in unit.shapes) * (STRONGEST / len(unit.shapes))
        for number, unit in ACTION_UNITS.items()
        if all(n in activations for n in unit.shapes)
    }
    if 26 in found:
        parting = found[26] - STRONGEST * activations.get("mouthClose", 0.0)
        for number in (10, 16):
            if number in found:
                parting = _larger(parting, found[number])
        found[LIPS_PART] = _larger(parting, 0 * parting)
    return dict(sorted(found.items()))


def activations(found: Mapping[int, Any]) -> dict[str, Any]:
    """0 to 1 of the shapes of units that are there: the inverse of `intensities` for faces whose sides are alike.

    Where two units share shapes (23, 24), the first one counts; 25 is left out, for the jaw and the lips say it.
    """
    shapes: dict[str, Any] = {}
    for number, value in found.items():
        for name in ACTION_UNITS[number].shapes if number in ACTION_UNITS else ():
            shapes.setdefault(name, value / STRONGEST)
    return shapes


def _larger(a: Any, b: Any) -> Any:
    """Elementwise, of numbers, arrays or tensors alike."""
    return (a + b + abs(a - b)) / 2
