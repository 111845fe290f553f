"""A training that is killed twenty times is the training that was never killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neural_render.methods.deep_video_portraits.trainer import Trainer
from tests.neural_render.arrays import moving_disc
from tests.neural_render.training.killed_training import SETTINGS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def one_thread():
    """As the killed process has: other numbers of threads add up in another order, and training magnifies that."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_killed_twenty_times(tmp_path, one_thread):
    done = subprocess.run(
        [sys.executable, "-m", "tests.neural_render.training.killed_training", str(tmp_path), "20", "3"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    assert found["steps"] == sorted(found["steps"])
    assert found["steps"][-1] >= 6  # every third kill came after a step that was saved
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {"checkpoint.safetensors", "checkpoint.safetensors.partial", "losses"}
    lines = [line.split() for line in (tmp_path / "losses").read_text().splitlines()]
    losses = {int(step): float.fromhex(loss) for step, loss in lines}
    assert all(losses[int(step)] == float.fromhex(loss) for step, loss in lines)  # those done twice came out alike
    assert sorted(losses) == list(range(1, found["last"] + 1))
    whole = Trainer(SETTINGS, moving_disc())
    for step in range(1, min(found["last"], 25) + 1):
        assert whole.advance()["l1"] == pytest.approx(losses[step], rel=1e-6)
