"""Training: the state that every step changes, the loop over steps, checkpoints, several processes, logs."""

from .base import BaseTrainer, order, split_held_out
from .checkpoints import resume, save
from .loop import Outcome, run
from .processes import is_main_process, make_fabric

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
