"""``portrait synthesize-dataset --clips``: clips with the truth beside, the same again, read and trained on."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from facemodel.editing.openface import read_units
from neural_render.corpus import gather
from portrait.cli import main
from portrait.services.clips_dataset import ClipPlan
from portrait.services.corpora import corpus_clips, parse_corpus
from portrait.services.setup import Setup
from tests.extension.toy_method import register

FEW = ["--clips", "2", "--performances", "5", "--identities", "3", "--frames", "3", "--fps", "5", "--size", "48",
       "--test", "0.4", "--processes", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "people"
    assert main(["synthesize-dataset", "-o", str(folder), *FEW]) == 0
    return folder


def rows(folder):
    with open(folder / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_beside_a_clip(data, model):
    found = rows(data)
    assert len(found) == 6 and {r["person"] for r in found} == {"00000", "00001", "00002"}
    clips = corpus_clips([str(data)], setup=Setup(device="cpu")) + corpus_clips(
        [str(data)], split="test", setup=Setup(device="cpu")
    )
    assert len(clips) == 6 and {c.person for c in clips} == {f"people/{r['person']}" for r in found}
    for clip in clips:
        pictures = [rgb for _, _, rgb in clip.frames]
        assert len(pictures) == len(clip.track) == clip.count == 3 and pictures[0].shape == (48, 48, 3)
        names, values = read_units(data / clip.source["file"].replace(".mp4", ".aus.csv"))
        same = [clip.action_units.names.index(name) for name in names]
        np.testing.assert_allclose(values, clip.action_units.values[:, same], atol=1e-4)
        truth = clip.track.parameters.landmarks(model, clip.track.camera)
        np.testing.assert_allclose(clip.landmarks.points, truth.numpy(), atol=1e-3)


def test_a_stopped_run_goes_on_to_the_same(data, tmp_path, capsys):
    copy = tmp_path / "people"
    shutil.copytree(data, copy)
    one = rows(data)[2]["file"].replace(".mp4", "")
    (copy / f"{one}.track" / "track.json").unlink()
    (copy / f"{one}.mp4.partial").write_bytes(b"")
    shutil.rmtree(copy / "00002")
    assert main(["synthesize-dataset", "-o", str(copy), *FEW]) == 0
    assert "3 drawn now" in capsys.readouterr().out
    files = sorted(p.relative_to(data) for p in data.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file())
    for file in files:
        assert (data / file).read_bytes() == (copy / file).read_bytes(), file


def test_shards_and_pairs(data, tmp_path):
    """Two parts are the whole; a pair that nobody does is drawn where it's asked for."""
    for part in ("1/2", "2/2"):
        assert main(["synthesize-dataset", "-o", str(tmp_path / "people"), *FEW, "--shard", part]) == 0
    assert rows(tmp_path / "people") == rows(data)
    name = rows(data)[0]["file"]
    assert (tmp_path / "people" / name).read_bytes() == (data / name).read_bytes()
    done = {(r["person"], r["performance"]) for r in rows(data)}
    wanted = next(k for k in range(5) if ("00001", f"p{k:04d}") not in done)
    assert main(["synthesize-dataset", "-o", str(tmp_path / "people"), *FEW, "--pair", f"1:{wanted}"]) == 0
    assert {(r["person"], r["performance"]) for r in rows(tmp_path / "people")} == done | {("00001", f"p{wanted:04d}")}


def test_who_does_what():
    plan = ClipPlan(seed=1, clips=3, performances=20, frames=4, fps=5.0, size=48, test=0.3, form="mp4")
    for person in range(40):
        done = plan.performances_of(person)
        assert len(set(done)) == 3
        assert (done == [0, 1, 2]) if plan.split(person) == "test" else min(done) >= 3
    everything = ClipPlan(1, 3, 3, 4, 5.0, 48, 0.3, "mp4")
    assert all(everything.performances_of(k) == [0, 1, 2] for k in range(5))


