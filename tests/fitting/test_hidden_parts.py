"""Parts behind a mask, a hand, sunglasses: found, without a say, as at rest, and told in the track."""

import cv2
import numpy as np
import pytest
import torch

from benchmarks.occluders import hand, mask, sunglasses
from fitting.energy.landmark_points import landmark_points
from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out, observe
from fitting.occlusion.network import SIZE
from fitting.occlusion.regions import any_hidden, face_regions, hidden_apart, jumped, without_hidden
from fitting.policy.hidden_parts import HiddenParts
from synthetic import make_scene
from tests.fitting.rendered import KnownLandmarks, fit

POLICY = HiddenParts()
LIPS, LIDS, CHEEK, FOREHEAD = (13, 14, 61, 291), (386, 374, 159, 145), (50, 280), 10
OPEN = 0.12  # of the face's size: how far below the truth a lower lip is guessed


@pytest.fixture(scope="module")
def regions(model):
    return face_regions(model, landmark_points(model, "mediapipe478"), POLICY)


@pytest.fixture(scope="module")
def large(clip):
    """Pictures and landmarks of the clip, twice as large."""
    _, pictures, points = clip
    grown = [cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for p in pictures]
    for k, picture in enumerate(grown):
        picture[0, 0, 0] = k
    return grown, [2 * p for p in points]


def looked_at(picture, points, regions, before=None):
    seen = observe(picture, Face(points, KnownLandmarks.scheme, 1.0), (SIZE,))
    return without_hidden(seen, regions, POLICY, before)


def known(seen, which):
    return seen.landmarks[0, list(which)].isfinite().all(-1)


def test_a_model_s_regions_are_the_parts(model, regions):
    assert [r.name for r in regions] == ["mouth", "nose", "left_eye", "right_eye"]
    left, right = (set(r.around.tolist()) for r in regions[2:])
    assert {473, 386} <= left and {468, 159} <= right and not left & {468, 159}


def test_a_model_without_regions_has_no_parts(model):
    class Bare:
        region = staticmethod(lambda name: torch.zeros(len(model.mean), dtype=torch.bool))

    assert face_regions(Bare(), landmark_points(model, "mediapipe478"), POLICY) == ()


def test_a_whole_face_is_seen(model, regions, large):
    for picture, points in zip(*large):
        seen, visibility = looked_at(picture, points, regions)
        assert set(visibility.values()) == {1.0} and seen.landmarks.isfinite().all() and not any_hidden(seen)
    for seed in range(4):  # skins of their own, stubble, noise
        scene = make_scene(model, seed, 1, 384)
        assert set(looked_at(scene.pictures[0], scene.landmarks[0], regions)[1].values()) == {1.0}, seed


@pytest.mark.parametrize("colour", [(120, 160, 210), (30, 30, 34), (238, 238, 238)])
def test_a_mouth_behind_a_mask(regions, large, colour):
    seen, visibility = looked_at(mask(large[0][3], large[1][3], colour), large[1][3], regions)
    assert visibility["mouth"] < 0.1 and visibility["left_eye"] == visibility["right_eye"] == 1
    assert not known(seen, LIPS).any() and known(seen, LIDS).all() and known(seen, [FOREHEAD])
    assert not known(seen, [152]).any()  # the chin behind the mask is guessed as well


def test_a_mouth_behind_a_hand(regions, large):
    seen, visibility = looked_at(hand(large[0][3], large[1][3]), large[1][3], regions)
    assert visibility["mouth"] < 0.5 and visibility["right_eye"] == 1 and not known(seen, LIPS).any()


def test_eyes_behind_sunglasses(regions, large):
    seen, visibility = looked_at(sunglasses(large[0][3], large[1][3]), large[1][3], regions)
    assert visibility["left_eye"] < 0.5 and visibility["right_eye"] < 0.5 and visibility["mouth"] == 1
    assert not known(seen, (*LIDS, 468, 473)).any() and known(seen, LIPS).all()
    assert seen.eyes[0].seen == (False, False)


def test_what_lies_beyond_the_edge_is_hidden(regions, large):
    picture, points = large[0][3], large[1][3]
    cut = picture[: int(points[13, 1]) - 12]
    seen, visibility = looked_at(np.ascontiguousarray(cut), points, regions)
    assert visibility["mouth"] < 0.1 and not known(seen, LIPS).any()


