"""The one way to train, for neural rendering and recognition: a trainer's state and step, the loop, checkpoints, logs.

A `BaseTrainer` goes in, with its data; `resume` and `run` change it and leave checkpoints, curves and sheets.
"""

from neural_render.training.base import BaseTrainer, order, split_held_out
from neural_render.training.checkpoints import resume, save
from neural_render.training.loop import Outcome, RunPolicy, run
from neural_render.training.processes import bfloat16_helps, is_main_process, make_fabric

__all__ = [
    "BaseTrainer",
    "Outcome",
    "RunPolicy",
    "bfloat16_helps",
    "is_main_process",
    "make_fabric",
    "order",
    "resume",
    "run",
    "save",
    "split_held_out",
]
