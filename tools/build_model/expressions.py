"""The 52 expression shapes: MakeHuman's face units at the mean head, with eyeballs left in place."""

from __future__ import annotations

import numpy as np

from facemodel.arkit import ARKIT_NAMES

from .source import Source
from .topology import Topology


def build_expressions(source: Source, topology: Topology) -> np.ndarray:
    """(52, V, 3) mm a unit, in ARKit's order."""
    shapes = np.zeros((len(ARKIT_NAMES), topology.count, 3))
    for k, name in enumerate(ARKIT_NAMES):
        shapes[k, : len(topology.base)] = source.face_unit(name)[topology.base]
    return shapes
