"""Rows of a table of faces."""

from __future__ import annotations

import numpy as np

from neural_render.corpus import Faces


def spread_rows(faces: Faces, clip: int, count: int) -> np.ndarray:
    """Up to ``count`` rows of a clip, evenly spread."""
    rows = np.flatnonzero(faces.clip == clip)
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
