"""Scoring of clips, with a detector and an embedding whose answers are known."""

import numpy as np
import pytest
from skimage.data import astronaut

from benchmarks.image_metrics import ms_ssim, psnr, ssim
from benchmarks.reenactment_scores import Held, Scorer, mouth_and_eyes, to_crop
from fitting import make_detector
from fitting.landmarks.base import Face
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, Crop

PICTURE = astronaut()[:192, 128:320]


@pytest.fixture(scope="module")
def points():
    return make_detector().detect(PICTURE)[0].points


class KnownDetector:
    """Finds the points it was given, moved by the picture's darkness at its corner; nothing in a black picture."""

    name, scheme = "known", "mediapipe478"

    def __init__(self, points):
        self.points = points

    def refine(self, picture, centre, size):
        assert np.allclose(centre, Face(self.points, self.scheme, 1.0).centre)
        if not picture.any():
            return None
        return Face(self.points + (PICTURE[0, 0, 0].astype(float) - picture[0, 0, 0]), self.scheme, 1.0)


def test_scores_of_a_clip(points):
    maps = np.zeros((3, 192, 192, CHANNELS), np.uint8)
    maps[:, 40:150, 40:150, 3] = 9
    faces = np.zeros((3, 192, 192), bool)
    faces[:, 60:120, 50:140] = True
    held = Held(np.array([5, 6, 8]), np.stack([PICTURE] * 3), maps, np.stack([points] * 3), faces)
    score = Scorer(held, KnownDetector(points), lambda picture, face: np.array([1.0, float(picture[0, 0, 0])]))
    made = held.pictures.copy()
    made[0] = made[0] // 2 + 60
    made[2] = 0
    found = score(made)
    head, face = maps[0, ..., 3] > 0, faces[0]
    for name, metric in (("ssim", ssim), ("ms_ssim", ms_ssim)):
        whole = [metric(picture, PICTURE) for picture in made]
        assert found[name] == pytest.approx(np.mean(whole)) and whole[1] == pytest.approx(1)
        for region, mask in (("head", head), ("face", face)):
            assert found[f"{name}_{region}"] == pytest.approx(np.mean([metric(p, PICTURE, mask) for p in made]))
    assert psnr(made[0], PICTURE, face) < found["psnr_face"] == float("inf")
    assert found["landmarks_found"] == pytest.approx(2 / 3)
    moved = abs(float(PICTURE[0, 0, 0]) - made[0, 0, 0, 0]) * 2**0.5
    eyes = np.linalg.norm(points[[263, 362]].mean(0) - points[[33, 133]].mean(0))
    assert found["landmark_nme"] == pytest.approx(moved / eyes / 2)
    assert found["temporal"] == pytest.approx(np.abs(made[0].astype(int) - PICTURE).mean())  # 6 and 8 aren't successive
    assert 0.9 < found["identity"] < 1


def test_mask_of_mouth_and_eyes(points):
    mask = mouth_and_eyes(points, 192)
    inside = [tuple(points[k][::-1].astype(int)) for k in (13, 159, 386, 33, 263, 61, 291)]  # lips, lids, corners
    outside = [tuple(points[k][::-1].astype(int)) for k in (1, 10, 152, 234, 454)]  # nose tip, rim of the face
    assert all(mask[p] for p in inside) and not any(mask[p] for p in outside)
    assert 0.01 < mask.mean() < 0.1


def test_points_in_the_crop():
    assert to_crop(np.array([[30.0, 60.0]]), Crop(10, 20, 80), 160).tolist() == [[40.0, 80.0]]
