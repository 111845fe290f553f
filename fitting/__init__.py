"""Fitting the model to pictures and clips by analysis-by-synthesis."""

from .landmarks import make_detector
from .settings import QUALITIES, Settings
from .tracker import Stills, fit_image, fit_images, fit_video

__all__ = ["QUALITIES", "Settings", "Stills", "fit_image", "fit_images", "fit_video", "make_detector"]
