"""Which face of a clip is the one, and where the cuts are: the largest at first, or a person known by pictures.

A frame enters, its `Face` and status leave. Called by the tracker and by the online one. Where a face moves on steadily
it's taken for the same one. After a loss, a jump or a sudden change of its look an embedding says whether it is; while
it's somebody else's, or none, the frame has no face. A new shot that begins with somebody else is a cut, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from facemodel.landmark_schemes import SCHEMES
from facemodel.track import FrameStatus
from fitting.landmarks.base import UPSIDE_DOWN, Face, LandmarkDetector, search
from fitting.landmarks.embedding import can_embed, face_chip
from fitting.tracking.people import THUMB, Memory, alike, thumbnail

SHRUNK = 64  # px, side of the aligned face that is thinned out to a thumbnail
PLACES = np.array([0.36 + 0.42j, 0.64 + 0.42j, 0.5 + 0.72j])  # of the right eye, the left and the mouth in it, of 1


@dataclass(frozen=True)
class FollowPolicy:
    """When the follower looks, and what it takes for a change; measured on talking, grimacing, covered heads."""

    look_around: int = 10  # frames between two looks at the whole picture
    cut_correlation: float = 0.5  # of thumbnails of neighbouring frames; a flash changes brightness, not correlation
    cut_difference: float = 0.25  # of the same, mean absolute over mean brightness
    abrupt: float = 4.0  # times the usual difference of neighbours: a cut within one room, if the face says so
    abrupt_difference: float = 0.03
    steady: float = 0.85  # correlation of neighbouring faces: 0.9 and more where one talks
    jump: float = 0.3  # of the face's size
    growth: float = 1.25
    recognised: float = 0.6  # correlation with the last face at which a lost one is known again at its place
    same: float = 0.6  # distance of embeddings below which they are one person's, as dlib has it
    other: float = 0.7  # distance of embeddings from which a clip's only face is somebody else's after all
    retry: int = 3  # frames after which a face that was another one's is looked at again
    compared: int = 4  # faces at most that a lost one is looked for among
    small: float = 0.08  # of a picture's longer side: a lost face up to this size is looked for about its last place
    about: float = 4.0  # of its size, to each side
    remembered: int = 8  # pictures at most, of as many views


@dataclass
class FollowerState:
    """Everything the follower remembers."""

    centre: tuple[float, float] | None = None
    size: float = 0.0
    velocity: tuple[float, float] = (0.0, 0.0)
    several: bool = False
    upside_down: bool = False  # as the last look at the whole picture found it
    since_look: int = 0
    thumbnail: np.ndarray | None = None  # (32, 48, 3) uint8, of the frame
    usual: float | None = None  # difference of neighbouring frames, running mean
    look: np.ndarray | None = None  # (16, 16, 3) uint8, of the face as it was last
    lost: bool = False  # the person's place isn't known
    others: tuple[tuple[float, float, float, int], ...] = ()  # x, y, size of faces of other people, frames to keep it
    beside: tuple[tuple[float, float, float], ...] = ()  # x, y, size of the other faces at the last look with the face

    def as_json(self) -> dict:
        """Plain data, for a checkpoint."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, table: dict) -> FollowerState:
        pictures = {n: np.array(table[n], np.uint8) for n in ("thumbnail", "look") if table[n] is not None}
        places = {n: tuple(map(tuple, table[n])) for n in ("others", "beside")}
        return cls(**{**table, **pictures, **places})


