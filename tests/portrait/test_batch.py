"""Folders of clips: which they are, processes that die, the table, resuming after a kill."""

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fitting.landmarks
import portrait.batch.job
from facemodel import PortraitError, Track
from portrait.batch.clips import find_clips, track_names
from portrait.batch.cores import run_on_cores
from portrait.batch.display import BatchDisplay
from portrait.batch.summary import COLUMNS, write_summary
from portrait.batch.work import ATTEMPTS, News, Row, failed, now_and_then
from portrait.cli import main
from portrait.jobs.batch import _alone
from portrait.sample import carphone
from portrait.video import VideoReader, VideoWriter

from . import batch_work
from .batch_work import act, clips_named, starts
from .conftest import ROOT


def cut(path: Path, start: int, count: int) -> Path:
    """Some frames of the installed clip as a clip of their own."""
    reader = VideoReader(carphone())
    with VideoWriter(path, reader.width, reader.height, reader.fps) as writer:
        for index, _, frame in reader:
            if start <= index < start + count:
                writer.write(frame)
    return path


def table(path: Path) -> dict[str, dict]:
    with open(path, newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file)}


# -- which clips ------------------------------------------------------------------------------------------------


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_clips_keep_their_folders_and_are_told_apart(tmp_path):
    touch(tmp_path, "b.mp4", "a.mp4", "a.MOV", "sub/deep/a.mkv", ".hidden.mp4", ".cache/c.mp4", "notes.txt", "._a.mp4")
    clips = find_clips(tmp_path, Path("out"))
    assert [(c.name, c.track_name) for c in clips] == [
        ("a.MOV", "a.MOV.track"),
        ("a.mp4", "a.mp4.track"),
        ("b.mp4", "b.track"),
        ("sub/deep/a.mkv", "sub/deep/a.track"),
    ]
    assert clips[3].track == Path.cwd() / "out/sub/deep/a.track" and clips[3].path == tmp_path / "sub/deep/a.mkv"


@settings(max_examples=25)
@given(st.lists(st.from_regex(r"([ab]/)?[ab](\.mp4|\.mov){1,3}", fullmatch=True), unique=True))
def test_no_two_clips_share_a_track(names):
    tracks = track_names([Path(n) for n in names])
    assert len(set(tracks)) == len(names)
    assert [t.parent for t in tracks] == [Path(n).parent for n in names]
    assert all(t.name.startswith(Path(n).stem) for t, n in zip(tracks, names))


