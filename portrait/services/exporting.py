"""``portrait export``: a frame's mesh, or a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel import Track, export_mesh
from facemodel.export.mesh import EXPORTERS
from foundation.progress import Report, ignore
from neural_render.methods.base import method_of
from portrait.pictures import as_bytes
from portrait.services.checks import MOST, check_number, check_output
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.tracks import load_track
from renderer import extend, linear_to_srgb
from renderer.interpolation import interpolate
from renderer.unwrapping import uv_fragments

TEXTURED = (".obj", ".glb")


@dataclass(frozen=True)
class Exported:
    """A mesh, with landmarks and camera beside it."""

    path: Path
    frame: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        unit = "metres, expression as morph targets" if self.path.suffix.lower() == ".glb" else "millimetres"
        return [f"{self.path}: frame {self.frame}, {unit}; landmarks and camera in {self.path.stem}.landmarks.json"]


@dataclass(frozen=True)
class ExportedNetwork:
    """A trained network in a file for other programs."""

    path: Path
    about: str  # what goes in and comes out

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [f"{self.path}: {self.about}"]


def is_animated(output: Path) -> bool:
    """Whether a file of that name holds a whole clip, or nothing that is known: a frame's mesh has other names."""
    return output.suffix.lower() not in EXPORTERS


def export_frame(
    path: Path, output: Path, *, frame: int = 0, texture: int = 1024, setup: Setup = Setup(), report: Report = ignore
) -> Exported:
    """Writes a frame's mesh with its albedo as texture, and landmarks and camera beside it.

    texture: px a side; 0 colours the vertices instead, as does a model without a UV atlas.
    """
    check_number("texture", texture, 0, 8192, unit=" pixels")
    if texture:
        check_number("texture", texture, 16, 8192, unit=" pixels, or 0 for none")
    check_number("frame", frame, 0, MOST)
    check_output(output)
    model, notes = setup.started().face_model("cpu"), Notes(report)
    track = load_track(path, model)
    pixels = None
    if texture and output.suffix.lower() in TEXTURED:
        if model.atlas is None:
            notes.add(f"the model '{model.name}' has no UV atlas: colours are the vertices'")
        else:
            pixels = albedo_texture(model, track, texture)
    export_mesh(track, frame, model, output, pixels)
    return Exported(output, frame, tuple(notes))


def export_network(path: Path, output: Path, *, setup: Setup = Setup(), report: Report = ignore) -> ExportedNetwork:
    """Writes trained weights in the format of the output's name, as their method can."""
    check_output(output, path)
    method = method_of(path)
    weights = method.load(path, setup.started().face_model("cpu"))
    return ExportedNetwork(output, method.export(weights, output))


def albedo_texture(model, track: Track, size: int) -> np.ndarray:
    """The track's albedo drawn into the UV atlas: (size, size, 3) uint8 sRGB, row 0 at v = 1.

    Texels outside the atlas' islands repeat their nearest neighbour, so that no seam shows.
    """
    with torch.inference_mode():
        albedo = linear_to_srgb(model.albedo(track.parameters.reflectance).clamp(0, 1)).reshape(1, -1, 3)
        fragments = uv_fragments(model, (size, size))
        return as_bytes(extend(interpolate(fragments, albedo, model.triangles)[0], fragments.mask[0]))
