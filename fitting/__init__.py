"""Fitting the model to pictures and clips by analysis-by-synthesis."""

from fitting.landmarks.registry import make_detector
from fitting.policy.settings import QUALITIES, Settings
from fitting.tracking.online import OnlineTracker
from fitting.tracking.stills import Stills
from fitting.tracking.video import fit_image, fit_images, fit_people, fit_video

__all__ = [
    "QUALITIES",
    "OnlineTracker",
    "Settings",
    "Stills",
    "fit_image",
    "fit_images",
    "fit_people",
    "fit_video",
    "make_detector",
]
