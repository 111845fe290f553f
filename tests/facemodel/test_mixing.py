import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facemodel import FrameStatus, PortraitError, mix
from facemodel.editing.mixing import backing_frames, target_frames
from facemodel.editing.neutral import neutral_frame, relative_expression
from facemodel.editing.poses import PoseReference, head_angles, head_rotation, relative_pose
from geometry.camera import Camera, project, to_camera
from geometry.rotation import rotation_matrix
from tests.facemodel.clips import make_track, small_model

MODEL = small_model()
NAMES = MODEL.expression_names


def with_expression(track, **curves):
    """The track with all shapes at zero but these, each a number or (F,) values."""
    expression = torch.zeros_like(track.parameters.expression)
    for name, curve in curves.items():
        expression[:, NAMES.index(name)] = torch.as_tensor(curve, dtype=torch.float32)
    return track.with_parameters(track.parameters.replace(expression=expression))


def column(track, name):
    return track.parameters.expression[:, NAMES.index(name)]


def test_target_keeps_what_it_is():
    source, target = make_track(MODEL, 30, seed=1), make_track(MODEL, 20, seed=2, width=320, height=240)
    mixed = mix(source, target, MODEL)
    for name in ("identity", "reflectance", "focal"):
        assert torch.equal(getattr(mixed.parameters, name), getattr(target.parameters, name))
    assert (mixed.width, mixed.height, len(mixed)) == (320, 240, 30)
    back = target_frames(mixed)
    assert back == [*range(20), *range(18, 8, -1)]  # to and fro
    assert torch.equal(mixed.parameters.illumination, target.parameters.illumination[back])


def test_expression_is_relative_to_neutral_frames():
    source = with_expression(make_track(MODEL, 4, seed=1), mouthFrownLeft=0.3, jawOpen=[0.5, 0.1, 0.1, 0.1])
    target = with_expression(make_track(MODEL, 4, seed=2), browInnerUp=0.2)
    mixed = mix(source, target, MODEL, source_neutral=2, target_neutral=0)
    assert torch.allclose(column(mixed, "mouthFrownLeft"), torch.zeros(4))  # identity stays behind
    assert torch.allclose(column(mixed, "browInnerUp"), torch.tensor(0.2))
    assert torch.allclose(column(mixed, "jawOpen"), torch.tensor([0.4, 0.0, 0.0, 0.0]), atol=1e-6)
    plain = mix(source, target, MODEL, absolute=True)
    assert torch.allclose(column(plain, "jawOpen"), column(source, "jawOpen"))
    assert torch.allclose(column(plain, "mouthFrownLeft"), torch.tensor(0.3))


def test_a_mouth_that_is_open_in_all_of_a_clip_closes():
    source = with_expression(make_track(MODEL, 3, seed=1), jawOpen=[0.05, 0.05, 0.3])
    target = with_expression(make_track(MODEL, 3, seed=2), jawOpen=0.7)
    assert torch.allclose(column(mix(source, target, MODEL), "jawOpen"), torch.tensor([0.15, 0.15, 0.4]), atol=1e-6)
    assert torch.allclose(column(mix(target, source, MODEL), "jawOpen"), torch.tensor(0.6), atol=1e-6)
    assert torch.allclose(column(mix(target, target, MODEL), "jawOpen"), torch.tensor(0.7), atol=1e-6)


def test_eyes_that_close_close():
    of_source, of_target = torch.zeros(52), torch.zeros(52)
    blink = NAMES.index("eyeBlinkLeft")
    of_source[blink] = 0.25
    closed = of_source.clone()
    closed[blink] = 1.0
    assert relative_expression(closed, of_source, of_target, MODEL)[blink] == pytest.approx(1.0)


def test_neutral_is_the_quietest_frame_with_a_face():
    track = with_expression(make_track(MODEL, 5), jawOpen=[0.5, 0.0, 0.2, 0.4, 0.1])
    track = replace(track, status=torch.tensor([1, 0, 1, 1, 1]))
    assert neutral_frame(track, MODEL) == 4
    doubtful = int(FrameStatus.TRACKED | FrameStatus.UNCERTAIN)
    assert neutral_frame(replace(track, status=torch.tensor([1, 0, 1, 1, doubtful])), MODEL) == 2
    with pytest.raises(PortraitError, match="no face"):
        neutral_frame(track, MODEL, 1)
    with pytest.raises(PortraitError, match="expected 0 to 4"):
        neutral_frame(track, MODEL, 5)


