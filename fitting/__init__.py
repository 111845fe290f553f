"""Fitting the model to pictures and clips by analysis-by-synthesis."""

from .fitter import Settings
from .landmarks import make_detector
from .tracker import fit_image, fit_video

__all__ = ["Settings", "fit_image", "fit_video", "make_detector"]
