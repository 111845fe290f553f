"""Face models by name, and from files of any known format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import torch

from facemodel.base import FaceModel
from foundation.errors import PortraitError
from foundation.registry import Registry

DEFAULT = "default"

MODELS: Registry = Registry("face model")
"""Functions without arguments that return a model, by the model's name."""

FORMATS: Registry = Registry("face model format")
"""A `Format` by name: each a file in `facemodel.formats`."""

FORMATS.add("default", "facemodel.formats.default:READER")
FORMATS.add("flame", "facemodel.formats.flame:READER")
FORMATS.add("gnm", "facemodel.formats.gnm:READER")
FORMATS.add("ict-facekit", "facemodel.formats.ict:READER")
FORMATS.add("bfm2009", "facemodel.formats.bfm2009:FULL")
FORMATS.add("bfm-front", "facemodel.formats.bfm2009:FRONT")
FORMATS.add("face3d", "facemodel.formats.bfm2009:FACE3D")
FORMATS.add("3ddfa", "facemodel.formats.bfm2009:THREE_DDFA")
FORMATS.add("statismo", "facemodel.formats.statismo:READER")
FORMATS.add("sfm", "facemodel.formats.sfm:READER")
FORMATS.add("lsfm", "facemodel.formats.lsfm:LSFM")
FORMATS.add("lyhm", "facemodel.formats.lsfm:LYHM")
FORMATS.add("facewarehouse", "facemodel.formats.bilinear:FACEWAREHOUSE")
FORMATS.add("facescape", "facemodel.formats.bilinear:FACESCAPE")
MODELS.add(DEFAULT, "facemodel.formats.default:load_default")


class Format(Protocol):
    """A file format of face models."""

    name: str

    def sniff(self, path: Path) -> bool:
        """Whether a file, or a folder, is of this format, by its content and never by its name; raises nothing."""

    def read(self, path: Path) -> FaceModel:
        """PortraitError where it is broken."""


def load(source: str | os.PathLike | None = None, device: str | torch.device = "cpu") -> FaceModel:
    """A model by its name in `MODELS`, or from a file; None is the default one, which ships with the package.

    Raises:
        PortraitError: no such name or file, a file of no known format, or a broken one.
    """
    name = DEFAULT if source is None else str(source)
    path = Path(name)
    check_known(name)
    if name in MODELS and not path.exists():
        return MODELS[name]().to(device)
    return FORMATS[find_format(path)].read(path).to(device)


def check_known(name: str) -> None:
    """PortraitError for what is neither in `MODELS` nor a file or a folder."""
    if not name.strip():
        raise PortraitError(f"model: expected a file, or a model known by name ({', '.join(MODELS)}); got nothing")
    if name not in MODELS and not Path(name).exists():
        raise PortraitError(
            f"model '{name}': neither a file nor a model that is known by name ({', '.join(MODELS)}); check the path"
        )


def find_format(path: Path) -> str:
    """The name of a file's or folder's format, by its content; PortraitError that says what it is instead."""
    for name in FORMATS:
        if FORMATS[name].sniff(path):
            return name
    from facemodel.formats.strangers import describe  # late: it brings the libraries of all formats

    raise PortraitError(f"model '{path}': {describe(path)}")
