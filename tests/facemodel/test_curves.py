import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemodel import PortraitError
from facemodel.editing.curves import HEADER, apply_curves, read_curves, timecode, write_curves
from facemodel.editing.edits import couple_lids
from tests.facemodel.clips import make_track, small_model

MODEL = small_model()
NAMES = MODEL.expression_names


def test_header_is_the_apps():
    assert len(HEADER) == 63 and HEADER[:3] == ("Timecode", "BlendShapeCount", "EyeBlinkLeft")
    assert HEADER[16:21] == ("JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose")
    assert HEADER[-10:-6] == ("TongueOut", "HeadYaw", "HeadPitch", "HeadRoll")


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 60.0])
def test_round_trip(tmp_path, fps):
    track = make_track(MODEL, 70, fps=fps)
    p = track.parameters
    track = track.with_parameters(p.replace(expression=couple_lids(p.expression, p.gaze, NAMES)))
    path = write_curves(track, MODEL, tmp_path / "c.csv")
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(HEADER) and len(lines) == 71
    assert lines[1].startswith("00:00:00:00.000,61,")
    other = make_track(MODEL, 70, fps=fps, seed=5)
    copy = apply_curves(other, MODEL, read_curves(path, default_rate=round(fps)), head=True)
    for name in ("expression", "gaze", "rotation"):
        assert torch.allclose(getattr(copy.parameters, name), getattr(track.parameters, name), atol=1e-3), name
    assert torch.equal(copy.parameters.identity, other.parameters.identity)
    kept = apply_curves(other, MODEL, read_curves(path, default_rate=round(fps)))
    assert torch.equal(kept.parameters.rotation, other.parameters.rotation)


def test_columns_may_be_missing_and_rates_differ(tmp_path):
    """Two seconds and a bit at 60 a second onto a track of 25."""
    rows = [f"10:00:{k // 60:02d}:{k % 60:02d}.000,1,{k / 150:.4f}" for k in range(150)]
    (tmp_path / "c.csv").write_text("Timecode,BlendShapeCount,jawOpen\n" + "\n".join(rows) + "\n")
    track = make_track(MODEL, 80)
    edited = apply_curves(track, MODEL, read_curves(tmp_path / "c.csv")).parameters.expression
    jaw = NAMES.index("jawOpen")
    expected = np.minimum(np.arange(80) / 25 * 60, 149) / 150  # held after the last row
    np.testing.assert_allclose(edited[:, jaw], expected, atol=1e-3)
    others = [k for k in range(52) if k != jaw]
    assert torch.equal(edited[:, others], track.parameters.expression[:, others])


def test_one_eye_look_column_leaves_the_other_directions(tmp_path):
    (tmp_path / "c.csv").write_text("Timecode,EyeLookUpLeft\n00:00:00:00.000,0.5\n")
    track = make_track(MODEL, 3)
    track = track.with_parameters(track.parameters.replace(gaze=torch.zeros(3, 2, 2) + 0.1))
    gaze = apply_curves(track, MODEL, read_curves(tmp_path / "c.csv")).parameters.gaze
    assert gaze[0, 0, 1] == pytest.approx(math.radians(15), abs=1e-3)
    assert torch.allclose(gaze[:, :, 0], torch.tensor(0.1)) and torch.allclose(gaze[:, 1, 1], torch.tensor(0.1))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("Timecode,JawOpen\n", "no rows"),
        ("JawOpen\n0.1\n", "column 'Timecode'"),
        ("Timecode,JawOpn\n", r"row 1, column 2: unknown name 'JawOpn': did you mean 'jawOpen'"),
        ("Timecode,JawOpen,jawOpen\n", "row 1, column 3: 'jawOpen' comes twice"),
        ("Timecode,JawOpen\n00:00:00:00.0,0.1\n00:00:00:01.0,x\n", "row 3, column JawOpen: expected a number, got 'x'"),
        ("Timecode,JawOpen\n00:00:00:00.0,nan\n", "row 2, column JawOpen"),
        ("Timecode,JawOpen\n0.5,0.1\n", "row 2, column Timecode: expected hh:mm:ss:ff.fff, got '0.5'"),
        ("Timecode,JawOpen\n00:00:00:01.0,0.1\n00:00:00:00.0,0.1\n", "row 3, column Timecode: expected a later time"),
        ("Timecode,JawOpen\n00:00:00:01.0\n", "row 2: expected 2 cells, got 1"),
    ],
)
def test_clear_errors(tmp_path, text, message):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(PortraitError, match=message) as error:
        read_curves(tmp_path / "c.csv")
    assert "\n" not in str(error.value)


def test_no_such_file_and_binary(tmp_path):
    with pytest.raises(PortraitError, match="no such file"):
        read_curves(tmp_path / "none.csv")
    (tmp_path / "c.csv").write_bytes(bytes(range(256)))
    with pytest.raises(PortraitError, match="can't be read as CSV"):
        read_curves(tmp_path / "c.csv")


def test_rate_given_too_low(tmp_path):
    (tmp_path / "c.csv").write_text("Timecode,JawOpen\n00:00:00:45.000,0.1\n")
    with pytest.raises(PortraitError, match="frame number 45"):
        read_curves(tmp_path / "c.csv", rate=30)


@given(st.floats(0, 80000), st.sampled_from([24, 25, 30, 60]))
def test_timecode_is_exact_to_a_thousandth_of_a_frame(time, rate):
    h, m, s, f = timecode(time, rate).split(":")
    assert float(f) < rate and int(s) < 60 and int(m) < 60
    assert int(h) * 3600 + int(m) * 60 + int(s) + float(f) / rate == pytest.approx(time, abs=1e-3 / rate)
