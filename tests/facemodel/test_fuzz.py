"""Whatever is in a file: a reader gives what it reads, or refuses it in one line."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import facemodel
from facemodel import Track, read_curves, write_curves
from facemodel.formats.default import write_model_file
from tests.facemodel.clips import TETRAHEDRON, make_track, small_model
from tests.garbled import bounded, edits, reads_or_refuses, spoilt

MODEL = small_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@bounded
@given(changes=edits, cut=st.sampled_from([1.0, 1.0, 0.7]), which=st.sampled_from(["track.json", "track.safetensors"]))
def test_tracks(folder, changes, cut, which):
    path = make_track(MODEL, 3).save(folder / "t") / which
    path.write_bytes(spoilt(path.read_bytes(), changes, cut))
    reads_or_refuses(lambda: Track.load(folder / "t", MODEL))


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 10**9), st.floats(), st.text(max_size=5), st.just([]))


@bounded
@given(key=st.sampled_from(["format", "version", "model", "width", "height", "landmark_scheme", "facts"]), value=VALUES)
def test_tables_of_tracks(folder, key, value):
    """Valid JSON with another value; a table of a track that is read can be written and read again."""
    path = make_track(MODEL, 3).save(folder / "t") / "track.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    def again():
        track = Track.load(folder / "t")
        assert isinstance(track.facts, dict) and track.width > 0 and track.height > 0
        Track.load(track.save(folder / "again"))

    reads_or_refuses(again)


@bounded
@given(changes=edits, cut=st.sampled_from([1.0, 1.0, 0.8]))
def test_curves(folder, changes, cut):
    path = write_curves(make_track(MODEL, 4), MODEL, folder / "c.csv")
    path.write_bytes(spoilt(path.read_bytes(), changes, cut))
    reads_or_refuses(lambda: read_curves(path))


@bounded
@given(
    rows=st.lists(st.lists(st.text(alphabet='0123456789:.-+e," \nTimecodnJaw', max_size=14), max_size=4), max_size=5)
)
def test_tables_that_are_no_curves(folder, rows):
    (folder / "t.csv").write_text("\n".join(["Timecode,JawOpen", *(",".join(row) for row in rows)]))
    reads_or_refuses(lambda: read_curves(folder / "t.csv"))


@bounded
@given(changes=edits, cut=st.sampled_from([1.0, 1.0, 0.9]))
def test_models(folder, changes, cut):
    tensors = {"mean": torch.rand(4, 3), "triangles": torch.tensor(TETRAHEDRON), "identity_basis": torch.rand(2, 4, 3)}
    tensors["expression_basis"] = torch.rand(1, 4, 3)
    facts = {"name": "n", "license": "l", "sources": "s", "expression_names": ["a"], "region_names": []}
    path = folder / "m.safetensors"
    write_model_file(path, tensors, facts)
    path.write_bytes(spoilt(path.read_bytes(), changes, cut))
    reads_or_refuses(lambda: facemodel.load(path))


ANY = st.floats(width=32)
NAMED = st.dictionaries(
    st.sampled_from(["jawOpen", "JAWOPEN ", "mouthFunnel", "eyeBlinkLeft", "jaw", ""]), ANY, max_size=2
)


@bounded
@given(
    st.fixed_dictionaries({}, optional={
        "set": NAMED, "scale": NAMED, "add": NAMED, "gaze": st.tuples(ANY, ANY), "smooth": ANY,
        "neutral": st.one_of(st.just("auto"), st.integers(-2, 9)),
    })
)  # fmt: skip
def test_edits(wanted):
    """Whatever is asked for: expressions stay within their bounds, and the track can be written."""

    def edit():
        track = facemodel.edit(make_track(MODEL, 4), MODEL, **wanted)
        expression = track.parameters.expression
        assert torch.equal(MODEL.blocks["expression"].clamp(expression), expression)
        json.dumps(track.facts)

    reads_or_refuses(edit)
