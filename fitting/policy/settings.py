"""Everything that a fit decides by, as data: schedules, thresholds, weights.

`Settings` is what a caller passes to `fitting.fit_video`; the parts of it go to the rooms that they are named after.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fitting.observation.eye_patches import EyeSquare
from fitting.policy.agreement import AgreementPolicy
from fitting.policy.colour_trust import ColourTrust
from fitting.policy.confidence import ConfidencePolicy
from fitting.policy.hidden_parts import HiddenParts
from fitting.policy.weights import Priors, TermWeights


@dataclass(frozen=True)
class FirstEstimate:
    """Where a solution begins, from landmarks alone (`fitting.tracking.start`)."""

    field_of_view: float = 45.0  # degrees over the longer side, where nothing is known
    face: float = 150.0  # mm, what a face's longer side comes to where PnP finds no pose
    light: float = 2.12694305  # constant coefficient: 0.6 on a white surface
    least_weight: float = 0.2  # of a landmark: with less it isn't tied to the surface well enough for PnP


@dataclass(frozen=True)
class JointSchedule:
    """The solution over the key frames (`fitting.tracking.shared`)."""

    pose_steps: int = 6  # from landmarks alone
    shape_steps: int = 6  # the same with identity and focal length
    coarse_steps: int = 4  # with colours, on the coarsest level
    coarse_scale: float = 0.04  # of 1: scale of the robust colour term there
    coarse_detail: float = 0.02  # std of the samples' own albedo there: it shows what the basis alone explains
    skin_steps: int = 4  # of the reflectance in the end, over the skin alone
    damping: float = 1e-3  # share of the diagonal; long steps lead astray at first
    fine_damping: float = 1e-5  # the same of the fine solution: what is flat, as parallax is, moves slowly with more
    few: int = 2  # key frames, for which there is time for the most samples
    # There landmarks, off alike over a third of a face, say as little of a shape as 20 independent ones, and in one
    # picture a sample's own albedo looks like shading (docs/accuracy.md).
    few_weights: TermWeights = field(
        default_factory=lambda: TermWeights(colour=90.0, landmarks=20.0, pairs=20.0, brows=0.0)
    )
    # The same of a frame with the identity that was found: the priors would take a part of a smile, and the mesh would
    # lie beside the picture.
    few_still: TermWeights = field(
        default_factory=lambda: TermWeights(colour=90.0, landmarks=110.0, pairs=110.0, brows=0.0)
    )
    samples: tuple[int, int, int] = (4, 2, 1)  # times those tracked: trusted over few, trusted over many, else
    # Where separate pictures show a head from many sides, parallax knows its shape; landmarks err alike in all of them.
    parallax: float = 0.25  # rad, spread of the directions in which heads look, where that is half so
    parallax_landmarks: float = 20.0  # what the landmarks count at most where it's wholly so
    # The same of such a frame with the shape that was found: by its landmarks it would leave the place that colours,
    # which are known from all sides, gave it. Lids and lips keep to their openings.
    parallax_frame: TermWeights = field(default_factory=lambda: TermWeights(colour=1000.0, landmarks=20.0, brows=5.0))
    alike: float = 0.3  # correlation of key frames' errors, which would make spreads too narrow (docs/accuracy.md)
    full_side: float = 256.0  # px of the picture across the face's square, from which on colours count fully
    landmark_side: float = 160.0  # the same, of few key frames, from which on landmarks count fully


@dataclass(frozen=True)
class FrameSchedule:
    """A frame's solution (`fitting.tracking.frame`)."""

    start_steps: int = 8  # from landmarks alone, in the first frame of a shot
    more_steps: int = 3  # a level, there
    loose: float = 4.0  # slack of the temporal prior while the landmarks give a first estimate
    at_rest: float = 0.5  # a solver whose last step was shorter, in posterior standard deviations, has converged
    damping: float = 1e-4  # share of the diagonal
    enlarged: float = 1.5  # px of a pyramid's level over px of the picture, at most


@dataclass(frozen=True)
class Visibility:
    """The depth buffer that says what the head itself hides (`fitting.energy.visibility`)."""

    buffer: int = 96  # px, its side over the square about the face
    tolerance: float = 4.0  # mm
    edge: float = 1 / 64  # of the square's side: nearer to the picture's edge a pyramid's level has black in it


@dataclass(frozen=True)
class Thinning:
    """How fine the mesh is that hides things (`fitting.energy.occluder`); mm."""

    most: int = 8000  # vertices, up to which a mesh is taken as it is
    coarse: float = 5.0  # cells: a pixel of the depth buffer is about 4 mm
    fine: float = 1.5  # the same about the eyes, whose lids are told to a pixel of theirs
    about_eyes: float = 25.0  # from an eyeball's centre


