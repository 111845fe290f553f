"""What the benchmark of kills sees, on folders whose faults are known; and one kill of a real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from benchmarks import kills
from benchmarks.kills_folder import Seen, half_written, lost, progress_of
from benchmarks.kills_jobs import ROOT, Job
from foundation.tensors import write_tensors
from tests.facemodel.clips import make_track, small_model

JOB = Job("j", (), (), "*.track/*")


@pytest.fixture
def folder(tmp_path):
    """What a job may leave: everything in it can be read."""
    make_track(small_model(), 2).save(tmp_path / "a.track")
    write_tensors(tmp_path / "checkpoint.safetensors", "checkpoint", 1, {"a": torch.zeros(3)}, {"step": 7})
    write_tensors(tmp_path / "a.track.work" / "progress.safetensors", "x", 1, {"a": torch.zeros(3)}, {"times": [0, 1]})
    (tmp_path / "log.csv").write_text("step,loss\n1,0.5\n")
    cv2.imwrite(str(tmp_path / "p.png"), np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    (tmp_path / "w.safetensors.partial").write_bytes(b"half")
    (tmp_path / "00001.partial").mkdir()
    (tmp_path / "00001.partial" / "0.png").write_bytes(b"half")
    return tmp_path


def test_whole_files_and_partial_ones_are_fine(folder):
    assert half_written(folder) == []
    assert kills.readable(folder / "a.track") and not kills.readable(folder / "b.track")
    assert progress_of(folder) == {"checkpoint.safetensors": 7, "a.track.work/progress.safetensors": 2}


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "log.csv", "p.png", "a.track/track.json"])
def test_half_a_file_is_seen(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    found = half_written(folder)
    assert found and found[0].startswith(name)


def test_a_track_without_its_tensors_is_seen(folder):
    (folder / "a.track" / "track.safetensors").unlink()
    assert "track.safetensors is missing" in half_written(folder)[0]
    assert not kills.readable(folder / "a.track")


def test_losses_are_seen(folder):
    before = Seen.at(folder, JOB)
    assert lost(before, before) == []
    (folder / "a.track.work" / "progress.safetensors").unlink()  # the fit is done
    (folder / "log.csv").write_text("step,loss\n")  # may change
    assert lost(before, Seen.at(folder, JOB)) == []
    os.utime(folder / "a.track" / "track.json", ns=(1, 1))
    (folder / "p.png").unlink()
    write_tensors(folder / "checkpoint.safetensors", "checkpoint", 1, {"a": torch.zeros(3)}, {"step": 5})
    found = lost(before, Seen.at(folder, JOB))
    assert len(found) == 3 and "p.png is gone" in found[0] and "track.json was made again" in found[1]
    assert "checkpoint.safetensors fell back from 7 to 5" in found[2]
    without = replace(before, files={k: v for k, v in before.files.items() if not k.startswith("a.track/")})
    after = replace(without, files={k: v for k, v in without.files.items() if "progress" not in k})
    assert lost(without, after) == ["a.track.work/progress.safetensors is gone"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")
def test_who_goes_on_alone_is_counted(monkeypatch):
    monkeypatch.setattr(kills, "LEAVE", 0.2)
    code = "import subprocess; subprocess.run(['sh', '-c', 'echo at work; sleep 60'])"
    cost = kills.Cost()
    for alone in (True, False):
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
        process.stdout.readline()
        kills._kill(process, cost, alone)
        process.stdout.close()
    assert cost.left_running == 1


@pytest.mark.slow
def test_one_kill_of_a_real_command():
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "1", "--minutes", "5", "--commands"]
    done = subprocess.run([*command, "recognize train"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] == 1 and found["finished"] >= 1 and list(found["by_command"]) == ["recognize train"]
    assert not any(found[name] for name in ("lost", "half_written", "failed", "left_running", "short"))
