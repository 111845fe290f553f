"""What every job works with: the face model, the device, the rasteriser. Names, so that they go to other processes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import facemodel
from facemodel.registry import DEFAULT, MODELS, check_known
from foundation.errors import PortraitError
from renderer import rasterizers


@dataclass(frozen=True)
class Setup:
    """Names, as a user gives them."""

    model: str | None = None  # a name in `facemodel.registry.MODELS` or a file; None is the default one
    device: str = "auto"  # cpu, cuda, cuda:1; auto is cuda where there is one
    rasterizer: str = "auto"  # a name in `renderer.rasterizers.RASTERIZERS`

    def started(self) -> Setup:
        """The same, for this process and others: the device found, the file's path whole, the rasteriser chosen.

        Raises:
            PortraitError: there is no such model, device or rasteriser.
        """
        device, model = pick_device(self.device), self.model
        rasterizers.choose(self.rasterizer, device)
        if model is not None:
            check_known(model)
            model = model if model in MODELS else os.path.abspath(model)
        return replace(self, model=model, device=device)

    def face_model(self, device: str | None = None) -> facemodel.FaceModel:
        """The model on the job's device, or another; read once a process."""
        return _load(self.model or DEFAULT, self._stamp(), pick_device(device or self.device))

    def _stamp(self) -> object:
        """Changes where the model of that name does."""
        path = Path(self.model or DEFAULT)
        return path.stat().st_mtime_ns if path.exists() else MODELS._values.get(str(path))


def pick_device(name: str) -> str:
    """``auto`` becomes cuda where PyTorch has one. Raises PortraitError for a device that isn't there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise PortraitError(f"device: expected cpu, cuda or auto, got '{name}'")
    if kind == "cuda" and not torch.cuda.is_available():
        raise PortraitError("device 'cuda': PyTorch finds no GPU here; use --device cpu, or see 'portrait doctor'")
    return name


@lru_cache(maxsize=4)
def _load(name: str, stamp: object, device: str) -> facemodel.FaceModel:
    return facemodel.load(name, device=device)
