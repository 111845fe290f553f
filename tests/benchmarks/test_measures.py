"""The benchmarks' yardsticks: alignment, angles, colours, and what is read off landmarks."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.measures import (
    after_scale,
    face_pixels,
    gaze_degrees,
    photometric_error,
    rigid,
    rotation_degrees,
    skin_pixels,
    vertex_distances,
)
from benchmarks.quality import draw
from benchmarks.real import EYES, IRISES, between_corners, blink_times, jitter, landmark_error, lids_and_gaze
from benchmarks.recovery import BARS, score
from facemodel.track import Track
from renderer import project, render, surface_points


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 2.0))
def test_rigid_finds_the_motion(seed, scale):
    g = np.random.default_rng(seed)
    a, turn, shift = g.normal(size=(20, 3)) * 50, Rotation.random(random_state=seed).as_matrix(), g.normal(size=3) * 9
    rotation, offset, factor = rigid(a, a @ turn.T * scale + shift)
    np.testing.assert_allclose(rotation, turn, atol=1e-9)
    np.testing.assert_allclose(factor, scale, rtol=1e-9)
    if scale == 1:
        np.testing.assert_allclose(offset, shift, atol=1e-8)


def test_size_counts_unless_it_is_taken_out_and_mirroring_always_does():
    a = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 40
    moved = 1.1 * a @ torch.tensor(Rotation.from_rotvec([0.3, -1.2, 0.4]).as_matrix()).float().T + 5
    assert vertex_distances(a, moved, enlarge=True).max() < 1e-3
    np.testing.assert_allclose(vertex_distances(a, moved), 0.1 * (a - a.mean(0)).norm(dim=1), rtol=1e-3)
    assert np.median(vertex_distances(a, a * torch.tensor([-1.0, 1, 1]), enlarge=True)) > 10


def test_angles():
    a, b = torch.tensor([[0.0, 0.5, 0.0]]), torch.tensor([[0.0, 0.2, 0.0]])
    assert rotation_degrees(a, b) == pytest.approx(math.degrees(0.3))
    straight, aside = torch.zeros(1, 2, 2), torch.tensor([[[0.1, 0.0], [0.0, -0.2]]])
    np.testing.assert_allclose(gaze_degrees(straight, aside)[0], np.degrees([0.1, 0.2]), rtol=1e-6)


def test_after_scale_leaves_what_no_factor_explains():
    a = torch.tensor([1.0, 2.0, 3.0])
    assert after_scale(a, 2.5 * a) == pytest.approx(0, abs=1e-6)
    assert after_scale(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0])) == pytest.approx(1.0)


def test_photometric_error_is_the_mean_difference_over_the_skin(model, scene):
    own = scene.truth[0]
    drawn = (render(model, own, scene.camera)["diffuse"][0] * 255).round()
    skin = skin_pixels(model, own, scene.camera)
    picture = drawn.clone()
    picture[skin] = drawn[skin].sub(10)
    picture[~skin] = 0  # the rest doesn't count
    inside = picture.clamp(0, 255).to(torch.uint8).numpy()
    assert photometric_error(model, scene.truth, scene.camera, [(0, inside)])[0] == pytest.approx(10, abs=0.3)
    assert 0.05 < skin.float().mean() < 0.5


def test_the_truth_scores_nothing_and_errors_are_in_their_own_units(model, scene):
    def track(truth):
        return Track(model.name, "", 160, 160, truth, torch.arange(3.0), torch.ones(3), torch.ones(3))

    perfect = score(model, scene, track(scene.truth))
    for name in ("identity", "posed", "rotation", "gaze", "expression", "albedo", "shading"):
        assert np.max(getattr(perfect, name)) < 1e-3, name
    assert perfect.scale == pytest.approx(1)
    assert perfect.photometric.max() < BARS["photometric"]  # noise, blur and compression are in there
    assert np.median(perfect.identity_mean_face) > 1

    truth = scene.truth
    brighter = track(truth.replace(illumination=truth.illumination * 1.5, gaze=truth.gaze + torch.tensor([0.1, 0])))
    result = score(model, scene, brighter)
    assert result.shading.max() < 1e-3, "a factor between light and albedo isn't seen in a picture"
    assert 5 < np.median(result.gaze) < 6
    assert np.median(result.photometric) > 2 * np.median(perfect.photometric)


def test_blinks_are_short_peaks_within_a_shot():
    times = torch.arange(200) / 25.0
    closure = sum((-(((times - t) / 0.08) ** 2)).exp() for t in (1.0, 3.0, 3.6))
    closure = torch.maximum(closure, ((times > 5) & (times < 7)).float())  # shut for two seconds: no blink
    closure += 0.1 * (times * 9).sin()
    shots = [np.arange(0, 100), np.arange(100, 200)]
    np.testing.assert_allclose(blink_times(closure, times, shots), [1.0, 3.0, 3.6], atol=0.05)
    cut = torch.cat([torch.linspace(0, 1, 10), torch.linspace(0.9, 0, 9)])  # one shot ends with what the next begins
    assert len(blink_times(cut, times[:19], [np.arange(19)])) == 1
    assert len(blink_times(cut, times[:19], [np.arange(10), np.arange(10, 19)])) == 0


def test_lids_are_compared_where_both_eyes_are_seen(model, scene):
    """The truth's own landmarks; in the second frame one eye is so narrow that it would be half as open again."""
    truth, seen = scene.truth, torch.from_numpy(scene.landmarks).float()
    track = Track(
        model.name, "", 160, 160, truth, torch.arange(3) / 25, torch.ones(3, dtype=torch.int64), torch.ones(3)
    )
    figures = lids_and_gaze(track, model, seen, seen)
    assert figures["eyes_seen"] == 3 and figures["lids_correlation"] == pytest.approx(1)
    assert figures["iris_px"] == 0 and figures["iris_across_correlation"] == pytest.approx(1)
    turned = seen.clone()
    left, right = EYES[0]
    turned[1, left] = turned[1, right] + 0.3 * (turned[1, left] - turned[1, right])
    assert lids_and_gaze(track, model, turned, seen)["eyes_seen"] == 2


