"""The morphable face model, its parameters, their files, and mixing and editing of them."""

from .errors import PortraitError
from .parameters import FaceParameters
from .track import FrameStatus, Track

__all__ = ["FaceParameters", "FrameStatus", "PortraitError", "Track"]
