"""When, and how far, a clip's colours are trusted.

On most skin the reflectance leaves moles, beards and shadows unexplained, and the colour term has to be lenient. But
where a face is found that explains the colours but for noise, each colour counts for more, samples need no albedo of
their own, landmarks, which are biased, hardly count, and the eyes' pixels say more about the gaze than landmarks do.
Whether there is such a face is tried over the key frames: see `fitting.tracking.shared`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fitting.policy.weights import TermWeights

if TYPE_CHECKING:
    from fitting.policy.settings import Settings


@dataclass(frozen=True)
class TrustLimits:
    """Up to where colours pass for explained."""

    coarse: float  # colour error, of 1, of a coarse solution that is worth the trial
    fine: float  # the same of a fine one that passes
    implausible: float  # see `fitting.tracking.shared.implausibility`


@dataclass(frozen=True)
class ColourTrust:
    colour_scale: float = 0.01  # of 1: scale of the robust colour term
    detail: float = 0.0025  # linear RGB: standard deviation of a sample's own albedo
    moving: float = 0.5  # share of the way there while tracking
    landmarks: float = 0.05  # share of the landmarks' weights that is left
    more_steps: tuple[int, int] = (3, 5)  # of the finest level: of whole faces, of those partly hidden or in a shadow
    masked_steps: int = 4  # more of the coarse solution, of the latter
    approach: float = 0.5  # share of the way there that is left after each level but the last, of `first`
    first: float = 0.4
    least_side: tuple[float, float] = (160.0, 200.0)  # px of the picture across the face's square: of clips, of few
    least_exposure: float = 0.9  # of `Observation`: in darker pictures everything is nearly the same, and so explained
    explained: float = 0.4  # share of the samples that are to be explained: the others may be occluded, or in a shadow
    whole: TrustLimits = TrustLimits(0.0135, 0.008, 2.0)
    masked: TrustLimits = TrustLimits(0.0135, 0.0075, 2.0)  # of the part that isn't hidden, which is easier to explain
    most_tinted: float = 0.2  # mean square of the reflectance's coefficients; a picture tells little of each
    most_uneven: float = 0.75  # bands of the light above the constant one, over that


@dataclass(frozen=True)
class FrameTerms:
    """What the terms count where colours are trusted so far."""

    still: TermWeights  # of a frame that is begun with from its solution as a key frame
    moving: TermWeights  # of other frames, which landmarks bring near enough for the colours to tell more
    joint: TermWeights  # over the key frames
    detail: float  # standard deviation of a sample's own albedo
    gaze: float  # rad, standard deviation of the landmarks' gaze
    large: TermWeights | None = None  # of a large face in place of the first two; None: of no face
    full_side: float = 1.0  # px of the picture across the face's square, from which on it's large

    def of_frame(self, near: bool, side: float) -> TermWeights:
        """``near``: it is begun with from its solution as a key frame. ``side``: px across the face's square."""
        usual = self.still if near else self.moving
        if self.large is None:
            return usual
        return _towards(usual, self.large, min(1.0, side / self.full_side) ** 2)  # as many pixels as it has


def terms_at(
    settings: Settings, trust: float, few: bool = False, parallax: float = 0.0, clip: bool = False
) -> FrameTerms:
    """``trust``: 0 as usual, 1 where colours are explained but for noise; between them on the way there.

    ``few``: there are hardly more pictures than one. Their identity is as people are rather than as landmarks say, and
    each frame then lies on its picture by weights of its own. ``parallax``: 0 to 1, how far separate pictures from
    many sides tell of a shape (`fitting.tracking.shared`): so far each keeps to the weights that found it. ``clip``:
    many key frames of a clip told each sample's own albedo, so that the colours of a large face say where it is to a
    part of a pixel (`Settings.large`).
    """
    to, gaze = settings.trust, settings.gaze

    def between(usual: float, trusting: float) -> float:
        return usual * (trusting / usual) ** trust

    def weights(w: TermWeights, part: float = 1.0) -> TermWeights:
        share = to.landmarks ** (part * trust)
        scale = w.colour_scale * (to.colour_scale / w.colour_scale) ** (part * trust)
        return replace(
            w, colour_scale=scale, landmarks=share * w.landmarks, pairs=share * w.pairs, brows=share * w.brows
        )

    usual = settings.weights
    if not (trust or few):
        usual = _towards(usual, settings.joint.parallax_frame, parallax)
    return FrameTerms(
        still=settings.joint.few_still if few and not trust else weights(usual),
        moving=weights(usual, to.moving),
        joint=weights(settings.joint_weights),
        detail=between(settings.priors.detail, to.detail),
        gaze=between(gaze.std, gaze.trusting_std),
        large=settings.large if clip and not trust else None,
        full_side=settings.joint.full_side,
    )


def _towards(usual: TermWeights, other: TermWeights, share: float) -> TermWeights:
    """Weights a ``share`` of the way between two, in all but scales, which are those of the first."""
    a, b = vars(usual), vars(other)
    return replace(usual, **{n: a[n] + share * (b[n] - a[n]) for n in ("colour", "landmarks", "pairs", "brows")})
