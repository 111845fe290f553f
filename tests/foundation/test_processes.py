"""Workers end with the process that started them, whatever ended it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import multiprocessing, sys, time
from foundation.processes import leave_with_parent

def serve():
    leave_with_parent()
    print("at work", flush=True)
    time.sleep(20)
    print("still here", flush=True)

if __name__ == "__main__":
    leave_with_parent()  # nobody's child: nothing happens
    multiprocessing.get_context("spawn").Process(target=serve).start()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_leaves_with_its_parent(tmp_path, how):
    (tmp_path / "parent.py").write_text(CODE)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, cwd=ROOT,
                              env={"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert parent.stdout.readline() == b"at work\n"
    parent.send_signal(how)
    assert parent.stdout.read() == b""
