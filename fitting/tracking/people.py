"""Who is who among the faces of a clip, and what is remembered of the one who is followed.

`Candidate`s of a survey enter, a list of people leaves, the one shown most first; `fitting.tracking.video` picks one of
them and gives `fitting.tracking.follow` pictures to know them by. An embedding takes as long as a few frames, so
neighbours in time and place are taken for one person, and only where that ends somebody is looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fitting.landmarks.base import Face, LandmarkDetector
from fitting.landmarks.embedding import can_embed, face_chip, shared_embedding
from fitting.observation.crop import FaceCrop
from foundation.errors import PortraitError

THUMB = 16  # px, side of what two faces are quickly compared by


@dataclass(frozen=True)
class PeoplePolicy:
    """When faces of neighbouring frames are one person's, and who is worth a track."""

    linked: float = 0.6  # of a face's size: how far one moves between two frames that are looked at
    grown: float = 1.4  # times as large it becomes
    most_chains: int = 24  # that are told apart by embeddings: the longest ones
    few_faces: int = 3  # a person seen less often, and in less than ``rare`` of the frames, has no track of their own
    rare: float = 0.05
    remembered: int = 3  # pictures of key frames that a person is known by
    same: float = 0.6  # distance of embeddings below which they are one person's, as dlib has it


USUAL = PeoplePolicy()


@dataclass
class Candidate:
    """A face of a frame that was looked at."""

    index: int
    shot: int
    face: Face
    crop: FaceCrop
    segment: int = 0  # counts up where a picture changes suddenly, which may be a cut
    rank: int = 0  # 0: the largest face of its frame
    chip: np.ndarray | None = None  # see `face_chip`


def chip_of(picture: np.ndarray, face: Face) -> np.ndarray | None:
    """`face_chip`, or None for a face that can't be embedded."""
    return face_chip(picture, face) if can_embed(face) else None


