"""Landmark detectors by name."""

from __future__ import annotations

from collections.abc import Callable

from fitting.landmarks.base import LandmarkDetector
from foundation.registry import Registry

DETECTORS: Registry[Callable[[str], LandmarkDetector]] = Registry("landmark detector")
"""What makes a detector that works on a device: "cpu", "cuda", ..."""
DETECTORS.add("mediapipe", "fitting.landmarks.mediapipe:MediaPipeDetector")
DETECTORS.add("face-alignment", "fitting.landmarks.face_alignment:FaceAlignmentDetector")


def make_detector(name: str | LandmarkDetector = "mediapipe", device: str = "cpu") -> LandmarkDetector:
    """The detector called ``name``, of `DETECTORS`. A detector is returned as it is.

    Raises PortraitError where there is no such name, or its weights are missing.
    """
    return DETECTORS[name](str(device)) if isinstance(name, str) else name
