"""The morphable face model, its parameters, their files, and mixing and editing of them."""

from facemodel.base import Block, FaceModel
from facemodel.editing.curves import apply_curves, read_curves, write_curves
from facemodel.editing.edits import edit
from facemodel.editing.mixing import mix
from facemodel.export.mesh import export_mesh
from facemodel.linear import LinearModel
from facemodel.parameters import FaceParameters
from facemodel.registry import load
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError
from geometry.mesh import vertex_normals

__all__ = [
    "Block",
    "LinearModel",
    "FaceParameters",
    "FrameStatus",
    "FaceModel",
    "PortraitError",
    "Track",
    "apply_curves",
    "edit",
    "export_mesh",
    "load",
    "mix",
    "read_curves",
    "vertex_normals",
    "write_curves",
]
