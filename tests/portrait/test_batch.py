"""Folders of clips: which they are, processes that die, what is told and written."""

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facemodel import FrameStatus, PortraitError
from foundation.progress import Event
from portrait.batch.clips import find_clips, track_names
from portrait.batch.cores import run_on_cores
from portrait.batch.summary import COLUMNS, row_of, write_summary
from portrait.batch.work import ATTEMPTS, Row, failed, now_and_then
from portrait.cli import main
from portrait.commands.batch_display import BatchDisplay
from portrait.services import one_clip as job
from portrait.services.batch import ClipEvent, _alone
from portrait.services.fitting import FitOptions
from portrait.services.setup import Setup
from tests.facemodel.clips import make_track, small_model
from tests.portrait.batch_work import act, clips_named, starts, table, touch, wait_until
from tests.portrait.conftest import ROOT

# -- which clips ------------------------------------------------------------------------------------------------


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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    assert (clips[1], Event("tracking", 0, 2)) in events


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("signal_sent", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_one_that_started_them(tmp_path, signal_sent):
    """Else the next run would meet them at work on its clips. Ctrl-C reaches the whole group of processes."""
    clips = clips_named(tmp_path, "sleeps", "sleeps too")
    code = (  # a shell's background jobs, tests for instance, ignore Ctrl-C
        "import signal, sys; from pathlib import Path; from portrait.batch.cores import run_on_cores\n"
        "from tests.portrait.batch_work import act, clips_named\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    list(run_on_cores(clips_named(Path(sys.argv[1]), 'sleeps', 'sleeps'), act, 2))"
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
    _, error = process.communicate(timeout=120)
    wait_until(lambda: not any(alive(p) for p in starts(clips[0])), 5)
    assert error.count("KeyboardInterrupt") == (signal_sent == signal.SIGINT)  # the workers say nothing


# -- the work on a clip -------------------------------------------------------------------------------------------


def test_every_option_reaches_the_fit_and_its_errors_the_row(tmp_path, monkeypatch):
    asked, (clip,) = {}, clips_named(tmp_path, "a")
    options, setup = FitOptions("ibug", 900.0, 50.0, "fast"), Setup("default", "cpu", "torch")
    monkeypatch.setattr("renderer.rasterizers.choose", lambda name, device: asked.update(rasterizer=name))

    def fit_clip(path, track, options, **others):
        asked.update(others, path=path, track=track, options=options)
        others["report"](Event("tracking", 1, 2))
        raise asked.pop("error")

    monkeypatch.setattr(job, "fit_clip", fit_clip)
    monkeypatch.setattr(job, "_finder", lambda name, device: (name, device))
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    monkeypatch.setattr("cv2.setNumThreads", lambda count: None)
    for error, expected in ((PortraitError("no\nface"), "no face"), (ZeroDivisionError("x"), "ZeroDivisionError: x (")):
        asked["error"], news = error, []
        row = job.fit_one(clip, news.append, options, setup)
        assert row.status == "failed" and row.error.startswith(expected)
        assert news == [Event("tracking", 1, 2)]
    del asked["report"]
    assert asked == {
        "path": clip.path, "track": clip.track, "options": options, "setup": setup, "finder": ("ibug", "cpu"),
        "rasterizer": "torch",
    }  # fmt: skip


def test_a_row_counts_frames_by_their_status(tmp_path):
    t, uncertain, cut = FrameStatus.TRACKED, FrameStatus.UNCERTAIN, FrameStatus.CUT
    status = [int(s) for s in (t, t | uncertain, t | uncertain | cut, FrameStatus.NO_FACE | cut, t | cut)]
    track = replace(
        make_track(small_model(), 5, status=status),
        confidence=torch.tensor([0.9, 0.3, 0.2, 0.0, 0.6]),
        energies={"landmarks": torch.tensor([0.01, 0.02, 0.03, torch.nan, 0.04]), "photometric": torch.arange(5.0)},
        facts={"timings": {"total": 1.234}},
    )
    row = row_of(clips_named(tmp_path, "a")[0], track, kept=True)
    assert (row.frames, row.tracked, row.uncertain, row.kept, row.status) == (5, 4, 2, True, "fitted")
    assert row.mean_confidence == pytest.approx(0.4) and row.seconds == 1.23
    assert row.median_landmark_error == pytest.approx(0.02) and row.median_photometric_error == 2


# -- what is told and written -------------------------------------------------------------------------------------


def test_news_comes_with_each_stage_and_seldom_within_one():
    sent = []
    report = now_and_then(sent.append)
    for stage in ("looking", "tracking"):
        for done in range(1000):
            report(Event(stage, done, None))
    assert sent[0] == Event("looking", 0, None) and Event("tracking", 0, None) in sent
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
        display(ClipEvent("looking for key frames", 0, None, clip=a))
        display(ClipEvent("tracking", 1, 4, clip=b))
        display(ClipEvent("clips", 1, 1, clip=a, row=Row("a", "a.track", "fitted")))
        if stream is Terminal:
            display._bars.refresh()
            assert display._bars.tasks[0].completed == 1.25  # a clip, and a quarter of another
        display(ClipEvent("clips", 1, 1, clip=b, row=failed(b, "no face")))
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
