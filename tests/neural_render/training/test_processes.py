"""Two processes with half of the batch each do what one does with all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.neural_render.training import one_training

ROOT = Path(__file__).parents[3]


def two_trained(path: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.neural_render.training.one_training", str(path)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text())


@pytest.mark.slow
def test_two_processes_equal_one_at_the_same_batch(tmp_path):
    one_training.main(tmp_path / "one.json")
    one, two = json.loads((tmp_path / "one.json").read_text()), two_trained(tmp_path / "two.json")
    assert [(found["processes"], found["share"]) for found in (one, two)] == [(1, 4), (2, 2)]
    assert two["toy"] == pytest.approx(one["toy"], rel=1e-12)
    for name, value in one["toy weights"].items():
        assert two["toy weights"][name] == pytest.approx(value, rel=1e-10), name
    for ours, theirs in zip(two["losses"], one["losses"], strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3)
    assert two["score"] == pytest.approx(one["score"], rel=2e-3)
    assert two["norms"] == pytest.approx(one["norms"], rel=2e-3, abs=1e-3)
    assert one["resumed"] and two["resumed"]
    names = [sorted(p.name for p in (tmp_path / f"{n}.work" / "samples").iterdir()) for n in ("one", "two")]
    assert names[0] == names[1] == ["0000003.png", "0000004.png"]
