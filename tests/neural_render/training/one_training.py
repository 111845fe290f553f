"""Trains a toy and a small Deep Video Portraits network, in this process or in two.

    python -m tests.neural_render.training.one_training FILE

is two processes with the environment that torchrun gives them, forks of one, so that nothing is imported twice. The
main one writes the losses of each step and some weights to FILE as JSON.
"""

import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import torch

from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from neural_render.training import make_fabric, resume, run
from tests.neural_render.arrays import moving_disc
from tests.neural_render.training.toys import Line, ToySettings

DVP = Settings(
    size=64, width=4, batch=4, adversarial_after=1, dropout=0.0, boost=1.0, seed=3, held_out=0.25,
    losses={"l1": 100.0, "adversarial": 1.0, "feature-matching": 10.0},
)  # fmt: skip


def main(path: Path) -> None:
    fabric, found = make_fabric("cpu"), {}
    line = Line(ToySettings(normed=True), fabric)
    found["toy"] = [line.advance()["square"] for _ in range(5)]
    tensors, _ = line.state()
    found["toy weights"] = {k: v.flatten().tolist() for k, v in tensors.items() if k.startswith("network")}
    trainer = Trainer(DVP, moving_disc(), fabric=fabric)
    found["losses"] = [trainer.advance() for _ in range(3)]
    found["score"] = trainer.score()
    norms = {k: v.double().norm().item() for k, v in trainer.final_generator().state_dict().items()}
    found["norms"] = norms
    work = path.with_suffix(".work")
    run(trainer, work / "c", steps=4, logs=work)
    resume(again := Trainer(DVP, moving_disc(), fabric=fabric), work / "c", {})
    found["resumed"] = again.advance() == trainer.advance()
    found["share"] = len(trainer.share(np.arange(4)))
    if fabric.is_global_zero:
        path.write_text(json.dumps(found | {"processes": fabric.world_size}))


def in_two_processes(path: Path) -> int:
    """The worse exit status."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    children = []
    for rank in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            main(path)
            return 0
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(in_two_processes(Path(sys.argv[1])))
