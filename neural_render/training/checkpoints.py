"""Writing a training's state, and taking it up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from neural_render.training.base import BaseTrainer

KIND, VERSION = "checkpoint", 1


def save(trainer: BaseTrainer, path: Path, identity: dict) -> None:
    """Writes a checkpoint; the old one stays until the new one is whole. The main process writes, all wait for it."""
    if trainer.fabric.is_global_zero:
        tensors, header = trainer.state()
        write_tensors(path, KIND, VERSION, tensors, header | {"identity": identity})
    trainer.fabric.barrier()


def resume(trainer: BaseTrainer, path: Path, identity: dict) -> None:
    """Loads a checkpoint into the trainer, if there is one.

    PortraitError where it is broken, of other settings, or of other data (``identity``); the file stays.
    """
    if not path.is_file():
        return
    make = "the same command, once it is deleted"
    tensors, header = read_tensors(path, KIND, VERSION, make, str(trainer.device))
    wanted = {**asdict(trainer.settings), **identity}
    if not all(isinstance(header.get(name), kind) for name, kind in (("identity", dict), ("scores", list))):
        raise PortraitError(
            f"checkpoint '{path}': written by an earlier version, which this one can't go on from; "
            "delete it to train again, or choose another output"
        )
    settings = header.get("settings")
    found = {**(settings if isinstance(settings, dict) else {}), **header["identity"]}
    differs = [k for k in wanted if found.get(k) != wanted[k]]
    if differs:
        what = ", ".join(f"{k} {found.get(k)} instead of {wanted[k]}" for k in differs[:3])
        raise PortraitError(f"checkpoint '{path}': of another training ({what}); delete it or choose another output")
    try:
        trainer.load_state(tensors, header)
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"checkpoint '{path}': incomplete ({reason}); delete it and train again") from None