@dataclass(frozen=True)
class GazeSearch:
    """The search for the gaze that explains the eyes' pixels (`fitting.energy.gaze`)."""

    reach: tuple[float, float] = (0.35, 0.15)  # rad about the landmarks' gaze: in a first frame, in others
    std: float = 0.03  # rad: how far the landmarks' gaze is taken to be off
    trusting_std: float = 0.12  # the same where colours are trusted
    rounds: int = 3  # of the grid, each a quarter as wide
    grid: int = 4  # steps to either side
    independent: float = 0.12  # share of the pixels that count as independent measurements
    noise: float = 0.02  # of 1, std of the brightness that nothing explains better
    fewest: int = 20  # visible pixels of the picture itself, below which an eye says nothing
    apart: tuple[float, float] = (0.05, 0.03)  # rad, how far the eyes' yaws and pitches are


@dataclass(frozen=True)
class Occlusion:
    """What is done where a part of a face is hidden or in a cast shadow (`fitting.occlusion`)."""

    hidden: float = 0.16  # share of a face that makes it one that is hidden, so that only its skin counts
    some: float = 0.05  # the same, from which on the reflectance is of the skin alone
    shaded: float = 0.1  # share that makes a shadow with a light of its own
    unknown: float = 0.9  # share of other things, from which on a face is not understood
    least_side: float = 96.0  # px of the picture across the face's square, from which on its parts can be told
    begun_with: float = 0.4  # share of the usual light that a shadow is taken to leave at first
    shade_std: float = 3.0  # its prior's standard deviation, over that light: wide, but never nothing
    least: float = 0.1  # no part is taken to be less likely than that
    scale: float = 0.03  # of 1: colours of skin are off by that much, at most so much less
    typical: float = 0.3  # share of the samples that a light is taken to explain
    most: float = 4.0  # of the logarithm: one sample's colour says no more than that
    fewest: int = 4  # samples that are around one, or next to it, at least
    around: float = 0.016  # share of the samples that are around one, within 14 mm
    next_to: float = 0.005  # the same within 8 mm
    alike: float = 0.97  # share of the samples around that are to be in the same light
    shown: float = 0.9  # share of those next to one that are to be skin


@dataclass(frozen=True)
class Settings:
    """The defaults are those of the "balanced" quality; docs/accuracy.md shows what each costs and gives."""

    samples: int = 1000
    regions: tuple[str, ...] = ("skin", "lips")  # where samples are, of a model that knows its regions
    least_motion: float = 0.3  # mm, rms over the face: statistical expressions that move less aren't solved for
    levels: tuple[int, ...] = (64, 128)  # px of the face's square, coarse to fine
    landmark_steps: int = 1  # before the photometric term joins
    steps: tuple[int, ...] = (1, 1)  # a level, while tracking
    joint_levels: tuple[int, ...] = (64, 128, 256)  # px, over the key frames
    joint_steps: tuple[int, ...] = (4, 4, 5)  # a level
    key_frames: int = 8
    looked_at: int = 48  # at most twice as many frames are looked at for key frames, evenly over the clip
    weights: TermWeights = field(default_factory=TermWeights)
    # The same of a large face whose samples' own albedo many key frames told.
    large: TermWeights = field(default_factory=lambda: TermWeights(colour=3000.0, pairs=200.0))
    # The detector errs alike in every frame, towards an average face, so it says less of what the frames share.
    joint_weights: TermWeights = field(default_factory=lambda: TermWeights(colour=3000.0, landmarks=150.0, brows=0.0))
    priors: Priors = field(default_factory=Priors)
    start: FirstEstimate = field(default_factory=FirstEstimate)
    joint: JointSchedule = field(default_factory=JointSchedule)
    frame: FrameSchedule = field(default_factory=FrameSchedule)
    trust: ColourTrust = field(default_factory=ColourTrust)
    visibility: Visibility = field(default_factory=Visibility)
    thinning: Thinning = field(default_factory=Thinning)
    eyes: EyeSquare = field(default_factory=EyeSquare)
    gaze: GazeSearch = field(default_factory=GazeSearch)
    occlusion: Occlusion = field(default_factory=Occlusion)
    hidden_parts: HiddenParts = field(default_factory=HiddenParts)
    agreement: AgreementPolicy = field(default_factory=AgreementPolicy)
    confidence: ConfidencePolicy = field(default_factory=ConfidencePolicy)

    def worthwhile(
        self, sizes: tuple[int, ...], steps: tuple[int, ...], side: float
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The levels that aren't mere enlargements of a square of ``side`` px; the last gets the others' steps too."""
        kept = max(1, sum(size <= self.frame.enlarged * side for size in sizes))
        return sizes[:kept], (*steps[: kept - 1], sum(steps[kept - 1 :]))


_TRUSTING = TermWeights(colour=3000.0, landmarks=20.0, pairs=20.0, brows=0.0)

QUALITIES = {
    "fast": Settings(samples=700, levels=(64,), steps=(2,), joint_levels=(64, 128), joint_steps=(4, 4), key_frames=6),
    "balanced": Settings(),
    "best": Settings(
        samples=3000,
        levels=(64, 128, 256),
        steps=(2, 2, 2),
        joint_steps=(6, 6, 8),
        key_frames=12,
        joint_weights=_TRUSTING,
    ),
}