def test_small_and_dark_faces_are_left_alone(regions, clip, large):
    _, pictures, points = clip
    small = cv2.resize(mask(pictures[3], points[3]), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert set(looked_at(small, points[3] / 2, regions)[1].values()) == {1.0}
    dark = mask(large[0][3], large[1][3]) // 8
    assert set(looked_at(dark, large[1][3], regions)[1].values()) == {1.0}


def test_what_was_hidden_stays_so_until_it_is_clearly_seen(regions, large, monkeypatch):
    share = {"mouth": 0.6}
    monkeypatch.setattr(
        "fitting.occlusion.regions._raw", lambda other, points, some, policy: {r.name: share["mouth"] for r in some}
    )
    visibility = lambda before: looked_at(large[0][3], large[1][3], regions, before)[1]["mouth"]  # noqa: E731
    assert visibility(None) == 0.6 and visibility({"mouth": 1.0}) == 0.6
    assert visibility({"mouth": 0.2}) < 0.5
    share["mouth"] = 0.9
    assert visibility({"mouth": 0.2}) == 0.9


def test_jumps(regions, large):
    points = torch.from_numpy(large[1][3]).float()
    size = float((points.amax(0) - points.amin(0)).amax())
    assert not jumped(points + 20, points, regions, POLICY)  # the whole face moved
    moved = points.clone()
    moved[list(regions[0].own)] += 0.03 * size
    assert jumped(moved, points, regions, POLICY)


def test_frames_without_order_are_each_for_itself(regions, large):
    crops = [cut_out(p, Face(q, KnownLandmarks.scheme, 1.0), 128) for p, q in ((large[0][0], large[1][0]), (
        mask(large[0][3], large[1][3]), large[1][3]))]  # fmt: skip
    both = type(crops[0].observe((SIZE,))).concatenate([c.observe((SIZE,)) for c in crops])
    found = hidden_apart(both, regions, POLICY)
    assert found.hidden.tolist() == [False, True]
    assert found.landmarks[0].isfinite().all() and not found.landmarks[1, list(LIPS)].isfinite().any()


def guessed(points):
    """A mouth that a detector takes for open, and lids for shut."""
    out, size = points.copy(), np.ptp(points, axis=0).max()
    out[[14, 87, 317, 178, 402, 17, 152]] += [0, OPEN * size]
    out[[386, 385, 387]], out[[159, 158, 160]] = out[[374, 380, 373]], out[[145, 153, 144]]
    return out


def test_a_guessed_mouth_behind_a_mask_is_at_rest_with_the_prior_s_spread(model, large):
    jaw = model.expression_index("jawOpen")
    (picture,), (points,) = large[0][3:4], large[1][3:4]
    as_it_is = picture.copy()
    as_it_is[0, 0, 0] = 0
    wrong = guessed(points)
    wrong[[386, 385, 387, 159, 158, 160]] = points[[386, 385, 387, 159, 158, 160]]
    track = fit(model, [mask(as_it_is, points)], [wrong])
    open_, spread = float(track.parameters.expression[0, jaw]), float(track.spread["expression"][0, jaw])
    assert open_ < 0.2 and spread > 0.3  # cheeks beside the mask tell a little
    assert track.hidden("mouth")[0] and not track.hidden("left_eye")[0]
    red, _, blue = model.albedo(track.parameters.reflectance)[model.region("skin")].mean(0).tolist()
    assert blue < 0.9 * red


def test_gaze_and_lids_behind_sunglasses_are_at_rest(model, large):
    blink = model.expression_index("eyeBlinkLeft")
    as_it_is = large[0][5].copy()
    as_it_is[0, 0, 0] = 0
    points = large[1][5]
    wrong = guessed(points)
    wrong[[14, 87, 317, 178, 402, 17, 152]] = points[[14, 87, 317, 178, 402, 17, 152]]
    track = fit(model, [sunglasses(as_it_is, points)], [wrong])
    assert float(track.parameters.expression[0, blink]) < 0.2 and float(track.spread["expression"][0, blink]) > 0.3
    assert float(track.parameters.gaze.abs().max()) < 0.02 and float(track.spread["gaze"].min()) > 0.2


def test_a_clip_in_which_a_hand_comes_and_goes(model, large):
    """The mouth is held while it isn't seen, and what the detector guesses doesn't move it."""
    jaw = model.expression_index("jawOpen")
    pictures, points = [p.copy() for p in large[0]], list(large[1])
    for k in (3, 4, 5):
        pictures[k], points[k] = hand(pictures[k], points[k]), guessed(points[k])
        pictures[k][0, 0, 0] = k
    track = fit(model, pictures, points)
    assert track.hidden("mouth").tolist() == [False] * 3 + [True] * 3 + [False] * 2
    open_ = track.parameters.expression[:, jaw]
    assert (open_[3:6] - open_[2]).abs().max() < 0.08
    assert (track.spread["expression"][3:6, jaw] > 2 * track.spread["expression"][2, jaw]).all()
