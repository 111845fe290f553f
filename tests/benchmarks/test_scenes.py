"""How synthetic people are spoilt, and the detector that knows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import fitting
from benchmarks.adam import descend, energy, moving_frames, target_of
from benchmarks.eos_fit import FILES, EosFit, compare
from benchmarks.faults import DARK, FoundOrTrue, half_shadow, occluder
from benchmarks.recovery import Clip
from facemodel.track import Track
from fitting.landmarks.base import Face
from foundation.errors import PortraitError
from renderer import project, to_camera


class Stub:
    """Finds faces ``aside`` px beside the truth."""

    name, scheme = "known", "mediapipe478"

    def __init__(self, points, aside):
        self.points, self.aside = points, aside

    def detect(self, picture):
        return [] if self.aside is None else [Face(self.points + self.aside, self.scheme, 1.0)]

    def refine(self, picture, centre, size):
        return next(iter(self.detect(picture)), None)


def test_faults(model, scene):
    g = torch.Generator().manual_seed(0)
    grey = np.full((3, 160, 160, 3), 0.5, np.float32)
    dark = half_shadow(grey, scene, g)
    assert dark.min() == pytest.approx(0.5 * DARK ** (1 / 2.2), rel=1e-2)
    middle = scene.landmarks[0].mean(0).astype(int)
    assert dark.max() == pytest.approx(0.5, rel=1e-2)
    assert 0.3 < dark[0, middle[1], middle[0]].mean() < 0.5

    hidden = (occluder(grey, scene, g) != grey).any(-1)
    assert 0.01 < hidden.mean() < 0.5
    assert (grey == 0.5).all(), "the pictures themselves were changed"


@pytest.mark.parametrize(("aside", "found"), [(1.0, 1), (None, 0), (60.0, 0)])
def test_landmarks_are_the_detector_s_where_it_finds_the_face(scene, aside, found):
    truth = scene.landmarks[0]
    detector = FoundOrTrue(Stub(truth, aside), [scene])
    (face,) = detector.detect(scene.pictures[0])
    assert (detector.count_found, len(detector.found)) == (found, 1)
    off = face.points - truth
    if found:
        np.testing.assert_allclose(off, 1.0)
    else:
        assert 1.3 < off.std() < 1.7 and abs(off.mean()) < 0.2
    again = detector.refine(scene.pictures[0], face.centre, face.size)
    np.testing.assert_array_equal(again.points, face.points)


def test_wrong_landmarks_are_as_many_and_as_far_off_as_said(scene):
    detector = FoundOrTrue(Stub(scene.landmarks[0], 0.0), [scene], wrong=0.2, wrong_by=20.0)
    distance = np.linalg.norm(detector.detect(scene.pictures[0])[0].points - scene.landmarks[0], axis=1)
    assert set(distance.round(6)) == {0.0, 20.0}
    assert 0.14 < (distance > 0).mean() < 0.26


def test_a_clip_is_fitted_with_a_detector_of_one_s_own(model, scene):
    fast = fitting.Settings(samples=300, key_frames=2)
    detector = FoundOrTrue(Stub(None, None), [scene])
    track = fitting.fit_video(Clip(scene.pictures), model=model, detector=detector, settings=fast)
    assert track.tracked.all()
    assert len(detector.found) == 3
    np.testing.assert_allclose(track.landmarks.numpy(), scene.landmarks, atol=8)


@pytest.fixture
def track(model, scene):
    """The truth as if it had been fitted."""
    points = torch.from_numpy(scene.landmarks).float()
    times, ones = torch.arange(3.0), torch.ones(3, dtype=torch.int64)
    return Track(model.name, model.fingerprint, 160, 160, scene.truth, times, ones, ones.float(), landmarks=points)


def test_frames_are_chosen_by_their_motion(track):
    def marks(moves):
        return torch.tensor(moves, dtype=torch.float32).cumsum(0)[:, None, None].expand(-1, 4, 2)

    eight = replace(track, status=torch.ones(8, dtype=torch.int64), landmarks=marks([0, 1, 5, 2, 9, 3, 4, 6]))
    assert moving_frames(eight, (0.0, 1.0)) == [1, 4]
    lost = replace(eight, status=torch.tensor([1, 1, 1, 0, 1, 1, 1, 1]))
    assert moving_frames(lost, (0.0, 1.0)) == [1, 7], "a frame beside a lost one has no motion"


def test_landmark_fits_are_timed_on_the_same_points(model, track, scene, tmp_path):
    p = track.parameters.expanded()
    points = model.landmarks(model.vertices(p.identity, p.expression), "ibug68")
    points = project(to_camera(points, p.rotation, p.translation), scene.camera).double().numpy()
    seen = []
    result = compare(lambda *arguments: seen.append(arguments), model, track, points[:2])
    assert 0 <= result["eos_ms"] < result["clip_ms"] < result["landmarks_ms"] < 5000
    assert [(w, h) for _, w, h in seen] == [(160, 160)] * 2
    np.testing.assert_array_equal(seen[1][0], points[1])
    with pytest.raises(PortraitError, match=FILES[0]):
        EosFit(tmp_path)


def test_adam_descends_to_the_energy_that_it_is_given(model, scene, track):
    """With the compiled rasteriser, which draws the same picture."""
    result = descend(model, track, 1, scene.pictures[1], rasterizer="numba")
    assert result.start > result.ours >= 0
    assert result.reached < 0.6 * result.start
    target = target_of(model, track, 1, scene.pictures[1])
    moved = scene.truth[1].replace(rotation=scene.truth[1].rotation + 0.1)
    assert energy(model, moved, target, "mediapipe478", "numba") > 1.5 * result.ours