@dataclass
class FaceFollower:
    """Follows one face through the frames of a clip, in order; or through pictures that aren't ``ordered``: no cuts.

    person: pictures of who is followed; without any it is the largest face of the first frame with one, of whom
        pictures are kept from then on.
    alone: nobody else was seen in the clip. Then a face that is found alone is taken for the person's unless it
        looks quite another's.
    waits: the look at the whole picture that comes now and then is left to who calls (`due`, `look_again`).
    """

    detector: LandmarkDetector
    state: FollowerState = field(default_factory=FollowerState)
    ordered: bool = True
    person: Memory = field(default_factory=Memory)
    alone: bool = True
    waits: bool = False
    policy: FollowPolicy = field(default_factory=FollowPolicy)
    _abrupt: bool = False
    _before: _Thumbnail | None = None

    def __call__(self, picture: np.ndarray) -> tuple[Face | None, FrameStatus]:
        """The followed face of the next frame, (H, W, 3) uint8 RGB, and the frame's status."""
        s = self.state
        cut = self.ordered and self.is_cut(picture)
        if cut:
            s.centre, s.velocity, s.several, s.upside_down, s.others = None, (0.0, 0.0), False, False, ()
        face = look = None
        if s.centre is not None and not (s.lost and self.person.chips):
            face = self.detector.refine(picture, np.array(s.centre) + np.array(s.velocity), s.size)
            look = None if face is None else _look(picture, face)
            if face is not None and self._changed(look, face) and not self._is_person(picture, face):
                face = look = None
        s.since_look += 1
        if face is None:
            faces, others = self._look_around(picture, cut), [place[:3] for place in s.others]
            if self._abrupt:
                s.others = ()  # whoever is there now may be another
            face = self._find(picture, faces)
            s.upside_down = face is not None and face.confidence == UPSIDE_DOWN
            if self._abrupt:  # is somebody new in the picture, or are those who were there gone?
                gone = bool(others) and not any(_lies_on(f, others) for f in faces if f is not face)
                came = not s.lost and not all(_lies_on(f, s.beside) for f in faces)
                cut = cut or (came if face is None else s.lost and gone)
            if face is not None:
                self._note(picture, face, faces)
        elif self.due and not self.waits:
            self.look_again(picture, face)
        status = FrameStatus.TRACKED if face is not None else FrameStatus.NO_FACE
        if cut:
            status |= FrameStatus.CUT
        if s.several and face is not None:
            status |= FrameStatus.SEVERAL_FACES
        s.lost = face is None
        if face is None:
            s.velocity = (0.0, 0.0)
            return None, status
        moved = face.centre - s.centre if s.centre is not None else np.zeros(2)
        s.velocity = tuple(np.clip(0.5 * moved, -0.3 * face.size, 0.3 * face.size))
        s.centre, s.size, s.others = tuple(face.centre), face.size, ()
        s.look = _look(picture, face) if look is None else look
        return (replace(face, confidence=UPSIDE_DOWN) if s.upside_down else face), status

    @property
    def due(self) -> bool:
        """Whether it's time for another look at the whole picture."""
        return self.state.since_look >= self.policy.look_around

    def look_again(self, picture: np.ndarray, face: Face) -> None:
        """Looks at the whole picture in which the face was followed: who else is there, and whether it's upright."""
        faces = self._look_around(picture)
        if faces:
            same = min(faces, key=lambda f: np.linalg.norm(f.centre - face.centre))
            if np.linalg.norm(same.centre - face.centre) < 0.5 * face.size:
                self.state.upside_down = same.confidence == UPSIDE_DOWN
        self._note(picture, face, faces)

    def _note(self, picture: np.ndarray, face: Face, faces: list[Face]) -> None:
        """Keeps what the person looks like, and where the others of a picture's faces are."""
        self._remember(picture, face)
        apart = (f for f in faces if np.linalg.norm(f.centre - face.centre) > 0.5 * face.size)
        self.state.beside = tuple((*map(float, f.centre), f.size) for f in apart)

    def _look_around(self, picture: np.ndarray, cut: bool = False) -> list[Face]:
        """All faces; one too small to be found in a large picture is looked for about its last place."""
        faces, s = self._all_faces(picture, cut), self.state
        s.since_look, s.several = 0, len(faces) > 1
        return faces

    def _all_faces(self, picture: np.ndarray, cut: bool) -> list[Face]:
        faces, s = self.detector.detect(picture), self.state
        if faces or not 0 < s.size < self.policy.small * max(picture.shape):
            return faces
        if s.centre is None:
            return search(self.detector, picture) if cut else []
        corner = np.maximum(np.array(s.centre) - self.policy.about * s.size, 0).astype(int)
        side = int(2 * self.policy.about * s.size)
        around = np.ascontiguousarray(picture[corner[1] : corner[1] + side, corner[0] : corner[0] + side])
        return [replace(f, points=f.points + corner) for f in self.detector.detect(around)] if around.size else []

    def _changed(self, look: np.ndarray | None, face: Face) -> bool:
        """Whether a face that was found near its last place, looking like that, may be another one's."""
        s, p = self.state, self.policy
        if look is None or s.look is None or not self.person.chips:
            return False
        far = np.linalg.norm(face.centre - s.centre) > p.jump * s.size
        grown = not 1 / p.growth < face.size / s.size < p.growth
        return bool(self._abrupt or far or grown or alike(look, s.look) < p.steady)

    def _is_person(self, picture: np.ndarray, face: Face) -> bool:
        """As the embedding has it; where nobody else was seen, anybody who isn't quite another is."""
        limit = self.policy.other if self.alone and not self.state.several else self.policy.same
        return not can_embed(face) or self.person.knows(face_chip(picture, face), limit)

    def _find(self, picture: np.ndarray, faces: list[Face]) -> Face | None:
        """Whose place isn't known, among the faces of a picture, the largest first."""
        s, p = self.state, self.policy
        if not faces:
            return None
        if s.centre is not None:
            near = sorted(faces, key=lambda f: np.linalg.norm(f.centre - s.centre))
            if np.linalg.norm(near[0].centre - s.centre) < 3 * s.size:
                faces = near
        if not self.person.chips or not can_embed(faces[0]):
            return faces[0]
        if self.alone and len(faces) == 1:
            if s.look is None or not self.ordered:
                return faces[0]
            at_place = s.centre is not None and np.linalg.norm(faces[0].centre - s.centre) < 1.5 * s.size
            if at_place and not self._abrupt and alike(_look(picture, faces[0]), s.look) > p.recognised:
                return faces[0]
        s.others = tuple((*place, left - 1) for *place, left in s.others if left > 1)
        for face in faces[: p.compared]:
            if _lies_on(face, [place[:3] for place in s.others]):
                continue
            if self._is_person(picture, face):
                return face
            s.others = (*s.others, (*map(float, face.centre), face.size, p.retry))
        return None

    def _remember(self, picture: np.ndarray, face: Face) -> None:
        """Keeps a picture of the person from a side that isn't known yet, to know them by after a loss."""
        if len(self.person.chips) < self.policy.remembered and can_embed(face):
            chip = face_chip(picture, face)
            small = thumbnail(chip)
            if all(alike(small, thumbnail(known)) < self.policy.recognised for known in self.person.chips):
                self.person.add(chip)

    def is_cut(self, picture: np.ndarray) -> bool:
        """Whether a new shot starts with this picture; to be asked once a frame, in order."""
        import cv2

        s, p = self.state, self.policy
        stride = max(1, picture.shape[0] // 128)  # averaging a whole large frame would take as long as decoding it
        small = cv2.resize(np.ascontiguousarray(picture[::stride, ::stride]), (48, 32), interpolation=cv2.INTER_AREA)
        before, s.thumbnail = s.thumbnail, small
        if before is None:
            return False
        if self._before is None or self._before.picture is not before:  # else it was the last call's
            self._before = _Thumbnail.of(before)
        a, b = _Thumbnail.of(small), self._before
        self._before = a
        difference = np.abs(a.values - b.values).mean() / ((a.mean + b.mean) / 2 + 8)
        self._abrupt = bool(s.usual is not None and difference > max(p.abrupt * s.usual, p.abrupt_difference))
        s.usual = float(difference if s.usual is None else 0.9 * s.usual + 0.1 * min(difference, 4 * s.usual + 0.01))
        correlation = (a.centred * b.centred).sum() / np.sqrt(a.power * b.power + 1)
        return bool(correlation < p.cut_correlation and difference > p.cut_difference)

    @property
    def abrupt(self) -> bool:
        """Whether the picture that `is_cut` was last asked of differs from the one before by more than is usual."""
        return self._abrupt


@dataclass(frozen=True)
class _Thumbnail:
    """A frame's, with what it's compared by."""

    picture: np.ndarray  # (32, 48, 3) uint8
    values: np.ndarray  # the same in float32
    mean: np.float32
    centred: np.ndarray  # the values about their mean colour
    power: np.float32  # sum of their squares

    @classmethod
    def of(cls, picture: np.ndarray) -> _Thumbnail:
        values = picture.astype(np.float32)
        centred = values - values.mean((0, 1))
        return cls(picture, values, values.mean(), centred, (centred * centred).sum())


def _lies_on(face: Face, places: Iterable[tuple[float, float, float]]) -> bool:
    """Whether a face is where one of others (x, y, size) was."""
    return any(np.linalg.norm(face.centre - [x, y]) < 0.3 * z and 0.8 < face.size / z < 1.25 for x, y, z in places)


def _look(picture: np.ndarray, face: Face) -> np.ndarray | None:
    """(16, 16, 3) uint8: a face turned upright, to be compared with the next frame's; None: of no known scheme."""
    import cv2

    if not can_embed(face):
        return None
    left, right = SCHEMES[face.scheme].eye_corners
    mouth = SCHEMES[face.scheme].mouth_corners
    seen = np.stack([face.points[list(pair)].mean(0) for pair in (right, left, mouth)]) @ [1, 1j]
    places, middle = PLACES - PLACES.mean(), seen.mean()
    turn = (places.conj() * (seen - middle)).sum() / (np.abs(places) ** 2).sum()  # of least squares
    corner = middle - turn * PLACES.mean() + turn * (0.5 + 0.5j) / SHRUNK - (0.5 + 0.5j)
    step = turn / SHRUNK
    matrix = np.array([[step.real, -step.imag, corner.real], [step.imag, step.real, corner.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(picture, matrix, (SHRUNK, SHRUNK), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(shown, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
