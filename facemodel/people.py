"""How people's faces are spread in a model's identity coefficients, where that was measured.

A model's own statistics may be an artist's: each slider as wide as the next, and a mean that nobody measured. Those of
the default one are kept beside it (`tools.build_people`), as a mean and the directions in which people differ most.
Enters a model, leaves `People`, or None where nothing is known but what its blocks say. `fitting.energy.priors` asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from facemodel.base import FaceModel
from foundation.tensors import read_tensors, write_tensors

FILE = Path(__file__).parent / "data" / "people.safetensors"
KIND, VERSION, MAKE = "people's faces", 1, "python -m tools.build_people"


@dataclass(frozen=True, eq=False)
class People:
    """A normal distribution of identity coefficients (I,), but for what is spread evenly about it."""

    mean: Tensor  # (I,)
    modes: Tensor  # (K, I): what a standard deviation along each of K directions adds

    def covariance(self, rest: float) -> Tensor:
        """(I, I), in double; ``rest`` is the variance of each coefficient beyond the modes, above 0."""
        modes = self.modes.double()
        return modes.T @ modes + rest * torch.eye(modes.shape[1], dtype=torch.float64, device=modes.device)


def people_of(model: FaceModel) -> People | None:
    """On the model's device."""
    tensors, fingerprint = _shipped()
    if model.fingerprint != fingerprint:
        return None
    return People(*(tensors[name].to(model.mean.device) for name in ("mean", "modes")))


@lru_cache(maxsize=1)
def _shipped() -> tuple[dict[str, Tensor], str]:
    tensors, header = read_tensors(FILE, KIND, VERSION, MAKE)
    return tensors, header["model"]


def save_people(people: People, model: FaceModel, sources: list[str]) -> Path:
    """Writes `FILE`."""
    tensors = {"mean": people.mean.float(), "modes": people.modes.float()}
    return write_tensors(FILE, KIND, VERSION, tensors, {"model": model.fingerprint, "sources": sources})