def test_frames_and_tracks_of_real_clips(data, tmp_path):
    """Frames in folders; every second performance is a stretch of the track that is given."""
    track = data / rows(data)[0]["file"].replace(".mp4", ".track")
    few = ["--clips", "2", "--identities", "1", "--frames", "2", "--size", "48", "--test", "0", "--processes", "1"]
    out = tmp_path / "out"
    assert main(["synthesize-dataset", "-o", str(out), *few, "--form", "frames", "--track", str(track)]) == 0
    clips = corpus_clips([str(out)], setup=Setup(device="cpu"))
    assert [sum(1 for _ in clip.frames) for clip in clips] == [2, 2]
    given = corpus_clips([str(data)], setup=Setup(device="cpu"))
    known = next(c for c in given if c.source["file"] == rows(data)[0]["file"]).track.parameters.expression
    far = [(clip.track.parameters.expression[:, None] - known).abs().amax(-1).min(1).values.max() for clip in clips]
    assert far[1] < 1e-6 < far[0]


def test_counterparts_are_found(data, tmp_path):
    """In a corpus where all do the same, anybody's picture has anybody else's."""
    few = ["--clips", "1", "--identities", "2", "--frames", "2", "--size", "48", "--test", "0", "--processes", "1"]
    assert main(["synthesize-dataset", "-o", str(tmp_path / "same"), *few]) == 0
    faces = gather(corpus_clips([str(tmp_path / "same")], setup=Setup(device="cpu")), tmp_path / "faces", 32)
    assert faces.counterpart(np.arange(4), 1 - faces.person).tolist() == [2, 3, 0, 1]


def test_a_method_of_many_trains_on_corpora(data, tmp_path):
    more = tmp_path / "clips" / "ada"
    more.mkdir(parents=True)
    shutil.copy(data / rows(data)[0]["file"], more / "a.mp4")
    out, train = (
        tmp_path / "out.safetensors",
        ["train", "--method", register(), "--minutes", "1", "--option", "steps=2"],
    )
    assert main([*train, "--corpus", str(data), "--corpus", f"{more.parent}:0.25", "-o", str(out)]) == 0
    clips = corpus_clips([str(data), f"{more.parent}:0.25"], setup=Setup(device="cpu"))
    assert clips[-1].person == "ada" and clips[-1].weight == 0.25
    assert sum(c.weight for c in clips[:-1]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--frames", "4"], "other settings (frames)"),
        (["--clips", "0"], "--clips"),
        (["--performances", "1"], "--performances"),
        (["--size", "49"], "even number"),
        (["--form", "gif"], "form"),
        (["--pair", "7:0"], "--pair 7:0"),
        (["--pair", "7"], "--pair '7'"),
        (["--shard", "3/2"], "--shard"),
        (["--track", "nowhere"], "nowhere"),
    ],
)
def test_bad_input(data, more, message, capsys):
    assert main(["synthesize-dataset", "-o", str(data), *FEW, *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        (["nowhere"], "corpus 'nowhere': expected a folder, found nothing"),
        (["{data}:0"], "weight above 0"),
        (["{data}:heavy"], "PATH:WEIGHT"),
        (["{data}", "{data}:2"], "given twice"),
        (["{empty}"], "holds no clips"),
    ],
)
def test_bad_corpora(data, tmp_path, corpora, message, capsys):
    (tmp_path / "empty").mkdir()
    given = [word for c in corpora for word in ("--corpus", c.format(data=data, empty=tmp_path / "empty"))]
    assert main(["train", "--method", register(), "-o", str(tmp_path / "w"), *given]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_path_with_a_colon(tmp_path):
    (tmp_path / "take:1").mkdir()
    assert parse_corpus(str(tmp_path / "take:1")) == (tmp_path / "take:1", 1.0)
    assert parse_corpus("some/where:0.5")[1] == 0.5
