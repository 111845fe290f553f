"""The morphable face model, its parameters, their files, and mixing and editing of them."""

from .curves import apply_curves, read_curves, write_curves
from .editing import edit
from .errors import PortraitError
from .export import export_mesh
from .mixing import mix
from .model import MorphableModel, load
from .normals import vertex_normals
from .parameters import FaceParameters
from .track import FrameStatus, Track
from .tucker import TuckerModel, build_tucker

__all__ = [
    "FaceParameters",
    "FrameStatus",
    "MorphableModel",
    "PortraitError",
    "Track",
    "TuckerModel",
    "apply_curves",
    "build_tucker",
    "edit",
    "export_mesh",
    "load",
    "mix",
    "read_curves",
    "vertex_normals",
    "write_curves",
]
