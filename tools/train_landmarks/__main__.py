"""Draws people, trains the landmark network on them and writes `fitting/landmarks/landmarks.safetensors`.

    python -m tools.train_landmarks [--people 34000] [--minutes 90] [--start FILE] [--work landmarks.work] [--out FILE]

Drawing takes about 30 ms a person, on one core; what was drawn stays in --work. Training stops after so many minutes;
--start begins with the weights of an earlier one, as far as they fit. The shipped file was trained for 40 minutes on a
shared core, on features that had been trained for 48 with another head. The last line is one JSON object: the error on
512 people that weren't trained on, of the square's side.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from fitting.landmarks.network import WEIGHTS
from tools.train_landmarks.pictures import Drawn, draw, draw_chunks
from tools.train_landmarks.train import evaluate, save, train

HELD_OUT = range(5_000_000, 5_000_512)  # seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=34_000)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--work", type=Path, default=Path("landmarks.work"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw_chunks(options.work, options.people)
    start = {name: v.float() for name, v in load_file(options.start).items()} if options.start else None
    net = train(options.work, options.minutes, start)
    save(net, options.out)
    held_out = Drawn(*(np.stack(part) for part in zip(*map(draw, HELD_OUT))))
    print(json.dumps(evaluate(net, held_out)))


if __name__ == "__main__":
    main()
