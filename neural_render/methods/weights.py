"""Weights files of methods: named tensors, and a header that says whose they are and what they were made from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from facemodel.base import check_same_model
from foundation.errors import PortraitError
from foundation.tensors import header_as, read_header, read_tensors, write_tensors

Network = TypeVar("Network", bound=nn.Module)

KIND, VERSION = "weights", 1
MAKE = "portrait train"
AGAIN = "train again with this model"


@dataclass(frozen=True)
class WeightsHeader:
    """What every weights file says of itself; a method's own header is a subclass with the fields that it needs."""

    method: str  # name in `METHODS`
    steps: int = 0
    seconds: float = 0.0  # spent in them
    sources: tuple[Mapping, ...] = ()  # facts of the files that were trained on, see `Clip.source`
    model: str = ""  # name of the face model, where the method uses one
    fingerprint: str = ""  # of that

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, header: Mapping, path: object) -> Self:
        """PortraitError where a field is missing that has no default, or is of another type."""
        return header_as(cls, {**header, "sources": header.get("sources") or ()}, f"weights '{path}'", "train again")


@dataclass(frozen=True)
class Weights:
    """What `Method.load` gives. A method may have a class of its own; that has a ``header`` too."""

    header: WeightsHeader
    tensors: dict[str, Tensor]


def save_weights(path: str | os.PathLike, header: WeightsHeader, tensors: dict[str, Tensor]) -> Path:
    """Writes weights; the file appears whole, or the old one stays."""
    return write_tensors(path, KIND, VERSION, tensors, header.to_json())


def load_weights(path: str | os.PathLike, header: type[WeightsHeader] = WeightsHeader, model=None) -> Weights:
    """Weights whose header is of that class. PortraitError where they are broken, or of another face model."""
    tensors, raw = read_tensors(path, KIND, VERSION, MAKE)
    found = header.from_json(raw, path)
    if model is not None and found.fingerprint:
        check_same_model(f"weights '{path}': trained", found, model, AGAIN)
    return Weights(found, tensors)


def weights_header(path: str | os.PathLike) -> dict:
    """The header of a weights file. PortraitError where it isn't one."""
    header = read_header(path, KIND, MAKE)
    if header.get("kind") != KIND or not isinstance(header.get("method"), str):
        raise PortraitError(f"weights '{path}': expected what 'portrait train' writes; check the name")
    return header


def load_network(network: Network, weights: Weights, name: str, device: torch.device | str = "cpu") -> Network:
    """The network in evaluation, with the tensors that weights have as "name.*". PortraitError where they don't fit."""
    start = f"{name}."
    tensors = {k[len(start) :]: v for k, v in weights.tensors.items() if k.startswith(start)}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(
            f"weights: tensors of the {name} aren't what the header says ({reason}); train again"
        ) from None
    return network.to(device).eval().requires_grad_(False)
