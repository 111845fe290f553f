"""Curves of other programs, and action units."""

import csv
import json
import math

import numpy as np
import pytest
import torch

from facemodel import PortraitError, apply_curves
from facemodel.action_units import ACTION_UNITS, activations, intensities
from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curve_files import read_any_curves
from facemodel.editing.openface import openface_table
from facemodel.editing.poses import head_angles
from facemodel.editing.scores import NAMES
from geometry.rotation import axis_angle
from tests.facemodel.clips import make_track, small_model

MODEL = small_model()


def test_units_are_the_mean_of_their_shapes_and_come_back():
    assert len(ACTION_UNITS) >= 12 and all(n in ARKIT_NAMES for u in ACTION_UNITS.values() for n in u.shapes)
    rng = np.random.default_rng(0)
    alike = {n: rng.uniform(size=4) for n in ARKIT_NAMES}
    alike |= {n: alike[n.replace("Right", "Left")] for n in ARKIT_NAMES if n.endswith("Right")}
    alike["mouthRollUpper"] = alike["mouthRollLower"]
    found = intensities(alike)
    assert {1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45} <= found.keys()
    back = activations(found)
    for name, value in back.items():
        np.testing.assert_allclose(value, alike[name], err_msg=name)
    assert len(back) >= 30
    smile = intensities({n: 0.0 for n in ARKIT_NAMES} | {"mouthSmileLeft": 1.0})
    assert smile[12] == 2.5 and sum(smile.values()) == 2.5
    assert intensities({"jawOpen": torch.tensor(0.5)})[25] == 2.5
    assert intensities({"jawOpen": 0.5, "mouthClose": 0.5})[25] == 0  # lips that stay together


def table(track, model=MODEL):
    names, values = openface_table(track, model)
    return {n: values[:, k] for k, n in enumerate(names)}


def turned(x=0.0, y=0.0, z=0.0, gaze=(0.0, 0.0)):
    """One frame of a head whose model axes are turned about x, then y, then z; radians."""
    track = make_track(MODEL, 1)
    rotation = torch.eye(3, dtype=torch.float64)
    for axis, angle in ((0, x), (1, y), (2, z)):
        spin = torch.zeros(3, dtype=torch.float64)
        spin[axis] = angle
        rotation = (
            torch.linalg.matrix_exp(torch.linalg.cross(spin.expand(3, 3), torch.eye(3, dtype=torch.float64)).T)
            @ rotation
        )
    p = track.parameters.replace(rotation=axis_angle(rotation).float()[None], gaze=torch.tensor(gaze).expand(1, 2, 2))
    return table(track.with_parameters(p))


def test_openface_s_signs():
    """A head that looks down has pose_Rx > 0; to the picture's left, Ry > 0; gaze is a direction, x right, y down."""
    straight = turned()
    np.testing.assert_allclose([straight[f"gaze_0_{a}"][0] for a in "xyz"], [0, 0, -1], atol=1e-6)
    down = turned(x=0.3)  # about x to the right in the picture: the nose goes down
    np.testing.assert_allclose([down[f"pose_R{a}"][0] for a in "xyz"], [0.3, 0, 0], atol=1e-6)
    assert down["gaze_0_y"][0] == pytest.approx(math.sin(0.3), abs=1e-6) and down["gaze_angle_y"][0] > 0
    left = turned(y=-0.3)  # towards the subject's right, the picture's left
    np.testing.assert_allclose([left[f"pose_R{a}"][0] for a in "xyz"], [0, 0.3, 0], atol=1e-6)
    assert left["gaze_0_x"][0] == pytest.approx(-math.sin(0.3), abs=1e-6)
    looks = turned(gaze=(0.2, 0.0))  # eyes to the subject's left, the picture's right
    assert looks["gaze_angle_x"][0] == pytest.approx(0.2, abs=1e-6)


def write_openface(path, columns, spaces=False):
    names = [(" " if spaces and k else "") + n for k, n in enumerate(columns)]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([names, *zip(*columns.values())])
    return path


@pytest.mark.parametrize("spaces", [True, False])
def test_openface_there_and_back(tmp_path, spaces):
    track = make_track(MODEL, 30)
    found, kind = read_any_curves(write_openface(tmp_path / "a.csv", table(track), spaces))
    assert kind == "openface" and found.skipped == () and found.notes == ()
    after = apply_curves(track, MODEL, found, head=True).parameters
    for name in ("rotation", "gaze"):
        torch.testing.assert_close(getattr(after, name), getattr(track.parameters, name), atol=1e-5, rtol=0)
    blink = [MODEL.expression_index(f"eyeBlink{s}") for s in ("Left", "Right")]
    both = track.parameters.expression[:, blink].mean(-1)
    torch.testing.assert_close(after.expression[:, blink[0]], both, atol=1e-5, rtol=0)


