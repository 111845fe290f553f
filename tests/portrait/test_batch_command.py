"""A folder of clips by the command itself: killed and gone on with, over Ray, with wrong options."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

import portrait.services.one_clip
from facemodel import Track
from fitting.landmarks import DETECTORS
from portrait.batch.clips import find_clips
from portrait.cli import main
from portrait.commands.batch_display import BatchDisplay
from portrait.video import VideoReader, VideoWriter
from portrait.video.sample import carphone
from tests.portrait import batch_work
from tests.portrait.batch_work import starts, table, touch, wait_until
from tests.portrait.conftest import ROOT


def cut(path: Path, start: int, count: int) -> Path:
    """Some frames of the installed clip as a clip of their own."""
    reader = VideoReader(carphone(), square=False)
    with VideoWriter(path, reader.width, reader.height, reader.fps) as writer:
        for index, _, frame in reader:
            if start <= index < start + count:
                writer.write(frame)
    return path


@pytest.fixture
def detectors(monkeypatch):
    """Lets the command do a folder in this process, since others take seconds to begin; detectors made so far."""

    def one_by_one(clips, work, count):
        for clip in clips:
            yield clip, work(clip, lambda news: None)

    made, make = [], DETECTORS["mediapipe"]
    monkeypatch.setitem(DETECTORS._values, "mediapipe", lambda device: made.append(make(device)) or made[-1])
    monkeypatch.setattr("portrait.services.batch.run_on_cores", one_by_one)
    portrait.services.one_clip._finder.cache_clear()
    threads = torch.get_num_threads(), cv2.getNumThreads()
    yield made
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def test_a_killed_run_goes_on_and_does_nothing_twice(tmp_path, capsys, detectors):
    """Killed when the first clip is done; then run to the end, with a clip that can't be read; then run again."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    (clips / "sub").mkdir(parents=True)
    cut(clips / "a.mp4", 0, 1)
    cut(clips / "sub" / "a.mkv", 60, 2)
    arguments = ["fit", str(clips), "-o", str(out), "--device", "cpu", "--fov", "40"]
    process = subprocess.Popen([sys.executable, "-m", "portrait", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_until((out / "summary.csv").exists, 300)
    process.kill()
    process.wait()
    before = {p: p.stat().st_mtime_ns for whole in out.rglob("track.json") for p in whole.parent.iterdir()}
    assert len(before) >= 2
    shutil.copy(__file__, clips / "broken.mp4")

    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "broken.mp4: failed: video" in said.out and "can't be read as a video" in said.out
    assert said.out.splitlines()[-1].startswith(f"{out / 'summary.csv'}: 3 clips, ")
    assert ", 1 failed; " in said.out and said.err == ""
    rows = table(out / "summary.csv")
    assert {name: (row["track"], row["status"]) for name, row in rows.items()} == {
        "a.mp4": ("a.track", "fitted"),
        "broken.mp4": ("broken.track", "failed"),
        "sub/a.mkv": ("sub/a.track", "fitted"),
    }
    assert rows["broken.mp4"]["frames"] == "" and "can't be read" in rows["broken.mp4"]["error"]
    for name, count in (("a.mp4", 1), ("sub/a.mkv", 2)):
        row, track = rows[name], Track.load(out / rows[name]["track"])
        assert [int(row[k]) for k in ("frames", "tracked", "uncertain")] == [count, count, 0]
        assert float(row["mean_confidence"]) == pytest.approx(float(track.confidence.mean()), abs=1e-4)
        errors = sorted(track.energies["landmarks"].tolist())
        assert float(row["median_landmark_error"]) == pytest.approx(errors[(count - 1) // 2], abs=1e-5)
        errors = sorted(track.energies["photometric"].tolist())
        assert float(row["median_photometric_error"]) == pytest.approx(errors[(count - 1) // 2], abs=0.01)
        assert float(row["seconds"]) > 0 and row["error"] == ""
        assert track.facts["camera"]["fov_deg"] == pytest.approx(40)
        assert track.facts["camera"]["focal"] == "given"
    after = {p: p.stat().st_mtime_ns for p in out.rglob("track.*")}
    assert before.items() <= after.items()

    (clips / "broken.mp4").unlink()
    assert main(arguments) == 0
    assert "2 clips, 0 fitted, 2 already there" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in out.rglob("track.*")} == after
    assert table(out / "summary.csv") == {k: v for k, v in rows.items() if v["status"] == "fitted"}
    assert not [p for p in out.rglob("*") if ".work" in p.name or ".partial" in p.name]
    assert len(detectors) == 3  # one to check the options in each run, and one for all clips: they never free memory


def test_options_are_checked_before_the_work(tmp_path, capsys):
    touch(tmp_path, "clips/a.mp4", "file")
    for extra, expected in [
        (["--device", "tpu"], "expected cpu, cuda or auto"),
        (["--detector", "mediapip"], "did you mean 'mediapipe'?"),
        (["--fov", "180"], "--fov: expected degrees between 0 and 180, got 180"),
        (["--ray", "somewhere"], "--ray: expected local, auto, HOST:PORT"),
        (["--ray", "127.0.0.1:1"], "can't be reached (Connection refused)"),
    ]:
        assert main(["fit", str(tmp_path / "clips"), "-o", str(tmp_path / "out"), *extra]) == 2
        assert expected in capsys.readouterr().err, extra
    assert main(["fit", str(tmp_path / "clips"), "-o", str(tmp_path / "file")]) == 2
    assert "expected a folder for the tracks" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.track"))


def test_ray_that_is_not_installed_is_said(tmp_path, monkeypatch, capsys):
    touch(tmp_path, "clips/a.mp4")
    monkeypatch.setitem(sys.modules, "ray", None)  # as Python has it for what can't be imported
    assert main(["fit", str(tmp_path / "clips"), "-o", str(tmp_path / "out"), "--ray", "local"]) == 2
    assert "pip install 'ray" in capsys.readouterr().err


@pytest.mark.slow
def test_ray_does_a_clip_again_whose_worker_is_killed(tmp_path, monkeypatch):
    """A local Ray with two workers, one of which is killed in the middle of a clip."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    touch(clips, "a.mp4", "b.mp4")
    a, b = find_clips(clips, out)
    stages, show = [], BatchDisplay.__call__

    def watch(display, event):
        show(display, event)
        if event.clip == a and event.row is None:
            stages.append(event.stage)
            if "solving for identity" in event.stage and len(starts(a)) == 1:
                os.kill(starts(a)[0], signal.SIGKILL)

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the workers
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr("portrait.services.batch.fit_one", batch_work.solve)
    monkeypatch.setattr(BatchDisplay, "__call__", watch)
    assert main(["fit", str(clips), "-o", str(out), "--device", "cpu", "--ray", "local"]) == 0
    assert any("solving for identity" in stage for stage in stages)
    assert len(starts(a)) == 2 and len(set(starts(a))) == 2 and len(starts(b)) == 1
    rows = table(out / "summary.csv")
    assert [(r["clip"], r["status"], r["frames"], r["error"]) for r in rows.values()] == [
        ("a.mp4", "fitted", "1", ""),
        ("b.mp4", "fitted", "1", ""),
    ]
