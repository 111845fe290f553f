import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from facemodel import FrameStatus, PortraitError, Track
from facemodel.track import fill_gaps
from tests.facemodel.clips import make_track, small_model


def test_round_trip(tmp_path):
    model = small_model()
    track = make_track(model, status=[1] * 9 + [0, 3] + [1] * 9)
    assert track.save(tmp_path / "t") == tmp_path / "t"
    loaded = Track.load(tmp_path / "t", model)
    for name in ("identity", "expression", "rotation", "focal"):
        assert torch.equal(getattr(loaded.parameters, name), getattr(track.parameters, name))
    assert torch.equal(loaded.status, track.status) and loaded.facts == track.facts
    assert loaded.fps == pytest.approx(25) and len(loaded) == 20
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == ["track.json", "track.safetensors"]
    assert json.loads((tmp_path / "t" / "track.json").read_text())["status"][9:11] == ["no_face", "tracked+cut"]


def test_visibility_is_kept_and_may_be_absent(tmp_path):
    model = small_model()
    track = make_track(model, frames=3)
    assert Track.load(track.save(tmp_path / "old")).visibility == {}
    seen = replace(track, visibility={"mouth": torch.tensor([1.0, 0.2, torch.nan])})
    loaded = Track.load(seen.save(tmp_path / "new"))
    assert torch.equal(loaded.visibility["mouth"].nan_to_num(-1), torch.tensor([1.0, 0.2, -1.0]))
    assert loaded.hidden("mouth").tolist() == [False, True, False]
    with pytest.raises(PortraitError, match="visibility"):
        Track.load(replace(track, visibility={"mouth": torch.ones(2)}).save(tmp_path / "short"))


def test_broken_files_give_one_line(tmp_path):
    model = small_model()
    folder = make_track(model).save(tmp_path / "t")
    model.fingerprint = "other"
    with pytest.raises(PortraitError, match="fitted with model 'test' \\(0123\\)"):
        Track.load(folder, model)
    with pytest.raises(PortraitError, match="portrait fit"):
        Track.load(tmp_path / "none")
    whole = (folder / "track.safetensors").read_bytes()
    (folder / "track.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PortraitError, match="can't be read") as error:
        Track.load(folder)
    assert "\n" not in str(error.value)
    (folder / "track.safetensors").write_bytes(whole)
    table = json.loads((folder / "track.json").read_text())
    (folder / "track.json").write_text(json.dumps(table | {"version": 99}))
    with pytest.raises(PortraitError, match="found 'video-portraits track' version 99"):
        Track.load(folder)
    for text, reason in (
        ("[]", "isn't a track's"),
        ('{"format": "video-portraits track", "version": 1}', "incomplete"),
    ):
        (folder / "track.json").write_text(text)
        with pytest.raises(PortraitError, match=reason):
            Track.load(folder)
    (tmp_path / "file").touch()
    with pytest.raises(PortraitError, match="expected a folder"):
        make_track(model).save(tmp_path / "file")


def test_a_group_reads_a_track_as_any_other_file(tmp_path):
    before = os.umask(0o027)
    try:
        folder = make_track(small_model()).save(tmp_path / "t")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o640}


@pytest.mark.parametrize("hidden", ["t", "track.safetensors", "track.json"])
def test_what_may_not_be_read_isn_t_said_to_be_missing(tmp_path, monkeypatch, hidden):
    folder = make_track(small_model()).save(tmp_path / "t")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != hidden)  # root may read anything
    with pytest.raises(PortraitError, match=f"{hidden} may not be read \\(permissions\\); .*chmod -R a\\+rX") as error:
        Track.load(folder)
    assert "\n" not in str(error.value)


def test_labels():
    assert FrameStatus(0).label == "no_face"
    assert FrameStatus.CUT.label == "no_face+cut"  # a shot may begin without a face
    assert FrameStatus(5).label == "tracked+several_faces"


def test_gaps_are_interpolated_and_ends_held():
    track = make_track(small_model(), 6)
    tracked = torch.tensor([False, True, False, False, True, False])
    before = track.parameters.expression
    filled = fill_gaps(track.parameters, tracked).expression
    assert torch.equal(filled[0], before[1]) and torch.equal(filled[5], before[4])
    assert torch.allclose(filled[2], before[1] * 2 / 3 + before[4] / 3)


def test_frames_of_a_track_keep_their_rows_together():
    track = make_track(small_model(), 10)
    rows = torch.arange(10.0)
    track = replace(track, landmarks=rows[:, None, None].expand(10, 4, 2), energies={"photometric": rows},
                    visibility={"mouth": rows / 10},
                    spread={"identity": torch.arange(10.0), "rotation": rows[:, None].expand(10, 3)})  # fmt: skip
    cut = track.frames(4, 7)
    assert len(cut) == 3 and torch.equal(cut.parameters.expression, track.parameters.expression[4:7])
    assert torch.equal(cut.times, track.times[4:7]) and torch.equal(cut.parameters.identity, track.parameters.identity)
    assert all(
        torch.equal(found, rows[4:7])
        for found in (
            cut.landmarks[:, 0, 0],
            cut.energies["photometric"],
            10 * cut.visibility["mouth"],
            cut.spread["rotation"][:, 0],
        )
    )
    assert torch.equal(cut.spread["identity"], track.spread["identity"])  # of the clip, whatever its length
