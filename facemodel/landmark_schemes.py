"""Landmark schemes: which of a detector's points is what.

A scheme names the points that others need (corners of the eyes, pairs that open lids and mouth, brows); a face model
says where a scheme's points are on its surface (`FaceModel.embeddings`), a detector which scheme its points are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundation.registry import Registry


@dataclass(frozen=True)
class LandmarkScheme:
    """L points of a face. Left and right are the subject's; indices are into the L points."""

    name: str
    count: int  # L
    eye_corners: tuple[tuple[int, int], tuple[int, int]]  # outer and inner, of the left eye, of the right
    eye_pairs: tuple[tuple[tuple[int, int], ...], ...]  # (upper lid, lower lid), of the left eye, of as many the right
    lip_pairs: tuple[tuple[int, int], ...]  # (upper, lower) of the inner lips, opposite each other
    brows_outer: tuple[tuple[int, ...], tuple[int, ...]]  # outer half of the left brow, of the right
    brows_inner: tuple[tuple[int, ...], tuple[int, ...]]
    nose_tip: int
    mouth_corners: tuple[int, int]  # left, right
    chin: int
    forehead: int | None = None  # highest point in the middle, where the scheme has one
    nose_base: int | None = None  # where the nose meets the upper lip, in the middle
    irises: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())  # of the left eye, of the right, the centre first
    outline: tuple[int, ...] = ()  # of the face: these slide over the surface as the head turns
    # By part of the face the lines that a face is drawn with, each through some of the points; a closed one ends where
    # it began. Methods that look at drawn faces need them.
    lines: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict, hash=False)

    @property
    def five_points(self) -> tuple[tuple[int, ...], ...]:
        """The points whose means are the five that recognition aligns by, from the left of an upright picture.

        The subject's right eye and left, the nose's tip, the mouth's right corner and left.
        """
        left, right = self.eye_corners
        return right, left, (self.nose_tip,), self.mouth_corners[1:], self.mouth_corners[:1]

    @property
    def skin(self) -> tuple[int, ...]:
        """The points that don't turn with the eyes."""
        turning = {k for side in self.irises for k in side}
        return tuple(k for k in range(self.count) if k not in turning)

    @property
    def brow_pairs(self) -> tuple[tuple[int, int], ...]:
        """Each landmark of a brow with the eye's corner below it: outer halves with the outer corners, then inner."""
        corners = zip(*self.eye_corners)  # outer ones of both sides, inner ones
        halves = (self.brows_outer, self.brows_inner)
        return tuple(
            (k, corner) for half, below in zip(halves, corners) for side, corner in zip(half, below) for k in side
        )


SCHEMES: Registry[LandmarkScheme] = Registry("landmark scheme")

IBUG68 = SCHEMES.add("ibug68", LandmarkScheme(
    name="ibug68",
    count=68,
    eye_corners=((45, 42), (36, 39)),
    eye_pairs=(((43, 47), (44, 46)), ((38, 40), (37, 41))),
    lip_pairs=((61, 67), (62, 66), (63, 65)),
    brows_outer=((26, 25, 24), (17, 18, 19)),
    brows_inner=((22, 23), (21, 20)),
    nose_tip=30,
    mouth_corners=(54, 48),
    chin=8,
    nose_base=33,
    outline=tuple(range(17)),
    lines={
        "jaw": (tuple(range(17)),),
        "brows": ((17, 18, 19, 20, 21), (22, 23, 24, 25, 26)),
        "nose": ((27, 28, 29, 30), (31, 32, 33, 34, 35)),
        "right eye": ((36, 37, 38, 39), (36, 41, 40, 39)),
        "left eye": ((42, 43, 44, 45), (42, 47, 46, 45)),
        "mouth": (
            (48, 49, 50, 51, 52, 53, 54), (60, 61, 62, 63, 64), (60, 67, 66, 65, 64), (48, 59, 58, 57, 56, 55, 54),
        ),
    },
))  # fmt: skip

MEDIAPIPE478 = SCHEMES.add("mediapipe478", LandmarkScheme(
    name="mediapipe478",
    count=478,
    eye_corners=((263, 362), (33, 133)),
    eye_pairs=(((386, 374), (385, 380), (387, 373)), ((159, 145), (158, 153), (160, 144))),
    lip_pairs=((13, 14), (82, 87), (312, 317), (81, 178), (311, 402)),
    brows_outer=((276, 283, 282, 300, 293, 334), (46, 53, 52, 70, 63, 105)),
    brows_inner=((295, 285, 296, 336), (65, 55, 66, 107)),
    nose_tip=4,
    mouth_corners=(291, 61),
    chin=152,
    forehead=10,
    nose_base=2,
    irises=((473, 474, 475, 476, 477), (468, 469, 470, 471, 472)),
    outline=(
        10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
    ),
    lines={
        "jaw": ((
            127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454,
            356,
        ),),
        "brows": (
            (70, 63, 105, 66, 107), (46, 53, 52, 65, 55), (336, 296, 334, 293, 300), (285, 295, 282, 283, 276),
        ),
        "nose": ((168, 6, 197, 195, 5, 4), (98, 97, 2, 326, 327)),
        "right eye": (
            (33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133),
            (469, 470, 471, 472, 469),
        ),
        "left eye": (
            (362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263),
            (474, 475, 476, 477, 474),
        ),
        "mouth": (
            (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
            (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308), (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        ),
    },
))  # fmt: skip
