"""The state of a training on disk, and the check that it is this training's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from foundation.errors import PortraitError
from recognition.files import read_tensors, write_tensors
from recognition.folder import FaceFolder
from recognition.settings import Experiment

MAKE = "portrait recognize train SETTINGS -o FOLDER"


@dataclass(frozen=True)
class Run:
    """Which training this is: what a checkpoint has to agree with."""

    experiment: Experiment
    folder: FaceFolder
    seed: int

    def header(self) -> dict:
        names = "\n".join(self.folder.identities).encode()
        return {
            "settings": self.experiment.identity(),
            "identities": len(self.folder.identities),
            "names": hashlib.sha256(names).hexdigest(),
            "seed": self.seed,
        }


def save_checkpoint(path: Path, run: Run, objective: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Writes networks, centres, annealing and momentum."""
    tensors = {f"objective.{k}": v for k, v in objective.state_dict().items()}
    for name, parameter in objective.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    write_tensors(path, "checkpoint", tensors, {**run.header(), "step": step})


def check_finite(path: Path, objective: nn.Module, step: int) -> None:
    """Raises PortraitError where a weight or a centre isn't finite, so that the last good checkpoint stays."""
    if not all(bool(t.isfinite().all()) for t in objective.state_dict().values()):
        raise not_finite(path, step)


def load_checkpoint(path: Path, run: Run, objective: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Puts a checkpoint's state into both and returns its step; 0 where there is none.

    Raises PortraitError, and changes nothing, where the file is another training's.
    """
    if not path.exists():
        return 0
    tensors, header = read_tensors(path, "checkpoint", MAKE)
    _compare(path, header, run.header())
    state = {k.removeprefix("objective."): v for k, v in tensors.items() if k.startswith("objective.")}
    expected = {k: v.shape for k, v in objective.state_dict().items()}
    if {k: v.shape for k, v in state.items()} != expected:
        raise PortraitError(f"checkpoint '{path}': its tensors don't fit its settings; choose another output folder")
    objective.load_state_dict(state)
    for name, parameter in objective.named_parameters():
        if f"momentum.{name}" in tensors:
            optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"].to(parameter.device)
    return int(header["step"])


def _compare(path: Path, found: dict, wanted: dict) -> None:
    way_out = "choose another output folder, or the settings that it was made with"
    for section, values in wanted["settings"].items():
        for name, value in values.items():
            before = found["settings"].get(section, {}).get(name)
            if before != value:
                raise PortraitError(
                    f"checkpoint '{path}': was made with {name} = {before}, the settings say {value}; {way_out}"
                )
    if found["seed"] != wanted["seed"]:
        raise PortraitError(f"checkpoint '{path}': was made with seed {found['seed']}, not {wanted['seed']}; {way_out}")
    if found["names"] != wanted["names"]:
        raise PortraitError(
            f"checkpoint '{path}': was made with {found['identities']} identities, the data set has "
            f"{wanted['identities']}, and their names differ; {way_out}"
        )


def not_finite(path: Path, step: int) -> PortraitError:
    kept = f"'{path}' still has the last good state" if path.exists() else "no checkpoint was written yet"
    return PortraitError(
        f"training: the loss or the weights aren't finite at step {step}; {kept}. Lower 'rate', the margin or the "
        "weights of the added losses, and begin in another folder"
    )
