"""Which face is followed, and where the cuts are, with a detector that finds coloured discs."""

from dataclasses import replace

import numpy as np

from facemodel.track import FrameStatus
from fitting.landmarks.base import UPSIDE_DOWN, Face, square_crop
from fitting.tracking.follow import FaceFollower, FollowPolicy
from fitting.tracking.people import Memory

LOOK_AROUND = FollowPolicy().look_around


class Discs:
    """Finds what the test has put in: a list of (centre, size) a picture, in its first row of pixels."""

    name, scheme = "fake", "ibug68"

    def __init__(self):
        self.faces, self.detected, self.doubted = [], 1.0, None  # the one face that detected is of; None for all

    def face(self, centre, size):
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
        return Face(np.asarray(centre, float) + corners, self.scheme, 1.0)

    def detect(self, picture):
        confidences = [self.detected if self.doubted in (None, k) else 1.0 for k in range(len(self.faces))]
        found = [replace(self.face(*f), confidence=c) for f, c in zip(self.faces, confidences)]
        return sorted(found, key=lambda f: -f.size)

    def refine(self, picture, centre, size):
        near = [f for f in (self.face(*f) for f in self.faces) if np.linalg.norm(f.centre - centre) < 0.75 * size]
        return min(near, key=lambda f: np.linalg.norm(f.centre - centre)) if near else None


def picture(seed, brightness=1.0):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 12, 3))
    return np.clip(np.kron(noise, np.ones((12, 12, 1))) * brightness, 0, 255).astype(np.uint8)


def test_the_largest_first_then_the_same_one():
    detector = Discs()
    follower = FaceFollower(detector)
    detector.faces = [((30, 40), 20), ((100, 40), 30)]
    face, status = follower(picture(0))
    assert face.size == 30
    assert FrameStatus.SEVERAL_FACES in status
    for k in range(2 * LOOK_AROUND):  # the other one grows past it
        detector.faces = [((30, 40), 20 + 2 * k), ((100 - k, 40), 30)]
        face, status = follower(picture(0))
        assert face.size == 30
        assert FrameStatus.SEVERAL_FACES in status


def test_an_upside_down_face_is_that_until_the_next_look():
    """Found while looking at the whole picture; the frames in between, where it's only followed, are as doubtful."""
    detector = Discs()
    follower = FaceFollower(detector)
    detector.faces = [((100, 40), 30)]
    detector.detected = UPSIDE_DOWN
    assert [follower(picture(0))[0].confidence for _ in range(LOOK_AROUND)] == [UPSIDE_DOWN] * LOOK_AROUND
    detector.detected = 0.9
    found = [follower(picture(0))[0].confidence for _ in range(LOOK_AROUND)]
    assert found[0] in (UPSIDE_DOWN, 1.0) and found[1:] == [1.0] * (LOOK_AROUND - 1)
    detector.faces, detector.detected = [((30, 40), 30), ((100, 40), 20)], UPSIDE_DOWN
    detector.doubted = 0  # another face, which isn't the followed one
    assert [follower(picture(0))[0].confidence for _ in range(LOOK_AROUND + 1)] == [1.0] * (LOOK_AROUND + 1)


def test_a_lost_face_is_found_again_and_no_frame_goes_without_a_status():
    detector = Discs()
    follower = FaceFollower(detector)
    labels = []
    for k in range(6):
        detector.faces = [] if k in (2, 3) else [((60, 40), 30)]
        labels.append(follower(picture(0))[1].label)
    assert labels == ["tracked", "tracked", "no_face", "no_face", "tracked", "tracked"]


def test_who_it_is_is_asked_after_a_jump_or_a_change_of_size(monkeypatch):
    asked, look = [], np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    monkeypatch.setattr("fitting.tracking.follow._look", lambda picture, face: look)
    monkeypatch.setattr(FaceFollower, "_is_person", lambda self, picture, face: asked.append(face) or True)
    for (centre, size), expected in ((((62, 40), 31), 0), (((72, 40), 30), 1), (((60, 40), 40), 1)):
        detector = Discs()
        detector.faces = [((60, 40), 30)]
        follower = FaceFollower(detector, person=Memory([np.zeros((150, 150, 3), np.uint8)]))
        same = np.full((96, 144, 3), 120, np.uint8)
        follower(same)
        asked.clear()
        detector.faces = [(centre, size)]
        assert follower(same)[0].size == size and len(asked) == expected


def test_a_cut_is_seen_and_a_flash_is_not():
    detector = Discs()
    detector.faces = [((60, 40), 30)]
    follower = FaceFollower(detector)
    seen = [follower(p)[1] for p in (picture(0), picture(0, 0.5), picture(0), picture(1), picture(1))]
    assert [FrameStatus.CUT in s for s in seen] == [False, False, False, True, False]


def test_square_crop_keeps_pixel_centres():
    image = np.zeros((64, 64, 3), np.uint8)
    image[20, 30] = 255  # its centre is at (30.5, 20.5)
    for size, side in ((32, 16.0), (64, 16.0), (16, 64.0)):
        crop = square_crop(image, np.array([30.5, 20.5]), side, size).astype(float).sum(2)
        y, x = np.indices(crop.shape) + 0.5
        centre = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum()
        np.testing.assert_allclose(centre, size / 2, atol=0.51)