def thumbnail(chip: np.ndarray) -> np.ndarray:
    """(16, 16, 3) uint8 of an aligned face."""
    import cv2

    return cv2.resize(chip, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures (H, W, 3) about their mean colours, -1 to 1."""
    a, b = (x.astype(np.float32) - x.mean((0, 1), dtype=np.float32) for x in (a, b))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-6))


class Memory:
    """A person by aligned pictures of them, each of which is embedded when somebody is first compared with it."""

    def __init__(self, chips: Sequence[np.ndarray] = ()) -> None:
        self.chips, self._embedded = list(chips), {}

    def add(self, chip: np.ndarray) -> None:
        self.chips.append(chip)

    def distance(self, chip: np.ndarray) -> float:
        """To the most alike of the pictures, as dlib's embedding measures it."""
        return min(self.distances(Memory([chip])))

    def knows(self, chip: np.ndarray, limit: float) -> bool:
        """Whether ``distance`` is below a limit; no more is embedded than it takes to say so."""
        return self.resembles(Memory([chip]), limit)

    def resembles(self, other: Memory, limit: float) -> bool:
        """Whether any of the pictures is nearer than that to any of another's."""
        return any(distance < limit for distance in self.distances(other))

    def distances(self, other: Memory) -> Iterator[float]:
        """Of each of the pictures to each of another's."""
        for theirs in range(len(other.chips)):
            for ours in range(len(self.chips)):
                yield float(np.linalg.norm(self._embedding(ours) - other._embedding(theirs)))

    def _embedding(self, number: int) -> np.ndarray:
        if number not in self._embedded:
            self._embedded[number] = shared_embedding().of_chip(self.chips[number])
        return self._embedded[number]

    def join(self, other: Memory) -> None:
        """Takes another's pictures for the same person's."""
        self._embedded |= {len(self.chips) + k: known for k, known in other._embedded.items()}
        self.chips += other.chips

    def as_json(self) -> list[str]:
        """Plain data, for a checkpoint: PNGs."""
        import cv2

        return [base64.b64encode(cv2.imencode(".png", chip)[1].tobytes()).decode() for chip in self.chips]

    @classmethod
    def from_json(cls, table: list[str]) -> Memory:
        """Raises ValueError or TypeError for what isn't from ``as_json``."""
        import cv2

        raw = [np.frombuffer(base64.b64decode(text), np.uint8) for text in table]
        pictures = [cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None for data in raw]
        if any(picture is None for picture in pictures):
            raise ValueError("no pictures of a person")
        return cls(pictures)


@dataclass
class _Chain:
    """Faces that lie on each other from frame to frame."""

    faces: list[Candidate]

    @property
    def weight(self) -> float:
        return float(sum(np.sqrt(c.face.size) for c in self.faces))

    def goes_on(self, c: Candidate, stride: int, policy: PeoplePolicy) -> bool:
        last = self.faces[-1]
        alike = 1 / policy.grown < c.face.size / last.face.size < policy.grown
        near = np.linalg.norm(c.face.centre - last.face.centre) < policy.linked * max(c.face.size, last.face.size)
        return last.segment == c.segment and 0 < c.index - last.index <= 2 * stride and near and alike


def people(
    candidates: list[Candidate], stride: int = 1, ordered: bool = True, policy: PeoplePolicy = USUAL
) -> list[list[Candidate]]:
    """The people of a clip, each with their faces in the order of time; who is the largest face longest comes first.

    stride: frames from one that was looked at to the next. Where everybody may be one person, as the only face of one
    shot, or of pictures of one person that aren't ``ordered``, nobody is embedded. Faces that can't be embedded are
    one person: the largest of each frame.
    """
    alone = all(c.rank == 0 for c in candidates)
    if not candidates or (alone and (not ordered or len({c.segment for c in candidates}) == 1)):
        return [candidates] if candidates else []
    if any(c.chip is None for c in candidates):
        return [[c for c in candidates if c.rank == 0]]
    chains: list[_Chain] = []
    for c in candidates:
        ends = [k for k in chains if ordered and k.goes_on(c, stride, policy)]
        if ends:
            min(ends, key=lambda k: np.linalg.norm(k.faces[-1].face.centre - c.face.centre)).faces.append(c)
        else:
            chains.append(_Chain([c]))
    chains.sort(key=lambda k: -k.weight)
    known: list[tuple[Memory, list[Candidate]]] = []
    for chain in chains[: policy.most_chains]:
        shown = max(chain.faces, key=lambda c: c.face.size), chain.faces[len(chain.faces) // 2]
        these = Memory([c.chip for c in {c.index: c for c in shown}.values()])
        if len(known) == 1:  # no other is as near or nearer: one likeness is enough
            likest = 0 if known[0][0].resembles(these, policy.same) else None
        else:
            near = [min(who.distances(these)) for who, _ in known]
            likest = int(np.argmin(near)) if near and min(near) < policy.same else None
        if likest is None:
            known.append((these, list(chain.faces)))
        else:
            known[likest][0].join(these)
            known[likest][1].extend(chain.faces)

    def shown_most(faces: list[Candidate]) -> tuple[float, float]:
        return sum(np.sqrt(c.face.size) for c in faces if c.rank == 0), sum(np.sqrt(c.face.size) for c in faces)

    found = [sorted(faces, key=lambda c: c.index) for _, faces in known]
    frames = len({c.index for c in candidates})
    fewest = min(policy.few_faces, frames)
    lasting = [faces for faces in found if len(faces) >= fewest or len(faces) > policy.rare * frames]
    return sorted(lasting or found, key=shown_most, reverse=True)


def pick(
    found: list[list[Candidate]],
    who: int | np.ndarray | None,
    detector: LandmarkDetector,
    policy: PeoplePolicy = USUAL,
) -> tuple[int, list[Candidate]]:
    """The place from 0 and the faces of one of `people`.

    who: None for the first; a number from 1; or an (H, W, 3) uint8 RGB picture of them.
    Raises PortraitError where nobody is that.
    """
    count = f"{len(found)} {'person' if len(found) == 1 else 'people'}"
    if who is None:
        return 0, found[0]
    if isinstance(who, (int, np.integer)):
        if not 1 <= who <= len(found):
            raise PortraitError(
                f"person: expected a number from 1 to {len(found)}, got {who}; {count} found in the clip"
            )
        return int(who) - 1, found[int(who) - 1]
    face = next(iter(detector.detect(who)), None)
    if face is None:
        raise PortraitError("person: no face found in the photo; give one that shows the face large and from the front")
    if not can_embed(face) or any(c.chip is None for faces in found for c in faces):
        raise PortraitError(
            "person: this detector's landmarks can't be compared with a photo; use --detector mediapipe"
        )
    chip = face_chip(who, face)
    distances = [Memory(pictures(faces)).distance(chip) for faces in found]
    best = int(np.argmin(distances))
    if distances[best] >= policy.same:
        raise PortraitError(
            f"person: nobody in the clip looks like the photo ({count} found, the nearest at {distances[best]:.2f}, "
            f"where {policy.same} is the limit); give another photo, or a number"
        )
    return best, found[best]


def pictures(faces: list[Candidate], policy: PeoplePolicy = USUAL) -> list[np.ndarray]:
    """At most ``policy.remembered`` pictures to know somebody by, evenly over their faces."""
    chips = [c.chip for c in faces if c.chip is not None]
    at = np.linspace(0, len(chips) - 1, min(policy.remembered, len(chips))).round().astype(int)
    return [chips[k] for k in at]
