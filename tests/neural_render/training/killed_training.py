"""Starts a small training again and again and kills it with SIGKILL at random moments, until it is through.

    python -m tests.neural_render.training.killed_training FOLDER KILLS STEPS

Each training is a fork of this process, so that nothing is imported twice. It writes a line "step loss", the loss in
hexadecimal, to FOLDER/losses for each step, and saves a checkpoint after each. It's killed some moments after none, one
or two such lines, however long they take: two mean that a checkpoint was saved. This process looks after each kill at
what is on disk, and prints one JSON line: the checkpoints' steps, and how many kills met a half-written file.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from foundation.tensors import read_tensors
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from neural_render.training import RunPolicy, resume, run
from tests.neural_render.arrays import moving_disc

RUNNING = os.WEXITED | os.WNOHANG | os.WNOWAIT  # `os.waitid` says None of a process that still runs
SETTINGS = Settings(size=64, width=4, batch=1, adversarial_after=2, seed=5)


def train(trainer: Trainer, folder: Path, steps: int) -> None:
    """Goes on from the checkpoint to ``steps``."""
    resume(trainer, folder / "checkpoint.safetensors", {})
    with open(folder / "losses", "a", buffering=1) as file:
        advance = trainer.advance

        def written() -> dict[str, float]:
            losses = advance()
            file.write(f"{trainer.step} {losses['l1'].hex()}\n")
            return losses

        trainer.advance = written
        run(trainer, folder / "checkpoint.safetensors", steps=steps, policy=RunPolicy(save_seconds=0))


def forked(trainer: Trainer, folder: Path, steps: int) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(trainer, folder, steps)
            code = 0
        finally:
            os._exit(code)
    return child


def lines(folder: Path) -> int:
    """How many steps were written so far."""
    path = folder / "losses"
    return path.read_text().count("\n") if path.exists() else 0


def main(folder: Path, kills: int, steps: int) -> None:
    torch.set_num_threads(1)
    trainer = Trainer(SETTINGS, moving_disc())  # at step 0; each fork loads the checkpoint into its own
    found, partial, chance = [], 0, random.Random(1)
    for kill in range(kills):
        before, child = lines(folder), forked(trainer, folder, 10**9)
        while lines(folder) < before + kill % 3 and os.waitid(os.P_PID, child, RUNNING) is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        partial += (folder / "checkpoint.safetensors.partial").exists()
        if (folder / "checkpoint.safetensors").exists():
            found.append(read_tensors(folder / "checkpoint.safetensors", "checkpoint", 1, "")[1]["step"])
    steps = max([*found, 0]) + steps
    _, status = os.waitpid(forked(trainer, folder, steps), 0)
    print(json.dumps({"steps": found, "partial": partial, "last": steps, "code": os.waitstatus_to_exitcode(status)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
