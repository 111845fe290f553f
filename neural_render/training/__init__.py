"""Training: the state that every step changes, the loop over steps, checkpoints, several processes, logs."""

from neural_render.training.base import BaseTrainer, order, split_held_out
from neural_render.training.checkpoints import resume, save
from neural_render.training.loop import Outcome, run
from neural_render.training.processes import is_main_process, make_fabric

__all__ = [
    "BaseTrainer",
    "Outcome",
    "is_main_process",
    "make_fabric",
    "order",
    "resume",
    "run",
    "save",
    "split_held_out",
]