def test_mixing_a_clip_with_itself_changes_nothing():
    track = make_track(MODEL, 12)
    mixed = mix(track, track, MODEL, source_neutral=3, target_neutral=3)
    for name in ("rotation", "translation", "gaze"):
        a, b = getattr(mixed.parameters, name), getattr(track.parameters, name)
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-5), name
    looks = [k for k, n in enumerate(NAMES) if not n.startswith("eyeLook")]
    assert torch.allclose(mixed.parameters.expression[:, looks], track.parameters.expression[:, looks], atol=1e-6)


def test_relative_pose_moves_the_head_as_far_in_head_widths():
    source, target = make_track(MODEL, 8, seed=1), make_track(MODEL, 8, seed=3, width=1280, height=720)
    mixed = mix(source, target, MODEL, beyond=True)
    centre = torch.zeros(1, 3)

    def place_and_size(track):
        camera = Camera(float(track.parameters.focal), track.width, track.height)
        p = track.parameters
        points = project(to_camera(centre, 0 * p.rotation, p.translation), camera)[:, 0]
        return points, camera.focal / p.translation[:, 2]

    a, size_a = place_and_size(source)
    b, size_b = place_and_size(mixed)
    assert torch.allclose((a - a[0]) / size_a[0], (b - b[0]) / size_b[0], atol=2e-2)
    assert torch.allclose(size_a / size_a[0], size_b / size_b[0], atol=1e-4)
    turn = lambda t: rotation_matrix(t.parameters.rotation) @ rotation_matrix(t.parameters.rotation[:1]).mT  # noqa: E731
    assert torch.allclose(turn(source), turn(mixed), atol=1e-5)
    references = [PoseReference.of_track(track) for track in (source, target)]
    at_rest = relative_pose((references[0].rotation[None], references[0].translation[None]), *references)
    assert torch.allclose(at_rest[0][0], references[1].rotation, atol=1e-5)
    assert torch.allclose(at_rest[1][0], references[1].translation, atol=1e-2)


def turned(track, yaw, *, roll=0.0, status=None):
    """The track with these yaws (F,) in degrees, and the frames' statuses."""
    angles = np.stack([np.radians(yaw), np.zeros(len(yaw)), np.full(len(yaw), math.radians(roll))], -1)
    track = track.with_parameters(track.parameters.replace(rotation=head_rotation(angles).float()))
    return track if status is None else replace(track, status=torch.tensor(status))


def yaws(track):
    return np.degrees(head_angles(track.parameters.rotation)[:, 0])


def test_a_source_that_begins_turned_doesnt_turn_the_target():
    yaw = np.concatenate([np.full(30, -30.0), np.linspace(-30, 20, 30)])
    source, target = turned(make_track(MODEL, 60, seed=1), yaw), turned(make_track(MODEL, 9, seed=2), np.full(9, 2.0))
    mixed = mix(source, target, MODEL)
    np.testing.assert_allclose(yaws(mixed), yaw + 2, atol=4)
    said = mixed.facts["mixed"]["pose"]
    assert abs(said["source"]["yaw"]) < 4 and said["target"]["yaw"] == pytest.approx(2, abs=0.1)
    assert said["beyond"] is False and said["limited_frames"] == 0
    doubtful = [int(FrameStatus.TRACKED | FrameStatus.UNCERTAIN)] * 5 + [1] * 55
    wild = np.where(np.arange(60) < 5, 0.0, -30.0)  # a doubtful fit isn't what counts
    reference = PoseReference.of_track(turned(source, wild, status=doubtful)).facts()
    assert reference["yaw"] == pytest.approx(-30, abs=0.1)


def test_the_reference_s_roll_is_the_clip_s_usual_one():
    """Though the most frontal frames, by whose yaw and pitch it goes, are rolled otherwise."""
    angles = np.radians(np.stack([np.linspace(0, 30, 20), np.zeros(20), np.where(np.arange(20) < 4, 15, -2)], -1))
    track = make_track(MODEL, 20)
    track = track.with_parameters(track.parameters.replace(rotation=head_rotation(angles).float()))
    assert PoseReference.of_track(track).facts()["roll"] == pytest.approx(-2, abs=0.1)