def test_irises_are_placed_in_the_eye_s_own_axes():
    points = torch.zeros(1, 478, 2)
    for (left, right), iris in zip(EYES, IRISES):
        points[0, left], points[0, right] = torch.tensor([0.0, 0.0]), torch.tensor([30.0, 40.0])
        points[0, iris] = torch.tensor([15.0, 20.0]) + 5 * torch.tensor([0.6, 0.8]) + 10 * torch.tensor([0.8, -0.6])
    place, width = between_corners(points)
    np.testing.assert_allclose(place[0], [[0.1, 0.2]] * 2, rtol=1e-5)
    np.testing.assert_allclose(width[0], [50, 50], rtol=1e-6)


def test_landmark_errors_are_shares_of_the_distance_between_the_eyes(scene):
    seen = torch.from_numpy(scene.landmarks).float()
    left, right = (seen[:, list(corners)].mean(1) for corners in EYES)
    moved = seen + 0.05 * (left - right)[:, None]
    torch.testing.assert_close(landmark_error(seen, moved), torch.full((3,), 0.05), rtol=1e-3, atol=0)
    torch.testing.assert_close(landmark_error(2 * seen, 2 * moved), torch.full((3,), 0.05), rtol=1e-3, atol=0)


def test_the_presets_curve_is_drawn_whether_heads_were_asked_for_or_not(tmp_path):
    figures = {"fps": 30.0, "landmark_nme": 0.03, "photometric": 9.0}
    widths = []
    for more in ({}, {"heads": 0.8}):
        draw({"fast": figures | more, "best": {**figures, "fps": 10.0} | more}, tmp_path / "q.png")
        widths.append(cv2.imread(str(tmp_path / "q.png")).shape[1])
    assert widths[1] == pytest.approx(1.5 * widths[0], rel=0.01)


def test_jitter_leaves_out_cuts():
    values = torch.tensor([0.0, 1, 2, 500, 501, 502, 90, 91, 92])[:, None]  # three shots
    joined = torch.tensor([False, True, True] * 3)
    assert jitter(values, joined) == 0
    assert jitter(values * values, joined) == pytest.approx(2)


def test_pixels_of_faces_are_those_before_ears_hair_and_neck(model, scene):
    faces = face_pixels(model, scene.truth, scene.camera)
    heads = render(model, scene.truth, scene.camera, ("correspondence",))["correspondence"].amax(-1) > 0
    assert not (faces & ~heads).any() and 0.3 < faces.sum() / heads.sum() < 0.8
    points = project(surface_points(model, scene.truth), scene.camera)
    for k, (face, head) in enumerate(zip(faces, heads)):
        assert not (skin_pixels(model, scene.truth[k], scene.camera) & ~face).any()
        eyes = points[k, model.region("iris")].long()
        assert face[eyes[:, 1], eyes[:, 0]].float().mean() > 0.8
        rows, (top, bottom) = face.any(1).nonzero(), head.any(1).nonzero()[[0, -1]]
        assert top + 8 < rows[0] and rows[-1] < bottom - 4, "hair above, a neck below"