def test_openface_s_gaps_faces_and_strangers(tmp_path):
    columns = table(make_track(MODEL, 6, status=[1, 0, 1, 1, 1, 1]))
    columns = {n: np.concatenate([v, v[:2]]) for n, v in columns.items()}
    columns["face_id"] = np.array([0.0] * 6 + [1.0] * 2)
    columns["mood"] = np.array(["good"] * 8)
    found, _ = read_any_curves(write_openface(tmp_path / "a.csv", columns))
    assert len(found.times) == 6 and found.skipped == ("mood",)
    assert np.isnan(found.values["jawOpen"][1]) and np.isfinite(found.at("jawOpen", found.times)).all()
    assert "2 faces" in found.notes[0] and "1 of 6 rows" in found.notes[1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"AU26_r": ["x"] * 3}, "row 2, column AU26_r: expected a number, got 'x'"),
        ({"pose_Rx": ["nan"] * 3}, "row 2, column pose_Rx: expected a number, got 'nan'"),
        ({"success": [0] * 3}, "no row has a face"),
    ],
)
def test_openface_s_bad_rows(tmp_path, change, message):
    path = write_openface(tmp_path / "a.csv", table(make_track(MODEL, 3)) | change)
    with pytest.raises(PortraitError, match=message):
        read_any_curves(path)


SCORES = {n: k / 60 for k, n in enumerate(NAMES)}
CATEGORIES = [{"index": k, "score": s, "categoryName": n, "displayName": ""} for k, (n, s) in enumerate(SCORES.items())]


@pytest.mark.parametrize(
    "content",
    [
        [{"faceBlendshapes": [{"categories": CATEGORIES, "headIndex": -1}]}] * 3,  # the JavaScript task's
        {"frames": [{"timestampMs": 100 * k, "faceBlendshapes": [{"categories": CATEGORIES}]} for k in range(3)]},
        [{"face_blendshapes": [[{"category_name": n, "score": s} for n, s in SCORES.items()]]}] * 3,  # Python's
        [SCORES] * 3,
        [list(SCORES.values())] * 3,
        [list(SCORES.values())[1:]] * 3,
    ],
)
def test_mediapipe_s_scores_in_any_form(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content))
    found, kind = read_any_curves(tmp_path / "a.json")
    assert kind == "mediapipe" and len(found.times) == 3 and len(found.values) == 51
    assert all(found.values[n][2] == pytest.approx(s) for n, s in SCORES.items() if n != "_neutral")


def test_mediapipe_s_order_is_its_protobuf_s():
    """`_neutral` first, the rest by the alphabet: as in its landmarker's graph."""
    assert NAMES[:4] == ("_neutral", "browDownLeft", "browDownRight", "browInnerUp")
    assert NAMES[9:11] == ("eyeBlinkLeft", "eyeBlinkRight") and NAMES[-1] == "noseSneerRight" and len(NAMES) == 52


@pytest.mark.parametrize(
    "text, message",
    [
        ("[", "can't be read as JSON"),
        ("[]", "expected a list of frames"),
        ("[[1, 2]]", "frame 0: expected 52 scores"),
        ('[{"jawOpen": 1e999}]', "frame 0, jawOpen: expected a score"),
        ('[{"faceBlendshapes": []}]', "no frame has blend shapes"),
        ('[{"smile": 0.5}]', "none of its names is ARKit's"),
        ('{"frames": [{"faceBlendshapes": [{"categories": [{"categoryName": "jawOpen", "score": "x"}]}]}]}', "a score"),
    ],
)
def test_mediapipe_s_bad_files(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PortraitError, match=message):
        read_any_curves(tmp_path / "a.json")


def test_head_angles_of_openface_are_the_project_s(tmp_path):
    track = make_track(MODEL, 5)
    found, _ = read_any_curves(write_openface(tmp_path / "a.csv", table(track)))
    wanted = head_angles(track.parameters.rotation)
    for k, name in enumerate(("HeadYaw", "HeadPitch", "HeadRoll")):
        np.testing.assert_allclose(found.values[name], wanted[:, k], atol=1e-6)
