"""Edits of a track in a file: applied as they are, of this track alone, checked at the door."""

import copy
import json

import numpy as np
import pytest
import torch

import facemodel
from facemodel.editing.edits_file import apply_edits, parse_edits, read_edits, track_fingerprint
from facemodel.editing.poses import head_angles
from foundation.errors import PortraitError
from tests.facemodel.clips import make_track, small_model


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def track(model):
    return make_track(model, 12)


def table(track, **parts):
    about = {"name": "talk.track", "fingerprint": track_fingerprint(track), "frames": len(track)}
    return {"format": "video-portraits edits", "version": 1, "track": about, **parts}


def applied(track, model, **parts):
    return apply_edits(track, model, parse_edits(table(track, **parts), "edits"))


def test_curves_are_set_where_they_are_given(track, model):
    parts = {
        "expression": {"jawOpen": [{"start": 2, "values": [0.25, 1.0000001]}, {"start": 7, "values": [0.5]}]},
        "gaze": {"right pitch": [{"start": 0, "values": [0.3]}]},
        "head": {"z": [{"start": 11, "values": [650.5]}]},
        "identity": {"identity 3": -1.25},
    }
    out = applied(track, model, **parts)
    expected = copy.deepcopy(track.parameters)
    jaw = model.expression_index("jawOpen")
    expected.expression[[2, 3, 7], jaw] = torch.tensor([0.25, 1.0, 0.5])
    expected.gaze[0, 1, 1] = 0.3
    expected.translation[11, 2] = 650.5
    expected.identity[3] = -1.25
    for name, value in vars(expected).items():
        assert torch.equal(getattr(out.parameters, name), value), name
    assert out.facts["edits"] == [{"page": "4 curves"}]


def test_head_turns_by_its_angles_and_other_frames_keep_theirs_to_the_bit(track, model):
    out = applied(track, model, head={"yaw": [{"start": 4, "values": [0.5, -0.5]}]})
    before, after = (head_angles(t.parameters.rotation) for t in (track, out))
    before[4:6, 0] = 0.5, -0.5
    np.testing.assert_allclose(after, before, atol=1e-6)
    still = [k for k in range(12) if k not in (4, 5)]
    assert torch.equal(out.parameters.rotation[still], track.parameters.rotation[still])


def test_edits_of_another_track_are_refused(track, model):
    other = make_track(model, 12, seed=1)
    with pytest.raises(PortraitError, match="another track, 'talk.track'"):
        apply_edits(other, model, parse_edits(table(track), "edits"))
    once = applied(track, model, expression={"jawOpen": [{"start": 0, "values": [0.9]}]})
    with pytest.raises(PortraitError, match="another track"):  # they are counted from the track as it was
        apply_edits(once, model, parse_edits(table(track), "edits"))


def test_a_track_is_known_again_wherever_it_lies(track, tmp_path):
    track.with_parameters(track.parameters, note="moved").save(tmp_path / "else.track")
    assert track_fingerprint(facemodel.Track.load(tmp_path / "else.track")) == track_fingerprint(track)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({"expression": {"jawOpne": []}}, "jawOpen"),
        ({"expression": {"jawOpen": [{"start": 11, "values": [0, 0]}]}}, "frames 0 to 11, got 11 to 12"),
        ({"expression": {"jawOpen": [{"start": 3, "values": [0, 1.5]}]}}, "frame 4: expected 0 to 1, got 1.5"),
        ({"expression": {"jawOpen": [{"start": -1, "values": [0]}]}}, "first frame of 0 or later, got -1"),
        ({"expression": {"jawOpen": [{"start": 3, "values": [0]}, {"start": 3, "values": [0]}]}}, "of 4 or later"),
        ({"expression": {"jawOpen": [{"start": 0, "values": ["1"]}]}}, "frame 0: expected a number, got '1'"),
        ({"expression": {"jawOpen": [{"start": 0, "values": [True]}]}}, "expected a number"),
        ({"expression": {"jawOpen": [{"start": True, "values": [0]}]}}, "first frame"),
        ({"expression": {"jawOpen": [0.5]}}, "list of runs"),
        ({"expression": [1]}, "'expression': expected names and curves"),
        ({"joints": {"jaw": [{"start": 0, "values": [0]}]}}, "this model has none"),
        ({"gaze": {"left yaw": [{"start": 0, "values": [2.0]}]}}, "gaze 'left yaw', frame 0"),
        ({"gaze": {"yaw": [{"start": 0, "values": [0.0]}]}}, "left yaw"),
        ({"head": {"z": [{"start": 0, "values": [-5]}]}}, "head 'z', frame 0: expected 1 to"),
        ({"head": {"tilt": []}}, "head curve"),
        ({"identity": {"identity 99": 1}}, "identity coefficient"),
        ({"identity": {"identity 0": float("nan")}}, "expected a number, got nan"),
        ({"version": 2}, "expected version 1, found 2"),
        ({"format": "something"}, "saved; this is none"),
        ({"track": None}, "fingerprint of its track"),
    ],
)
def test_bad_edits_are_told_in_a_line(track, model, part, line):
    with pytest.raises(PortraitError, match=line):
        apply_edits(track, model, parse_edits({**table(track), **part}, "edits 'x.json'"))


@pytest.mark.parametrize("text", ["", "[", "[1, 2]", "null", "\x00\xff", "[" * 100_000])
def test_files_that_are_none(tmp_path, text):
    path = tmp_path / "x.edits.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PortraitError, match="edits '"):
        read_edits(path)
    with pytest.raises(PortraitError, match="no such file"):
        read_edits(tmp_path / "none.json")


def test_a_file_is_read(track, tmp_path):
    path = tmp_path / "x.edits.json"
    path.write_text(json.dumps(table(track, expression={"jawOpen": [{"start": 0, "values": [1]}]})))
    assert read_edits(path).count == 1
