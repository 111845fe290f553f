"""What decides how Face2Face looks; lengths are of the head's height where nothing else is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """What is retrieved from other frames of the clip."""

    name: str
    around: tuple[str, ...]  # regions that say where it is and what shape it has
    inside: tuple[str, ...]  # regions that only show when it is open
    follows: bool  # whether the inside moves as the model says, as eyeballs do; else as what is around it
    pairs: tuple[tuple[int, int], ...]  # landmarks of ibug68, upper and lower, between which it opens
    seen: tuple[str, ...]  # parts of `Track.visibility` that tell whether something is before it
    reach: tuple[float, float]  # mm from ``around`` up to which it covers wholly, and beyond which not at all


INSIDE = ("mouth_inside", "teeth", "tongue")
MOUTH = Part("mouth", ("lips",), INSIDE, False, ((61, 67), (62, 66), (63, 65)), ("mouth",), (9.0, 26.0))
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
EYES = Part("eyes", ("eyelids",), ("eyes",), True, LIDS, ("left_eye", "right_eye"), (2.0, 9.0))


@dataclass(frozen=True)
class Policy:
    """See the fields."""

    parts: tuple[Part, ...] = (MOUTH, EYES)
    texture: int = 384  # texels a side
    textured: int = 12  # frames that the texture is merged from, spread over the clip's poses
    plate: int = 24  # frames that the background is put together from
    halo: float = 0.05  # around a person, of the head's height, that isn't background yet
    kept_bytes: int = 256 << 20  # of frames that are kept at hand for retrieval
    kept: int = 240  # frames, at most
    layered: int = 32  # of these whose person is told from what is behind them and remembered
    live: int = 640  # px of the longer side of live pictures, at most
    resolution: int = 256  # px of the longer side of the picture in which the motion is rendered
    live_resolution: int = 160  # the same of live pictures
    cubic: bool = True  # whether pictures are sampled so; live ones are linearly
    visibility: int = 192  # px of that in which what hides what is found out
    deep: float = 4.0  # mm behind the nearest surface at which a vertex counts as hidden
    hidden: tuple[float, float] = (0.25, 0.6)  # of the wanted cosine to the line of sight, up to which skin isn't shown
    # retrieval, in mm of the parts' vertices
    look: tuple[int, int] = (24, 16)  # px of the small pictures by which parts are told to look alike
    turned: float = 6.0  # a radian of head's turn between two frames
    lacking: float = 1.0  # a mm that the part has to open further than the frame shows
    foreign: float = 0.8  # for any frame but the one underneath
    jump: float = 0.6  # for a cut from one frame to another
    looks: float = 3.0  # for one minus the correlation of the two frames' pictures of the part
    settled: float = 0.15  # for the step to the frame before or behind, or none
    covered: float = 50.0  # for a frame in which something is before the part
    fade: int = 4  # frames over which a cut is blended
    worse: float = 4.0  # by which one of the two shows what is asked for less well, to be left out of that
    # retrieval of the frame underneath where the pose is taken, in mm of the face
    moved: float = 0.3  # a mm in the picture, beside one of shape
    lit: float = 20.0  # e times as much light
    jump_beneath: float = 3.0  # as ``jump``
    settled_beneath: float = 0.15
    steady: float = 0.35  # seconds over which a head's pose is smoothed
    # motion beside the head
    hair: float = 0.1  # that moves as the head does
    beside: tuple[float, float] = (0.0, 0.3)  # of the head, from the chin up, over which that sets in
    fading: float = 0.3  # over which it then comes to rest, if it isn't so long that it would fold
    fading_expression: float = 0.1
    fading_light: float = 0.3
    soft_light: float = 0.02  # standard deviation of the blur of what light changes
    edge: float = 0.15  # from a window's edge, over which what isn't the head comes to rest
    steepest: float = 3.0  # times the motion's length over which it fades at least
    hole: float = 0.015  # of what a frame doesn't show, below which it isn't painted over
    rim: float = 0.12  # inside the outline, over which the head's motion becomes its surroundings'
    bent: float = 0.06  # the same where a head is turned far
    far: tuple[float, float] = (0.1, 0.25)  # radians from the frame's head, at which that sets in, and wholly
    # seams
    relit: tuple[float, float] = (0.6, 1.6)  # of the change of light on the whole head, what a place's own may be
    ring: tuple[float, float] = (0.01, 0.25)  # of a part's alpha, where its colours are compared with those around it
    tone: float = 80.0  # levels of 255 by which the texture's colours are moved to the frame's, at most
    unseen: float = 0.02  # share of a pixel that a frame may lack before the texture is looked up
    offset: float = 48.0  # levels of 255 by which a part's colours are moved to those around it, at most
    folded: tuple[float, float] = (0.4, 0.75)  # px of a frame that a pixel of a lid is drawn out of, to be smoothed
    smoothed: float = 0.85  # how far
    lashes: float = 0.006  # standard deviation of the blur of that
    # an inside that no frame shows: where the mouth opens so many mm further than the retrieved one, it is drawn
    drawn: tuple[float, float] = (3.0, 7.0)
    depth: float = 0.45  # of the light that comes into an open mouth


POLICY = Policy()