def test_poses_turn_hardly_further_than_either_clip_unless_asked():
    source = turned(make_track(MODEL, 21, seed=1), np.linspace(-20, 20, 21))
    target = turned(make_track(MODEL, 5, seed=2), [30.0, 31, 32, 33, 34])
    assert yaws(mix(source, target, MODEL)).max() == pytest.approx(34 + 5, abs=0.01)
    assert yaws(mix(source, target, MODEL, beyond=True)).max() > 48
    assert mix(source, target, MODEL).facts["mixed"]["pose"]["limited_frames"] > 0


def test_absolute_pose_keeps_the_place_in_the_picture():
    source, target = make_track(MODEL, 5, seed=1), make_track(MODEL, 5, seed=3, width=1280, height=960)
    mixed = mix(source, target, MODEL, take=["pose"], absolute=True)

    def pixels(track):
        p = track.parameters
        return project(p.translation[:, None], Camera(float(p.focal), track.width, track.height))

    assert torch.allclose(2 * pixels(source), pixels(mixed), atol=1e-2)
    assert torch.equal(mixed.parameters.expression[:, 17], target.parameters.expression[:, 17])


def test_gaze_is_relative_to_the_median_and_moves_the_lids():
    source, target = make_track(MODEL, 9, seed=1), make_track(MODEL, 9, seed=2)
    mixed = mix(source, target, MODEL, take=["gaze"])
    change = mixed.parameters.gaze - source.parameters.gaze
    assert torch.allclose(change, change[:1].expand_as(change), atol=1e-6)
    assert torch.allclose(mixed.parameters.gaze.median(0).values, target.parameters.gaze.median(0).values, atol=1e-6)
    up = mixed.parameters.gaze[:, 0, 1].clamp_min(0) / math.radians(30)
    assert torch.allclose(column(mixed, "eyeLookUpLeft"), up.clamp(max=1), atol=1e-3)


def test_frames_without_a_face_say_so():
    source = make_track(MODEL, 6, seed=1, status=[0, 1, 1, 9, 1, 1])
    target = make_track(MODEL, 6, seed=2, status=[1, 1, 0, 1, 3, 5])
    mixed = mix(replace(source, confidence=torch.linspace(0.9, 0.4, 6)), target, MODEL)
    assert mixed.status.tolist() == [0, 1, 0, 9, 3, 5]
    assert torch.equal(mixed.confidence, torch.minimum(torch.linspace(0.9, 0.4, 6), target.confidence))


def test_clear_errors():
    track = make_track(MODEL, 3)
    with pytest.raises(PortraitError, match="did you mean 'expression'"):
        mix(track, track, MODEL, take=["expressions"])
    with pytest.raises(PortraitError, match="source track: fitted with model"):
        mix(replace(track, fingerprint="x"), track, MODEL)
    with pytest.raises(PortraitError, match="target track: no face was found"):
        mix(track, replace(track, status=torch.zeros(3, dtype=torch.int64)), MODEL)


def test_backing_follows_time_not_index():
    source = torch.arange(60, dtype=torch.float64) / 60  # twice the target's rate
    target = torch.arange(10, dtype=torch.float64) / 30
    back = backing_frames(source, target)
    assert back[:5].tolist() == [0, 0, 1, 1, 2] and int(back.max()) == 9
    assert backing_frames(source, target[:1]).unique().tolist() == [0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), frames=st.integers(1, 12), absolute=st.booleans(), smooth=st.sampled_from([0, 0.3]))
def test_whatever_goes_in_comes_out_in_range(seed, frames, absolute, smooth):
    source, target = make_track(MODEL, frames, seed=seed % 7), make_track(MODEL, 7, seed=seed % 5)
    p = mix(source, target, MODEL, absolute=absolute, smooth=smooth).parameters
    assert p.expression.shape == (frames, 52)
    assert float(p.expression.min()) >= 0 and float(p.expression.max()) <= 1
    assert all(torch.isfinite(getattr(p, n)).all() for n in ("rotation", "translation", "gaze"))
