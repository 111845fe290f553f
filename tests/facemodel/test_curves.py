import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemodel import PortraitError
from facemodel.editing.curves import apply_curves, read_curves, timecode, write_curves
from facemodel.editing.edits import couple_lids
from facemodel.editing.poses import head_angles
from tests.facemodel.clips import make_track, small_model

MODEL = small_model()
NAMES = MODEL.expression_names


def test_header_is_the_apps(tmp_path):
    path = write_curves(make_track(MODEL, 1), MODEL, tmp_path / "c.csv")
    header = tuple(path.read_text().splitlines()[0].split(","))
    assert len(header) == 63 and header[:3] == ("Timecode", "BlendShapeCount", "EyeBlinkLeft")
    assert header[16:21] == ("JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose")
    assert header[-10:-6] == ("TongueOut", "HeadYaw", "HeadPitch", "HeadRoll")


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 60.0])
def test_round_trip(tmp_path, fps):
    track = make_track(MODEL, 70, fps=fps)
    p = track.parameters
    track = track.with_parameters(p.replace(expression=couple_lids(p.expression, p.gaze, MODEL)))
    path = write_curves(track, MODEL, tmp_path / "c.csv")
    lines = path.read_text().splitlines()
    assert len(lines) == 71
    assert lines[1].startswith("00:00:00:00.000,61,")
    other = make_track(MODEL, 70, fps=fps, seed=5)
    copy = apply_curves(other, MODEL, read_curves(path, default_rate=round(fps)), head=True)
    for name in ("expression", "gaze", "rotation"):
        assert torch.allclose(getattr(copy.parameters, name), getattr(track.parameters, name), atol=1e-3), name
    assert torch.equal(copy.parameters.identity, other.parameters.identity)
    kept = apply_curves(other, MODEL, read_curves(path, default_rate=round(fps)))
    assert torch.equal(kept.parameters.rotation, other.parameters.rotation)


@pytest.mark.parametrize(
    "codes, seconds",
    [
        (["10:00:59;29", "10:01:00;02"], 3 / 30),  # of a minute the frames 0 and 1 are dropped
        (["23:59:59:29", "00:00:00:00"], 1 / 30),
        (["00:00:59:29", "00:00:00:00"], None),  # a minute back isn't midnight
    ],
)
def test_timecodes(tmp_path, codes, seconds):
    (tmp_path / "c.csv").write_text("Timecode,JawOpen\n" + "".join(f"{code},0.5\n" for code in codes))
    if seconds is None:
        with pytest.raises(PortraitError, match="expected a later time than the row before"):
            read_curves(tmp_path / "c.csv", rate=30)
    else:
        assert read_curves(tmp_path / "c.csv", rate=30).times == pytest.approx([0, seconds])


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


def test_a_take_over_midnight(tmp_path):
    rows = ["23:59:59:48.000,0.1", "23:59:59:58.000,0.2", "00:00:00:08.000,0.3", "00:00:01:00.000,0.4"]
    (tmp_path / "c.csv").write_text("\n".join(["Timecode,JawOpen", *rows]) + "\n")
    times = read_curves(tmp_path / "c.csv", rate=60).times
    np.testing.assert_allclose(times, np.array([0, 10, 20, 72]) / 60, atol=1e-9)


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
        ("Timecode,BlendShapeCount\n00:00:00:00.0,61\n", "row 1: expected columns of curves beside 'Timecode'"),
        ("Timecode,JawOpen,jawOpen\n", "row 1, column 3: 'jawOpen' comes twice"),
        ("Timecode,JawOpen\n00:00:00:00.0,0.1\n00:00:00:01.0,x\n", "row 3, column JawOpen: expected a number, got 'x'"),
        ("Timecode,JawOpen\n00:00:00:00.0,nan\n", "row 2, column JawOpen"),
        ("Timecode,JawOpen\n0.5,0.1\n", "row 2, column Timecode: expected hh:mm:ss:ff.fff, got '0.5'"),
        ("Timecode,JawOpen\n00:00:00:01.0,0.1\n00:00:00:00.0,0.1\n", "row 3, column Timecode: expected a later time"),
        ("Timecode,JawOpen\n00:00:00:01.0\n", "row 2: expected 2 cells, got 1"),
        ('Timecode,JawOpen\n"0\n1",0.1\n', "row 2, column Timecode: expected hh:mm:ss:ff.fff, got '0 1'"),
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


