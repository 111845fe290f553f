"""Writing a training's state, and taking it up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from foundation.errors import PortraitError
from neural_render.methods.deep_video_portraits.weights import FORMAT, VERSION, read, write_atomic
from neural_render.training.base import BaseTrainer


def save(trainer: BaseTrainer, path: Path, identity: dict) -> None:
    """Writes a checkpoint; the old one stays until the new one is whole. The main process writes, all wait for it."""
    if trainer.fabric.is_global_zero:
        tensors, header = trainer.state()
        header |= {"format": FORMAT, "kind": "checkpoint", "version": VERSION, "identity": identity}
        write_atomic(path, tensors, header)
    trainer.fabric.barrier()


def resume(trainer: BaseTrainer, path: Path, identity: dict) -> None:
    """Loads a checkpoint into the trainer, if there is one.

    PortraitError where it is broken, of other settings, or of another clip (``identity``).
    """
    if not path.is_file():
        return
    tensors, header = read(path, "checkpoint", str(trainer.device))
    wanted = {**asdict(trainer.settings), **identity}
    found = {**header.get("settings", {}), **header.get("identity", {})}
    differs = [k for k in wanted if found.get(k) != wanted[k]]
    if differs:
        what = ", ".join(f"{k} {found.get(k)} instead of {wanted[k]}" for k in differs[:3])
        raise PortraitError(f"checkpoint '{path}': of another training ({what}); delete it or choose another output")
    try:
        trainer.load_state(tensors, header)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"checkpoint '{path}': incomplete ({reason}); delete it and train again") from None
