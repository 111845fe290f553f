"""``portrait export``: a frame's mesh, or a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError, Track, export_mesh
from neural_render import Weights
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS
from neural_render.methods.deep_video_portraits.onnx_network import export_onnx
from portrait.progress import say
from portrait.tracks import default_model, load_track
from portrait.video.writer import check_writable
from renderer import linear_to_srgb
from renderer.interpolation import interpolate
from renderer.unwrapping import uv_fragments


def export_file(path: Path, output: Path, *, frame: int, texture_size: int) -> None:
    """Writes a frame's mesh with its albedo as texture, and landmarks and camera beside it; or weights as ONNX."""
    if output.suffix.lower() == ".onnx":
        export_network(path, output)
        return
    if texture_size != 0 and not 16 <= texture_size <= 8192:
        raise PortraitError(f"--texture: expected 16 to 8192 pixels, or 0 for none, got {texture_size}")
    model = default_model()
    track = load_track(path, model)
    check_writable(output)
    texture = None
    if texture_size and output.suffix.lower() in (".obj", ".glb"):
        texture = albedo_texture(model, track, texture_size)
    export_mesh(track, frame, model, output, texture)
    unit = "metres, expression as morph targets" if output.suffix.lower() == ".glb" else "millimetres"
    say(f"{output}: frame {frame}, {unit}; landmarks and camera in {output.stem}.landmarks.json")


def export_network(path: Path, output: Path) -> None:
    """Writes trained weights as an ONNX file, which says in its metadata what it is for."""
    check_writable(output, path)
    weights = Weights.load(path)
    export_onnx(weights, output)
    h = weights.header
    say(f"{output}: condition (N, {h.window * CHANNELS}, {h.size}, {h.size}) to image (N, 3, {h.size}, {h.size})")


def albedo_texture(model, track: Track, size: int) -> np.ndarray:
    """The track's albedo drawn into the UV chart: (size, size, 3) uint8 sRGB, row 0 at v = 1.

    Texels outside the chart's islands repeat their nearest neighbour, so that no seam shows.
    """
    from scipy.ndimage import distance_transform_edt

    with torch.inference_mode():
        albedo = linear_to_srgb(model.albedo(track.parameters.reflectance).clamp(0, 1)).reshape(1, -1, 3)
        fragments = uv_fragments(model, (size, size))
        texture = interpolate(fragments, albedo, model.triangles)[0]
        outside = (fragments.pix_to_face[0, ..., 0] < 0).numpy()
    pixels = (texture.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    rows, columns = distance_transform_edt(outside, return_distances=False, return_indices=True)
    return pixels[rows, columns]
