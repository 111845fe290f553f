"""What each paper's claim has to come to here, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A figure of a method, and how high or low it has to be."""

    text: str
    key: str  # of the method's claims, or "over_still.KIND"
    bar: float
    at_least: bool = True

    def value(self, figures: Mapping) -> float | None:
        """Out of a method's figures; None where it wasn't measured."""
        name, _, kind = self.key.partition(".")
        return figures["over_still"].get(kind) if name == "over_still" else figures.get("claims", {}).get(self.key)

    def before(self, figures: Mapping) -> str:
        """What it was after fewer steps of the same training, in words."""
        told = ((point["steps"], point.get("claims", {}).get(self.key)) for point in figures.get("curve", ()))
        return ", ".join(f"{value:.3g} ({steps})" for steps, value in told if value is not None)

    def met(self, value: float) -> bool:
        return value >= self.bar if self.at_least else value <= self.bar


def over_still(same: float, across: float | None = None) -> list[Bar]:
    """Bars of the landmark error over the still picture's."""
    told = [Bar("drives its own person: landmark error over still's", "over_still.same", same, False)]
    if across is not None:
        told.append(Bar("drives somebody else: the same", "over_still.across", across, False))
    return told


BARS: dict[str, list[Bar]] = {
    "x2face": [
        *over_still(0.6, 0.75),
        Bar("more source frames embed more: dB that 4 gain over 1", "x2face.psnr_gain_of_4", 0.5),
    ],
    "reenactgan": [
        Bar("boundaries know what is done, not by whom: variance between expressions over between people, "
            "against landmarks'", "reenactgan.expression_over_identity", 2.0),
        Bar("the transformer fits the target's face: error of a boundary's points with over without",
            "reenactgan.boundary_error", 0.6, False),
    ],
    "ganimation": [
        Bar("units move as asked: correlation with those read, mean of 12", "ganimation.units", 0.6),
        Bar("nothing changes outside the mask, of 255", "ganimation.change_outside_mask", 2.0, False),
        Bar("the background stays, dB", "ganimation.background_psnr", 35.0),
    ],
    "freenet": [
        Bar("the converter keeps the target's face shape: landmark error converted over copied",
            "freenet.converted_over_copied", 0.5, False),
        *over_still(0.6),
    ],
    "invariant-motion": [
        *over_still(0.7, 0.8),
        Bar("a motion is found among 40 of somebody else, top 1", "invariant-motion.retrieval", 0.6),
        Bar("a probe tells the person from the code, over chance", "invariant-motion.person_over_chance", 3.0, False),
        Bar("the judge of sequences matters: flicker of what rests, with over without",
            "invariant-motion.flicker_ratio", 0.9, False),
    ],
    "latent-pose": [
        *over_still(0.7, 0.8),
        Bar("a pose is found among 40 of somebody else, top 1", "latent-pose.retrieval", 0.5),
        Bar("adapting helps: cosine of what tells people apart", "latent-pose.identity_gain", 0.03),
    ],
    "marionette": [
        *over_still(0.7, 0.8),
        Bar("more targets help: cosine of what tells people apart, with 8 over 1", "marionette.identity_gain", 0.02),
        Bar("the landmark transformer keeps the target's identity: landmark error with over without",
            "marionette.landmarks_with_over_without", 0.7, False),
    ],
    "disentangling": [
        *over_still(0.7, 0.8),
        Bar("embedded faces of a person are alike: their distance over that between people",
            "disentangling.within_over_between", 0.4, False),
    ],
}  # fmt: skip
"""By method."""


def judged(methods: Mapping[str, Mapping]) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Rows: method, claim, bar, what was measured, whether that is met, and what it was after fewer steps."""
    for method, figures in methods.items():
        for bar in BARS.get(method, ()):
            value = bar.value(figures)
            asked = f"{'at least' if bar.at_least else 'at most'} {bar.bar:g}"
            told = ("not measured", "") if value is None else (f"{value:.3g}", "yes" if bar.met(value) else "no")
            yield method, bar.text, asked, *told, bar.before(figures)
