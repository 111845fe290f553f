"""Landmark detectors: from a picture to the faces in it."""

from fitting.landmarks.base import Face, LandmarkDetector
from fitting.landmarks.registry import DETECTORS, make_detector

__all__ = ["DETECTORS", "Face", "LandmarkDetector", "make_detector"]
