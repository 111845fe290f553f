"""``portrait export``: a frame's mesh, or a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError, Track, export_mesh
from facemodel.export.mesh import EXPORTERS
from foundation.progress import Report, ignore
from neural_render.methods.base import method_of
from portrait.pictures import as_bytes
from portrait.services.checks import MOST, check_number, check_output
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.tracks import load_track
from portrait.video import is_image, read_image
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


def check_texture(texture: int | Path, textured: bool) -> None:
    """Raises PortraitError for a size or a picture that can't be, or a picture for a format that has no texture."""
    if isinstance(texture, int):
        check_number("texture", texture, 0, 8192, unit=" pixels")
        if texture:
            check_number("texture", texture, 16, 8192, unit=" pixels, or 0 for none")
    elif not texture.is_file() or not is_image(texture):
        raise PortraitError(
            f"--texture '{texture}': expected a number of pixels, or a picture such as the texture.png that "
            "'portrait uv' writes"
        )
    elif not textured:
        raise PortraitError(f"--texture '{texture}': this format has no texture; leave it out, or write .glb or .obj")


def export_frame(
    path: Path,
    output: Path,
    *,
    frame: int = 0,
    texture: int | Path = 1024,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Exported:
    """Writes a frame's mesh with a texture, and landmarks and camera beside it.

    texture: px a side of the albedo drawn; 0 colours the vertices instead, as does a model without a UV atlas; or a
    picture over the atlas.
    """
    check_texture(texture, output.suffix.lower() in TEXTURED)
    check_number("frame", frame, 0, MOST)
    check_output(output)
    model, notes = setup.started().face_model("cpu"), Notes(report)
    track = load_track(path, model)
    pixels = None
    if output.suffix.lower() in TEXTURED:
        pixels, _ = texture_of(model, track, texture, notes)
    export_mesh(track, frame, model, output, pixels)
    return Exported(output, frame, tuple(notes))


def export_network(path: Path, output: Path, *, setup: Setup = Setup(), report: Report = ignore) -> ExportedNetwork:
    """Writes trained weights in the format of the output's name, as their method can."""
    check_output(output, path)
    method = method_of(path)
    weights = method.load(path, setup.started().face_model("cpu"))
    return ExportedNetwork(output, method.export(weights, output))


def texture_of(model, track: Track, wanted: int | Path, notes: Notes) -> tuple[np.ndarray | None, bool]:
    """The texture (H, W, 3) uint8, if there is one, and whether it has its light in it: pictures do."""
    if wanted == 0:
        return None, False
    if model.atlas is None:
        if not isinstance(wanted, int):
            model.require("atlas", "a texture on the mesh")
        notes.add(f"the model '{model.name}' has no UV atlas: colours are the vertices'")
        return None, False
    if isinstance(wanted, int):
        return albedo_texture(model, track, wanted), False
    return read_image(wanted), True


def albedo_texture(model, track: Track, size: int) -> np.ndarray:
    """The track's albedo drawn into the UV atlas: (size, size, 3) uint8 sRGB, row 0 at v = 1.

    Texels outside the atlas' islands repeat their nearest neighbour, so that no seam shows.
    """
    with torch.inference_mode():
        albedo = linear_to_srgb(model.albedo(track.parameters.reflectance).clamp(0, 1)).reshape(1, -1, 3)
        fragments = uv_fragments(model, (size, size))
        return as_bytes(extend(interpolate(fragments, albedo, model.triangles)[0], fragments.mask[0]))