def write_rows(path, header, rows):
    path.write_text("\n".join([",".join(header), *(",".join(str(c) for c in row) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize("rate, start", [(24, 20), (25, 3), (30, 12), (30, 29), (50, 45), (60, 55)])
def test_a_short_file_s_rate_is_seen_where_the_second_goes_up(tmp_path, rate, start):
    """Half a second longer than it takes to the next second, on a track of another rate: a second stays a second."""
    count = rate - start + rate // 2
    codes = [f"14:00:{(start + k) // rate:02d}:{(start + k) % rate:02d}.000" for k in range(count)]
    path = write_rows(tmp_path / "c.csv", ("Timecode", "JawOpen"), [(c, k / rate / 2) for k, c in enumerate(codes)])
    curves = read_curves(path, default_rate=120)
    np.testing.assert_allclose(curves.times, np.arange(count) / rate, atol=1e-9)
    track = make_track(MODEL, 240, fps=120)
    jaw = apply_curves(track, MODEL, curves).parameters.expression[:, NAMES.index("jawOpen")]
    np.testing.assert_allclose(jaw, np.minimum(np.arange(240) / 120, (count - 1) / rate) / 2, atol=1e-5)


def test_missing_rows_and_fractions_of_frames_dont_change_the_rate(tmp_path):
    frames = [k for k in range(12, 75) if k not in (29, 30, 40)]
    codes = [f"14:00:{k // 30:02d}:{k % 30 + 0.25:06.3f}" for k in frames]
    path = write_rows(tmp_path / "c.csv", ("Timecode", "JawOpen"), [(c, 0.1) for c in codes])
    np.testing.assert_allclose(read_curves(path, default_rate=60).times, (np.array(frames) - 12) / 30, atol=1e-9)


def test_yaw_across_the_half_turn_goes_the_short_way(tmp_path):
    yaw = np.radians(np.linspace(150, 210, 61))
    wrapped = (yaw + np.pi) % (2 * np.pi) - np.pi
    rows = [(f"00:00:{10 + k // 30}:{k % 30:02d}.000", f"{a:.6f}") for k, a in enumerate(wrapped)]
    curves = read_curves(write_rows(tmp_path / "c.csv", ("Timecode", "HeadYaw"), rows))
    track = apply_curves(make_track(MODEL, 200, fps=100), MODEL, curves, head=True)
    found = np.unwrap(head_angles(track.parameters.rotation)[:, 0])
    np.testing.assert_allclose(found, np.interp(np.arange(200) / 100, np.arange(61) / 30, yaw), atol=1e-4)


def test_unknown_columns_are_noted_and_skipped(tmp_path):
    header = ("Timecode", "JawOpen", "Mood", "Distance", "")
    rows = [("00:00:00:00.000", 0.25, "glad", 3.5, ""), ("00:00:00:01.000", 0.5, "sad", "4.5", "")]
    curves = read_curves(write_rows(tmp_path / "c.csv", header, rows))
    assert curves.skipped == ("Mood",) and curves.unused(MODEL) == ("Mood", "Distance")
    track = make_track(MODEL, 2)
    edited = apply_curves(track, MODEL, curves).parameters.expression
    jaw = NAMES.index("jawOpen")
    assert edited[0, jaw] == 0.25
    others = [k for k in range(52) if k != jaw]
    assert torch.equal(edited[:, others], track.parameters.expression[:, others])


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60])
def test_a_whole_second_says_its_rate_unless_it_is_the_track_s_own(tmp_path, rate):
    rows = [(f"00:00:00:{k:02d}.000", k / rate / 2) for k in range(rate)]
    path = write_rows(tmp_path / "c.csv", ("Timecode", "JawOpen"), rows)
    found = read_curves(path, default_rate=120, default_rows=240)
    assert found.assumed_rate == rate and found.times[-1] == pytest.approx((rate - 1) / rate)
    assert read_curves(path, default_rate=120, default_rows=rate).times[-1] == pytest.approx((rate - 1) / 120)
    short = write_rows(tmp_path / "d.csv", ("Timecode", "JawOpen"), rows[: rate // 2 - 2])
    assert read_curves(short, default_rate=120, default_rows=240).assumed_rate == 120
    assert read_curves(path, rate=60).assumed_rate is None


def test_visibility_is_written_where_a_part_is_hidden_and_not_read(tmp_path):
    model = small_model()
    track = make_track(model, frames=3)
    seen = replace(track, visibility={"mouth": torch.tensor([1.0, 0.2, torch.nan])})
    header, *rows = write_curves(seen, model, tmp_path / "a.csv").read_text().splitlines()
    assert header.endswith(",Visibility mouth")
    assert [float(row.split(",")[-1]) for row in rows] == pytest.approx([1.0, 0.2, 0.0])
    assert read_curves(tmp_path / "a.csv").unused(model) == ()
    whole = replace(track, visibility={"mouth": torch.ones(3)})
    assert "Visibility" not in write_curves(whole, model, tmp_path / "b.csv").read_text()
