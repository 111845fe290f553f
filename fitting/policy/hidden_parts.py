"""From when on a part of a face counts as hidden. Read by `fitting.occlusion.regions`.

Chosen on photographs and clips, of bare, bearded and bespectacled faces, and of the same behind drawn masks, hands and
sunglasses (docs/accuracy.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from facemodel.track import HIDDEN


@dataclass(frozen=True)
class PartLimits:
    """Of the share of a part that shows something else than skin."""

    enlarged: float  # the outline that is looked at, over that of the part's landmarks
    seen: float  # share up to which the part is seen for sure
    hidden: float  # share from which on it's hidden for sure
    reach: float  # mm from the part's middle, within which landmarks may be hidden with it


@dataclass(frozen=True)
class HiddenParts:
    # What hides a mouth hides the skin about it as well; bright lips and dark mouths are taken for things, too.
    mouth: PartLimits = field(default_factory=lambda: PartLimits(1.8, 0.45, 0.75, 60.0))
    nose: PartLimits = field(default_factory=lambda: PartLimits(1.0, 0.53, 0.73, 30.0))
    # Of the eye that is seen better, for glasses hide both: one alone may lie in a shadow.
    eyes: PartLimits = field(default_factory=lambda: PartLimits(1.0, 0.75, 0.95, 32.0))
    # Of one eye with brow and cheek, for hands.
    eye: PartLimits = field(default_factory=lambda: PartLimits(2.0, 0.8, 0.9, 32.0))
    limit: float = HIDDEN  # visibility below which a part is hidden
    again: float = 0.8  # visibility from which on a part that was hidden in the frame before is seen again
    least_side: float = 180.0  # px of the picture across the face's square: in smaller ones nothing is told
    dimmest: float = 0.15  # mean colour of the square, of 1: in darker ones nothing is told
    every: int = 4  # frames of a clip in which all was seen, from one that is looked at to the next
    jump: float = 0.015  # of the face's size: a part whose landmarks moved more within the face is looked at, too
