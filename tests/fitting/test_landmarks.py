"""MediaPipe's detector on real pictures, and who closes it."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

import fitting
from facemodel import FrameStatus
from fitting.landmarks.base import UPSIDE_DOWN
from fitting.landmarks.mediapipe import MediaPipeDetector
from fitting.tracking import video as tracker
from fitting.tracking.confidence import frame_doubts
from foundation.errors import PortraitError
from portrait.video import VideoReader
from portrait.video.sample import carphone

ROOT = Path(__file__).parents[2]


def threads():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads"))


@pytest.fixture(scope="module")
def detector():
    made = MediaPipeDetector()
    yield made
    made.close()


def test_a_face_that_fills_the_frame_is_found(detector):
    """Cut so close that brows and chin touch the edges: the detector's boxes need something around a face."""
    picture = astronaut()
    face = detector.detect(picture)[0]
    side = int(0.85 * face.size)
    x, y = (face.centre - side / 2).astype(int)
    close = cv2.resize(picture[y : y + side, x : x + side], (480, 480), interpolation=cv2.INTER_CUBIC)
    found = detector.detect(close)
    assert len(found) == 1
    expected = (face.points - [x, y]) * 480 / side
    assert np.linalg.norm(found[0].points - expected, axis=1).mean() < 0.03 * found[0].size


def test_points_are_the_picture_s_whatever_square_they_were_looked_for_in(detector):
    picture = astronaut()
    face = detector.detect(picture)[0]
    for aside, larger in ((0.1, 1.0), (0.0, 1.3), (-0.1, 0.8)):
        again = detector.refine(picture, face.centre + aside * face.size, larger * face.size)
        assert np.linalg.norm(again.points - face.points, axis=1).mean() < 0.03 * face.size
    left, right = face.points[473], face.points[468]  # irises: dark spots with white beside them
    for x, y in (left, right):
        row = picture[int(y) - 1 : int(y) + 2, int(x) - 8 : int(x) + 9].mean((0, 2))
        assert row[6:11].mean() < min(row[:4].mean(), row[-4:].mean())


def test_closing_gives_the_threads_back(detector):
    before = threads()
    made = MediaPipeDetector()
    assert threads() > before
    made.close()
    assert threads() == before


def test_a_fit_closes_the_detector_it_made_and_no_other(monkeypatch, model):
    class Nobody:
        name, scheme, closed = "own", "mediapipe478", False

        def detect(self, picture):
            return []

        def close(self):
            self.closed = True

    made, mine = Nobody(), Nobody()
    monkeypatch.setattr(tracker, "make_detector", lambda *_: made)
    picture = np.zeros((40, 40, 3), np.uint8)
    for detector in ("mediapipe", mine):
        with pytest.raises(PortraitError, match="no face found"):
            fitting.fit_image(picture, model=model, detector=detector)
    assert made.closed and not mine.closed


def test_nothing_of_mediapipe_is_on_the_terminal_and_what_else_is_said_stays():
    """In a process of its own: it warns once in each."""
    code = (
        "import os; from skimage.data import astronaut; from fitting.landmarks.mediapipe import MediaPipeDetector;"
        "found = [len(MediaPipeDetector().detect(astronaut())) for _ in range(2)];"
        "os.write(2, f'{found}, a real error'.encode())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "[1, 1], a real error"


def test_an_upside_down_face_is_doubtful_and_no_upright_or_lying_one(detector, model):
    reader = VideoReader(carphone())
    frames = [frame for index, _, frame in reader if index in (42, 60, 78)]
    turned = [[face.confidence for face in detector.detect(np.ascontiguousarray(f[::-1, ::-1]))] for f in frames]
    found = [confidence for confidences in turned for confidence in confidences]
    assert len(found) >= 2 and set(found) == {UPSIDE_DOWN}  # found there, with an upright mesh over them
    lying = [np.ascontiguousarray(np.rot90(astronaut()[:300, 50:400], k)) for k in (1, 3)]
    found = [face.confidence for f in [*frames, *lying] for face in detector.detect(f)]
    assert len(found) >= 4 and min(found) > 0.5
    picture = np.ascontiguousarray(frames[1][::-1, ::-1])
    track = fitting.fit_image(picture, model=model, detector=detector, settings=fitting.QUALITIES["fast"])
    assert FrameStatus(int(track.status[0])) & FrameStatus.UNCERTAIN
    assert "upside down" in frame_doubts(track, 0)[0]
