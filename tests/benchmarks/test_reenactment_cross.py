"""What is measured where another clip drives the trained person."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from benchmarks import reenactment_cross as cross
from facemodel import FaceParameters
from portrait.video import VideoReader, VideoWriter
from tests.facemodel.clips import TRACKED, make_track, small_model

MODEL = small_model()
MODEL.expression_index = MODEL.expression_names.index


def driven(mixed, fitted, **others):
    """What the figures look at."""
    return SimpleNamespace(mixed=mixed, fitted=fitted, model=MODEL, **others)


def with_parameters(track, **changes):
    return track.with_parameters(track.parameters.replace(**changes))


def test_correlation_is_over_frames_that_both_have_and_blind_to_scale():
    asked = make_track(MODEL, 12, status=[TRACKED] * 11 + [0])
    p = asked.parameters
    expression, rotation = 0.5 * p.expression + 0.1, p.rotation.clone()
    expression[11], expression[:, 3] = 9, -expression[:, 3]
    rotation[:, 1] *= -2
    found = with_parameters(asked, expression=expression, rotation=rotation, gaze=p.gaze * torch.tensor([-0.3, 1.0]))
    names = list(MODEL.expression_names[2:4])
    values = cross.correlations(asked, found, names, driven(asked, found))
    assert [values[n] for n in names] == pytest.approx([1, -1], abs=1e-5)
    assert [values[n] for n in ("pitch", "yaw", "gaze_pitch", "gaze_yaw")] == pytest.approx([1, -1, 1, -1], abs=1e-5)


def test_shapes_that_hardly_move_are_not_looked_at():
    track = make_track(MODEL, 12)
    expression = track.parameters.expression * 0 + 0.2
    for name, size in (("jawOpen", 0.3), ("eyeBlinkLeft", 0.02), ("browInnerUp", 0.1), ("mouthFunnel", 0.3)):
        expression[::2, MODEL.expression_index(name)] += size
    assert cross.moving(driven(with_parameters(track, expression=expression), None)) == ["jawOpen", "browInnerUp"]


def test_movements_are_of_the_parts_that_the_shapes_move(model):
    count = 8
    parameters = FaceParameters.neutral(model, (count,)).replace(rotation=torch.rand(count, 3))
    track = replace(make_track(small_model(), count), parameters=parameters)
    still = cross.movements(track, model)
    assert len(still) == 9 and all(float(values.std()) < 1e-4 for values in still.values())
    curve = torch.linspace(0, 1, count)
    for shapes, moved, sign in (
        (("jawOpen",), {"mouth"}, 1),
        (("eyeBlinkLeft",), {"lids, left"}, -1),
        (("browInnerUp",), {"inner brow, left", "inner brow, right"}, 1),
        (("browOuterUpRight",), {"outer brow, right"}, 1),
        (("mouthSmileLeft", "mouthSmileRight"), {"corner of the mouth, left", "corner of the mouth, right"}, 1),
    ):
        expression = parameters.expression.clone()
        for shape in shapes:
            expression[:, model.expression_index(shape)] = curve
        performed = with_parameters(track, expression=expression)
        found = cross.movements(performed, model)
        most = sorted(found, key=lambda name: float((found[name] - still[name]).abs().max()))[-len(moved) :]
        assert set(most) == moved, shapes
        assert all(sign * float((found[n] - still[n])[-1]) > 1 for n in moved)
        values = cross.movement(performed, with_parameters(track, expression=0.5 * expression), model)
        assert moved <= set(values)
        assert all(values[n]["correlation"] > 0.98 and 0.4 < values[n]["share"] < 0.6 for n in moved)
        assert min(float(found[n].std()) for n in values) >= cross.MOVES_MM


def test_range_and_gaze_of_what_was_fitted_again():
    target, driver = make_track(MODEL, 12), make_track(MODEL, 12, seed=1)
    asked = replace(driver, facts={"mixed": {"neutral": {"source": 5}}})
    p = asked.parameters
    fitted = with_parameters(asked, expression=p.expression * 0.5, gaze=p.gaze + torch.tensor([0.1, 0.0]))
    d = driven(asked, fitted, target=target, driver=driver)
    found = cross.retargeting(d, ["jawOpen", "eyeBlinkLeft"], asked.tracked)
    assert found["range"]["asked"] == pytest.approx(1) and found["range"]["fitted"] == pytest.approx(0.5)
    offset = cross.median_gaze(driver, driver.tracked) - cross.median_gaze(target, target.tracked)
    assert found["gaze_offset"]["asked"] == pytest.approx(offset.norm(dim=-1).mean().item(), rel=1e-5)
    moved = offset + torch.tensor([np.degrees(0.1), 0.0])
    assert found["gaze_offset"]["fitted"] == pytest.approx(moved.norm(dim=-1).mean().item(), rel=1e-5)
    assert found["neutral"]["asked"] > 0.05


@pytest.fixture
def clip(tmp_path):
    """Three frames, each darker than the one before, with a fine pattern."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 64, 48, 25.0, crf=4) as writer:
        for k in range(3):
            picture = np.full((48, 64, 3), 160 - 40 * k, np.uint8)
            picture[::2] += 40
            writer.write(picture, k / 25)
    return path


def test_as_sharp_as_a_smaller_head(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(cross, "tall", lambda *_: 40.0)
    track = make_track(MODEL, 3, width=64, height=48)
    cross.write_small(clip, track, tmp_path / "small.mp4", 10.0, MODEL)
    seen = [[frame for _, _, frame in VideoReader(path)] for path in (clip, tmp_path / "small.mp4")]
    assert len(seen[1]) == 3
    for before, after in zip(*seen):
        expected = cv2.resize(cv2.resize(before, (16, 12), interpolation=cv2.INTER_AREA), (64, 48))
        rows = [np.abs(np.diff(frame.astype(int), axis=0)).mean() for frame in (before, after)]
        assert rows[0] > 20 and rows[1] < 2
        assert np.abs(after.astype(int) - expected).mean() < 3


def test_embeds_tracked_frames_evenly_spread(clip):
    track = replace(make_track(MODEL, 3, status=[TRACKED, 0, TRACKED]), landmarks=torch.zeros(3, 478, 2))
    look = [SimpleNamespace(scheme="mediapipe478"), lambda picture, _: picture.mean((0, 1))]
    found = cross.embed_clip(clip, track, *look, 9)
    assert found[:, 0] == pytest.approx([180, 100], abs=3)
    assert len(cross.embed_clip(clip, track, *look, 1)) == 1
