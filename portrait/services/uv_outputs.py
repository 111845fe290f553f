"""What ``portrait uv`` writes: maps, meshes, pictures of the face at other yaws, a turntable."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel import FaceModel, FaceParameters, Track, export_mesh
from fitting.landmarks.base import Face
from foundation.progress import Report, counted
from portrait.pictures import as_bytes
from portrait.video.png import write_picture
from portrait.video.writer import VideoWriter
from renderer import Camera, linear_to_srgb, render_textured
from synthetic.performance import head_turn
from synthetic.surroundings import light_of

PICTURE = 512  # px a side, of pictures and turntable
FRAMES = 100  # of a turntable, 4 seconds
WIDEST = 75.0  # degrees to either side
SCHEME = "mediapipe478"
INDEX = "uv.json"
ALWAYS = (
    "texture.png", "visibility.png", "confidence.png", "face.glb", "face.obj", "face.mtl", "face.albedo.png",
    "face.landmarks.json", "turntable.mp4",
)  # fmt: skip
HEIGHT, FOCAL = 330.0, 3.0  # mm that a picture shows, and its focal length in sides


@dataclass(frozen=True)
class TexturedFace:
    """A face as it can be drawn from any side."""

    model: FaceModel
    parameters: FaceParameters  # of one frame, no leading dimensions
    texture: Tensor  # (S, S, 3) linear RGB, extended beyond the atlas
    lit: bool  # the texture has its light in it; else even light falls on it

    def pose(self, yaw: float, size: int) -> tuple[FaceParameters, Camera]:
        """The face turned by ``yaw`` degrees, positive to its left, in even light; a camera of ``size`` px a side."""
        focal = FOCAL * size
        turned = self.parameters.replace(
            rotation=head_turn(yaw).to(self.texture.device),
            translation=self.texture.new_tensor([-30.0 * math.sin(math.radians(yaw)), -18.0, FOCAL * HEIGHT]),
            illumination=light_of(0).to(self.texture.device),
        )
        return turned, Camera(focal, size, size)

    def at_yaw(self, yaw: float, size: int) -> np.ndarray:
        """(size, size, 3) uint8 sRGB over grey: the face in that pose."""
        picture, alpha = render_textured(self.model, *self.pose(yaw, size), self.texture, lit=self.lit)
        return as_bytes((picture * alpha + 0.25 * (1 - alpha))[0])

    def landmarks(self, yaw: float, size: int) -> Face:
        """MediaPipe's landmarks where they are in that picture."""
        p, camera = self.pose(yaw, size)
        return Face(p.landmarks(self.model, camera, SCHEME).cpu().double().numpy(), SCHEME, 1.0)


def yaw_pictures(yaws: Sequence[float], frontalize: bool) -> dict[str, float]:
    """The pictures of the face at these yaws, degrees, by file name."""
    names = {}
    for yaw in dict.fromkeys([*([0.0] if frontalize else []), *yaws]):
        names[f"{'frontal' if yaw == 0 and frontalize else f'yaw{yaw:+g}'}.png"] = yaw
    return names


def remove_stale(folder: Path, keep: list[str]) -> None:
    """Removes what ``uv.json`` says that an earlier run wrote into the folder, but for those to keep."""
    try:
        listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in listed if isinstance(listed, list) else []:
        if isinstance(name, str) and Path(name).name == name and name not in keep:
            (folder / name).unlink(missing_ok=True)


def turntable(face: TexturedFace, path: Path, note: dict, report: Report) -> None:
    """A video of the face going from side to side."""
    with VideoWriter(path, PICTURE, PICTURE, 25.0, metadata=note) as writer:
        for k in counted(range(FRAMES), report, "turntable", FRAMES):
            writer.write(face.at_yaw(WIDEST * math.sin(2 * math.pi * k / FRAMES), PICTURE))


def write_maps(output: Path, texture: Tensor, weight: Tensor, skin, whole: Tensor | None) -> None:
    """texture.png, with what wasn't seen transparent, or whole where it was completed; the masks beside it.

    texture: (S, S, 3) linear RGB, zero where not seen. weight: (S, S) 0 to 1. whole: (S, S, 3) or None.
    """
    seen = linear_to_srgb(torch.cat([texture.clamp(0, 1), texture.new_zeros(*weight.shape, 1)], -1))
    seen[..., 3] = weight
    if whole is None:
        write_picture(output / "texture.png", as_bytes(seen))
    else:
        write_picture(output / "observed.png", as_bytes(seen))
        write_picture(output / "texture.png", as_bytes(linear_to_srgb(whole)))
    write_picture(output / "visibility.png", as_bytes(skin.visible.float()))
    write_picture(output / "confidence.png", as_bytes(skin.confidence))


def write_mesh(output: Path, model, track: Track, frame: int, texture: Tensor) -> None:
    """face.glb and face.obj with the texture (S, S, 3) linear RGB on them."""
    pixels = as_bytes(linear_to_srgb(texture))
    for name in ("face.glb", "face.obj"):
        export_mesh(track, frame, model, output / name, pixels)
