"""Who is who in a clip, and who is followed after being hidden or a cut: on photographs of two people side by side."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from facemodel.track import FrameStatus
from fitting import make_detector
from fitting.landmarks.base import Face
from fitting.tracking import people as module
from fitting.tracking.follow import FaceFollower, FollowerState
from fitting.tracking.keyframes import survey
from fitting.tracking.people import Candidate, Memory, people, pick, pictures
from foundation.errors import PortraitError
from portrait.video import VideoReader
from portrait.video.sample import carphone

HEIGHT, WIDTH = 240, 480


@pytest.fixture(scope="module")
def detector():
    made = make_detector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def faces(detector):
    """Two people, (200, 200, 3) about the face of each."""
    out = []
    for shown in (astronaut(), next(iter(VideoReader(carphone())))[2]):
        face = detector.detect(shown)[0]
        side = 1.6 * face.size
        matrix = np.array(
            [[200 / side, 0, 100 - 200 / side * face.centre[0]], [0, 200 / side, 100 - 200 / side * face.centre[1]]]
        )
        out.append(cv2.warpAffine(shown, matrix, (200, 200), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
    return out


class Clip:
    """Frames by a function of their number."""

    def __init__(self, frame, count):
        self.frame, self.frame_count = frame, count

    def __iter__(self):
        return ((k, k / 25, self.frame(k)) for k in range(self.frame_count))


def room(k=0):
    noise = np.random.default_rng(5).integers(60, 140, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
    picture = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    return np.clip(picture + np.random.default_rng(k).integers(-2, 3, picture.shape), 0, 255).astype(np.uint8)


def with_faces(*placed, k=0):
    """Faces at (x, y), scaled, in the room."""
    picture = room(k)
    for face, x, scale in placed:
        small = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[20 : 20 + len(small), x : x + len(small)] = small
    return picture


def seen_in(clip, detector):
    """Who is in a clip, by a survey."""
    found = survey(clip, detector, 128, clip.frame_count)
    return people(found.candidates, found.stride)


def follow(clip, who, detector, person=None):
    """Faces (None where there's none) and statuses, with the memory that a survey gives."""
    _, mine = pick(who, person, detector)
    follower = FaceFollower(detector, FollowerState(), True, Memory(pictures(mine)), len(who) == 1)
    return [follower(picture) for _, _, picture in clip]


def test_after_a_cover_the_same_person_and_nobody_meanwhile(detector, faces):
    """She is covered for some frames while he stays in the picture."""
    her, him = faces

    def frame(k):
        picture = with_faces((her, 20, 1.0), (him, 260, 0.9), k=k)
        if 4 <= k < 12:  # a board slides over her and back
            picture[:, 0 : min(230, 60 * (k - 3), 60 * (12 - k))] = 90
        return picture

    clip = Clip(frame, 16)
    who = seen_in(clip, detector)
    assert len(who) == 2
    seen = follow(clip, who, detector)
    centres = [None if face is None else face.centre[0] for face, _ in seen]
    assert all(x is not None and x < 240 for x in centres[:4] + centres[13:])
    assert centres[7:9] == [None] * 2 and all(x is None or x < 240 for x in centres)
    assert not any(FrameStatus.CUT in status for _, status in seen)
    # and he, by number and by photo
    for person in (2, him):
        seen = follow(clip, who, detector, person=person)
        assert all(face is not None and face.centre[0] > 240 for face, _ in seen)


def test_a_cut_between_two_people_in_one_room(detector, faces):
    """Nothing changes but who sits there; and changes back."""
    her, him = faces
    clip = Clip(lambda k: with_faces((him if 6 <= k < 12 else her, 140, 1.0), k=k), 16)
    who = seen_in(clip, detector)
    assert len(who) == 2
    seen = follow(clip, who, detector)
    assert [face is not None for face, _ in seen] == [not 6 <= k < 12 for k in range(16)]
    assert [k for k, (_, status) in enumerate(seen) if FrameStatus.CUT in status] == [6, 12]


def test_whoever_comes_second_comes_by_a_cut(detector, faces):
    """He is followed, and she was there before him; somebody who merely joins others doesn't cut."""
    her, him = faces
    clip = Clip(lambda k: with_faces((her if k < 8 else him, 140, 1.0), k=k), 16)
    seen = follow(clip, seen_in(clip, detector), detector, person=him)
    assert [face is not None for face, _ in seen] == [k >= 8 for k in range(16)]
    assert [k for k, (_, status) in enumerate(seen) if FrameStatus.CUT in status] == [8]
    clip = Clip(lambda k: with_faces((her, 20, 1.0), *[(him, 260, 0.9)] * (k >= 8), k=k), 16)
    seen = follow(clip, seen_in(clip, detector), detector, person=him)
    assert seen[9][0] is not None and not any(FrameStatus.CUT in status for _, status in seen)


def test_one_person_alone_is_never_embedded(detector, faces, monkeypatch):
    def refuse():
        raise AssertionError("nobody else is in the clip")

    monkeypatch.setattr(module, "shared_embedding", refuse)
    clip = Clip(lambda k: with_faces((faces[0], 100 + 3 * k, 1.0), k=k), 10)
    who = seen_in(clip, detector)
    assert len(who) == 1 and all(face is not None for face, _ in follow(clip, who, detector))


def test_who_is_not_there_is_refused(detector, faces):
    her, him = faces
    found = survey(Clip(lambda k: with_faces((her, 100, 1.0), k=k), 3), detector, 128, 3)
    who = people(found.candidates)
    assert pick(who, 1, detector)[0] == pick(who, her, detector)[0] == 0
    with pytest.raises(PortraitError, match="from 1 to 1, got 2"):
        pick(who, 2, detector)
    with pytest.raises(PortraitError, match="nobody in the clip looks like the photo"):
        pick(who, him, detector)
    with pytest.raises(PortraitError, match="no face found in the photo"):
        pick(who, room(), detector)


class Colours:
    """An embedding of pictures of one colour."""

    def of_chip(self, chip):
        return chip[0, 0].astype(np.float32) / 100


def candidate(index, x, colour, size=40.0, rank=0, segment=0):
    face = Face(np.array([[x - size / 2, 0], [x + size / 2, size]]), "ibug68", 1.0)
    return Candidate(index, 0, face, None, segment, rank, np.full((4, 4, 3), colour, np.uint8))


def test_who_is_largest_longest_comes_first_and_nobody_is_split(monkeypatch):
    monkeypatch.setattr(module, "shared_embedding", Colours)
    red, blue, green = (200, 0, 0), (0, 0, 200), (0, 200, 0)
    seen = [candidate(k, 50 + 2 * k, red) for k in range(10)]
    seen += [candidate(k, 300, blue, 30.0, rank=1) for k in range(20)]
    seen += [candidate(k, 200, red, segment=1) for k in range(12, 20)]  # after a cut, elsewhere
    seen += [candidate(11, 500, green, rank=2)]  # a passer-by
    found = people(sorted(seen, key=lambda c: (c.index, c.rank)))
    assert [[c.chip[0, 0].tolist() for c in faces] for faces in found] == [[list(red)] * 18, [list(blue)] * 20]


def test_memory_survives_a_checkpoint(faces):
    chips = [cv2.resize(f, (150, 150)) for f in faces]
    kept = Memory.from_json(Memory(chips).as_json())
    assert all(np.array_equal(a, b) for a, b in zip(kept.chips, chips))
    assert kept.distance(chips[1]) == pytest.approx(0, abs=1e-6)
    assert kept.knows(chips[1], 0.1) and not kept.knows(chips[1], 0.0)
    state = FollowerState((1.0, 2.0), 3.0, look=np.zeros((16, 16, 3), np.uint8), others=((1.0, 2.0, 3.0, 2),))
    again = FollowerState.from_json(state.as_json())
    assert again.others == state.others and again.look.shape == (16, 16, 3) and again.thumbnail is None