def test_images_beside_videos_are_refused(tmp_path, capsys):
    touch(tmp_path, "a.mp4", "stills/1.png")
    assert main(["fit", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "found both ('a.mp4', 'stills/1.png'); move the images" in error
    (tmp_path / "a.mp4").unlink()
    assert find_clips(tmp_path, tmp_path) == []  # a clip of stills, if anything
    assert main(["fit", str(tmp_path / "stills"), "-o", str(tmp_path / "out"), "--ray", "local"]) == 2
    assert "--ray: expected a folder of videos" in capsys.readouterr().err


# -- processes --------------------------------------------------------------------------------------------------


def test_every_clip_gets_a_row_whatever_its_process_does(tmp_path):
    clips = clips_named(tmp_path, "dies", "a", "dies once", "can't", "leaves", "b")
    events = list(run_on_cores(clips, act, 2))
    rows = {clip.name: news for clip, news in events if isinstance(news, Row)}
    assert len([news for _, news in events if isinstance(news, Row)]) == len(clips)
    assert {name: row.status for name, row in rows.items()} == {
        "dies": "failed", "a": "fitted", "dies once": "fitted", "can't": "failed", "leaves": "failed", "b": "fitted",
    }  # fmt: skip
    assert "died 3 times" in rows["dies"].error and "memory" in rows["dies"].error
    assert "exit code 7" in rows["leaves"].error
    assert rows["can't"].error == "no face"
    assert rows["a"].error == "1,1,1,1"  # threads
    tried = {"dies": ATTEMPTS, "leaves": ATTEMPTS, "dies once": 2}
    assert {c.name: len(starts(c)) for c in clips} == {c.name: tried.get(c.name, 1) for c in clips}
    assert (clips[1], News(0, 2, "tracking")) in events


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("signal_sent", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_one_that_started_them(tmp_path, signal_sent):
    """Else the next run would meet them at work on its clips. Ctrl-C reaches the whole group of processes."""
    clips = clips_named(tmp_path, "sleeps", "sleeps too")
    code = (
        "import sys; from pathlib import Path; from portrait.batch.cores import run_on_cores\n"
        "from tests.portrait.batch_work import act, clips_named\n"
        "if __name__ == '__main__': list(run_on_cores(clips_named(Path(sys.argv[1]), 'sleeps', 'sleeps'), act, 2))"
    )
    (tmp_path / "main.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len(starts(clips[0])) == 2)
    for worker in starts(clips[0]):
        os.kill(worker, signal.SIGINT)
    time.sleep(0.3)
    assert all(alive(worker) for worker in starts(clips[0]))  # Ctrl-C is the first process' business
    os.killpg(process.pid, signal_sent) if signal_sent == signal.SIGINT else process.kill()
    _, error = process.communicate(timeout=30)
    wait_until(lambda: not any(alive(p) for p in starts(clips[0])), 5)
    assert error.count("KeyboardInterrupt") == (signal_sent == signal.SIGINT)  # the workers say nothing


# -- what is told and written -------------------------------------------------------------------------------------


def test_news_comes_with_each_stage_and_seldom_within_one():
    sent = []
    report = now_and_then(sent.append)
    for stage in ("looking", "tracking"):
        for done in range(1000):
            report(done, None, stage)
    assert sent[0] == News(0, None, "looking") and News(0, None, "tracking") in sent
    assert len(sent) < 20


def test_summary_is_whole_or_absent(tmp_path):
    write_summary(tmp_path / "summary.csv", [failed(c, 'a "b", c\nd') for c in clips_named(tmp_path, "x, y")])
    assert table(tmp_path / "summary.csv")["x, y"]["error"] == 'a "b", c d'
    assert list(table(tmp_path / "summary.csv")["x, y"]) == COLUMNS
    (tmp_path / "folder").mkdir()
    with pytest.raises(PortraitError, match="can't be written"):
        write_summary(tmp_path / "folder", [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "summary.csv"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_display_counts_and_says_failures(tmp_path, monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    a, b = clips_named(tmp_path, "a", "[b]")
    with BatchDisplay(2) as display:
        display.show(a, News(0, None, "looking for key frames"))
        display.show(b, News(1, 4, "tracking"))
        display.show(a, Row("a", "a.track", "fitted"))
        if stream is Terminal:
            display._bars.refresh()
        display.show(b, failed(b, "no face"))
    assert (display.finished, display.failed) == (2, 1)
    drawn = sys.stderr.getvalue()
    assert capsys.readouterr().out == "[b]: failed: no face\n"
    if stream is Terminal:
        assert "  [b] " in drawn and "tracking, 1 of 4" in drawn and "1 of 2" in drawn
    else:
        assert drawn == ""


def test_one_run_at_a_time_in_a_folder(tmp_path):
    folder, expected = tmp_path / "out", "another 'portrait fit' is writing there"
    with _alone(folder), pytest.raises(PortraitError, match=expected), _alone(folder):
        pass
    with _alone(folder):
        pass


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def detectors(monkeypatch):
    """Lets the command do a folder in this process, since others take seconds to begin; detectors made so far."""

    def one_by_one(clips, work, count):
        for clip in clips:
            yield clip, work(clip, lambda news: None)

    made, make = [], fitting.landmarks.MediaPipeDetector
    monkeypatch.setattr("fitting.landmarks.MediaPipeDetector", lambda: made.append(make()) or made[-1])
    monkeypatch.setattr("portrait.jobs.batch.run_on_cores", one_by_one)
    portrait.batch.job._finder.cache_clear()
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
    wait_until((out / "summary.csv").exists, 60)
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
    """A local Ray with two workers, one of which is killed while it solves for identity."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    cut(clips / "a.mp4", 0, 4)
    cut(clips / "b.mp4", 60, 1)
    a, b = find_clips(clips, out)
    stages, show = [], BatchDisplay.show

    def watch(display, clip, news):
        show(display, clip, news)
        if clip == a and isinstance(news, News):
            stages.append(news.stage)
            if news.stage == "solving for identity" and len(starts(a)) == 1:
                os.kill(starts(a)[0], signal.SIGKILL)

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the workers
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr("portrait.jobs.batch.fit_one", batch_work.fit)
    monkeypatch.setattr(BatchDisplay, "show", watch)
    assert main(["fit", str(clips), "-o", str(out), "--device", "cpu", "--ray", "local"]) == 0
    assert "solving for identity" in stages
    assert len(starts(a)) == 2 and len(set(starts(a))) == 2 and len(starts(b)) == 1
    rows = table(out / "summary.csv")
    assert [(r["clip"], r["status"], r["frames"], r["error"]) for r in rows.values()] == [
        ("a.mp4", "fitted", "4", ""),
        ("b.mp4", "fitted", "1", ""),
    ]
    assert Track.load(out / "a.track").tracked.all()
