"""Draws people, trains the mask network on them and writes `fitting/occlusion/mask.safetensors`.

    python -m tools.train_mask [--people 1600] [--minutes 12] [--start FILE] [--seed 0] [--work mask.work] [--out FILE]

Drawing takes about 0.1 s a person, on one core; what was drawn stays in --work. Training stops after so many minutes;
--start begins with the weights of an earlier one, and wants another --seed, else it sees the same again. The shipped
file was trained for 6, 11 and 5 minutes on a shared core, each time beginning with what the last had left; in the
first six with fewer hands. The last line is one JSON object: the overlap (intersection over union) of each part on 256
people that weren't trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from fitting.occlusion.network import WEIGHTS
from tools.train_landmarks.pictures import Drawn, draw_chunks
from tools.train_mask.pictures import draw
from tools.train_mask.train import evaluate, train

HELD_OUT = range(5_000_000, 5_000_256)  # seeds
CHUNK = 200  # pictures a file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1600)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("mask.work"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw_chunks(options.work, options.people, CHUNK, draw)
    start = {name: v.float() for name, v in load_file(options.start).items()} if options.start else None
    net = train(options.work, options.minutes, options.out, start, options.seed)
    held_out = Drawn(*(np.stack(part) for part in zip(*map(draw, HELD_OUT))))
    print(json.dumps(evaluate(net, held_out)))


if __name__ == "__main__":
    main()
