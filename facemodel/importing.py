"""Reading somebody else's face model: which format a file is, its extra files, and whether what came out is a face.

Enters: a path and the paths of extra files. Leaves: a `FaceModel` with its provenance, that passed `facemodel.gate`.
`portrait model import` calls it; `facemodel.load` reads such files, too, without extra files and without the gate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from facemodel import gate
from facemodel.linear import LinearModel
from facemodel.registry import FORMATS, find_format
from foundation.errors import PortraitError


def import_model(
    path: str | os.PathLike, extras: Sequence[str | os.PathLike] = (), format: str | None = None, force: bool = False
) -> LinearModel:
    """Reads a model of any format in `FORMATS`.

    Args:
        extras: files that belong to it and lie apart from it; which is which is told by their content.
        format: the format that it has to be of; None takes what it is.
        force: read it even if it isn't what a face should be.

    Raises:
        PortraitError: no such file, no model, of another format than asked for, broken, or not a face's size or shape.
    """
    path = Path(path)
    if format is not None:
        FORMATS[format]  # an unknown name is said before any file is looked at
    if not path.exists():
        raise PortraitError(f"model '{path}': no such file or folder; check the path")
    found = find_format(path)
    if format not in (None, found):
        own = "a model file of this project's own"
        what = f"this is {own if found == 'default' else f'a model of {FORMATS[found].title}'}"
        raise PortraitError(f"model '{path}': asked for as {format}, but {what}; leave the format out")
    if missing := [p for p in map(Path, extras) if not p.exists()]:
        raise PortraitError(f"extra file '{missing[0]}': no such file; check the path")
    if found == "default":
        if extras:
            raise PortraitError(f"extra file '{extras[0]}': a model of this project's own format has no use for it")
        model = FORMATS[found].read(path)
    else:
        model = FORMATS[found].read(path, [Path(p) for p in extras])
    if not force:
        gate.require(model, str(path))
    return model
