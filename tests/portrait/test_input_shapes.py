"""Pictures of other shapes: turned as a phone writes them, 4K, a face that fills the frame, one of 24 pixels."""

import cv2
import numpy as np
import pytest

import facemodel
from portrait.cli import main
from portrait.services.fitting import FitOptions, fit_clip
from portrait.services.setup import Setup
from portrait.video import VideoReader
from portrait.video.sample import carphone
from tests.portrait.raw_video import write_raw


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Fits one picture, stored turned if asked for; its track."""
    folder = tmp_path_factory.mktemp("shapes")

    def fit_picture(name, picture, rotation=0, **options):
        clip = write_raw(folder / f"{name}.mp4", [picture], rotation=rotation)
        options = FitOptions(quality="fast", **options)
        return fit_clip(clip, folder / f"{name}.track", options, setup=Setup(device="cpu")).track

    return fit_picture


@pytest.fixture(scope="module")
def picture():
    """A frame of the installed clip, (288, 352, 3)."""
    frame = next(iter(VideoReader(carphone(), square=False)))[2]
    return cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def upright(fit, picture):
    return fit("upright", picture, fov_deg=50)


def face(track):
    """Landmarks (L, 2), px, and their extent, px."""
    points = track.landmarks[0].numpy()
    return points, (points.max(0) - points.min(0)).max()


def compare(track, base, scale=1.0, corner=(0, 0), tolerance=0.05):
    """Landmarks where they are in the base picture, which was moved to ``corner`` and scaled; a good fit."""
    points, size = face(track)
    expected = (face(base)[0] - corner) * scale
    assert track.tracked.all()
    assert np.linalg.norm(points - expected, axis=1).mean() / size < tolerance
    assert float(track.confidence[0]) > 0.4
    assert float(track.energies["landmarks"][0]) < 0.02


def test_a_phone_s_portrait_clip(fit, picture, upright):
    """Stored lying, with a note to turn it: width, height and --fov are those of the upright picture."""
    track = fit("phone", np.ascontiguousarray(np.rot90(picture)), rotation=-90, fov_deg=50)
    assert (track.width, track.height) == (352, 288)
    compare(track, upright)
    assert track.facts["camera"]["focal_px"] == pytest.approx(176 / np.tan(np.radians(25)), rel=1e-5)
    assert track.facts["camera"]["principal_point"] == [176, 144]
    assert np.abs((track.parameters.rotation - upright.parameters.rotation).numpy()).max() < 0.05


def test_4k(fit, picture, upright):
    track = fit("uhd", cv2.resize(picture, (3840, 2160)), fov_deg=50)
    points, size = face(track)
    expected = face(upright)[0] * [3840 / 352, 2160 / 288]
    assert (track.width, track.height) == (3840, 2160)
    assert np.linalg.norm(points - expected, axis=1).mean() / size < 0.05 and float(track.confidence[0]) > 0.4


def test_a_face_that_fills_the_frame(fit, picture, upright):
    points, size = face(upright)
    side = int(1.15 * size)
    left, top = np.floor((points.min(0) + points.max(0)) / 2 - side / 2).astype(int)
    close = cv2.resize(picture[top : top + side, left : left + side], (480, 480), interpolation=cv2.INTER_CUBIC)
    compare(fit("close", close), upright, 480 / side, (left, top))


def test_a_face_of_24_pixels(fit, picture, upright):
    """In a frame 27 times as wide."""
    scale = 24 / face(upright)[1]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    far = np.full((360, 640, 3), 110, np.uint8)
    far[120 : 120 + small.shape[0], 300 : 300 + small.shape[1]] = small
    compare(fit("far", far), upright, scale, (-300 / scale, -120 / scale), tolerance=0.1)


def test_info_says_what_the_camera_is(track, capsys):
    assert main(["info", str(track)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "camera" in line)
    table = facemodel.Track.load(track)
    focal = float(table.parameters.focal)
    degrees = np.degrees(2 * np.arctan(88 / focal))
    prior = 88 / np.tan(np.radians(22.5))
    assert line.split("camera")[1].strip() == (
        f"focal {focal:.1f} px (solved, first guess {prior:.1f}), {degrees:.1f} degrees wide, principal point (88, 72)"
    )
    assert table.facts["camera"]["focal"] == "solved" and table.facts["camera"]["prior_px"] == pytest.approx(prior)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--person", "0"], "expected a number from 1, or a photo, got 0"),
        (["--person", "nobody.jpg"], "--person: photo 'nobody.jpg': no such file"),
        (["--person", "1", "--all-people"], "one person or all"),
    ],
)
def test_whom_to_follow_is_checked_before_the_work(tmp_path, capsys, options, message):
    assert main(["fit", str(carphone()), "-o", str(tmp_path / "t"), *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
