"""What both compiled kernels are given of a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Pose(NamedTuple):
    rotation: np.ndarray  # (3, 3) float32, model axes
    translation: np.ndarray  # (3,) mm, camera frame
    focal: float  # px of the frame
