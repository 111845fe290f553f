"""Each photograph as each method shows it to a recognition network: data sets in the layout of ``recognition.folder``.

All pictures are 56 x 48 px. Crops are SphereFace's by the landmarks; textures are unwrapped by the fit, as
``portrait uv`` does, and their face is cut out; renderings are the fitted face with its completed texture, turned, and
cropped as photographs are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.completion import mean_of, methods
from benchmarks.recognition_people import Photos
from facemodel import FaceParameters
from fitting.landmarks.base import Face
from fitting.texture import FrameTexture, frame_texture
from foundation.atomic import write_csv
from neural_render.uv_gan.filling import blend_weight
from portrait.services.uv_outputs import TexturedFace
from recognition.alignment import align_face
from renderer import extend, linear_to_srgb, main_island, srgb_to_linear, to_uint8
from renderer.unwrapping import uv_fragments

SIZE = 64  # texels a side
HEIGHT, WIDTH = 56, 48  # px of all pictures
ROWS, COLUMNS = slice(0, 56), slice(8, 56)  # of a texture: the face, without neck and back of the head
RENDERED = 128  # px of a rendering before it is cropped
TURNED = (0.0, 30.0, 60.0)  # degrees: poses to compare faces in; embeddings of mirrored pictures add the other side
ALIGNED, HOLES, AUGMENTED = "aligned", "holes", "augmented"
FILLED = {
    "mean": "mean", "mirror": "mirror", "toned": "mirror, toned", "telea": "Telea", "navier-stokes": "Navier-Stokes",
    "uv-gan": "network",
}  # fmt: skip
"""Folders of completed textures, and what ``benchmarks.completion`` calls their methods."""
POSES = tuple(f"turned-{yaw:.0f}" for yaw in TURNED)
VIEWS = (ALIGNED, HOLES, *FILLED, AUGMENTED, *POSES)


class Views:
    """What is needed to make the pictures: the model, its UV atlas, and the network that completes textures."""

    def __init__(self, model, network: torch.nn.Module) -> None:
        self.model, self.island = model, main_island(model, SIZE)
        self.atlas = uv_fragments(model, (SIZE, SIZE)).mask[0]
        filling = methods(network, mean_of(network))
        self.fillings: dict[str, Callable] = {folder: filling[name] for folder, name in FILLED.items()}

    def textures(self, frame: FrameTexture) -> dict[str, np.ndarray]:
        """(SIZE, SIZE, 3) uint8 by folder, visible texels as they are; "holes" is black where nothing was seen."""
        weight, skin = blend_weight(frame.confidence, self.island), self.island.numpy()[..., None]
        seen = to_uint8(linear_to_srgb(frame.color.clamp(0, 1))).numpy()
        kept = weight.numpy()[..., None]
        made = {name: kept * seen + (1 - kept) * fill(seen, weight) for name, fill in self.fillings.items()}
        return {name: (t * skin).round().astype(np.uint8) for name, t in ({HOLES: kept * seen} | made).items()}

    def dressed(self, parameters: FaceParameters, frame: FrameTexture, texture: np.ndarray) -> TexturedFace:
        """The fitted face in a texture (SIZE, SIZE, 3) uint8; eyeballs and teeth have the fitted model's colours."""
        skin = srgb_to_linear(torch.from_numpy(texture).float() / 255)
        whole = torch.where(self.island[..., None], skin, frame.albedo * frame.light)
        return TexturedFace(self.model, parameters, extend(whole.clamp(0, 1), self.atlas), lit=True)

    def of_person(self, photos: Photos, *, test: bool, seed: int) -> dict[str, dict[str, np.ndarray]]:
        """All pictures of a person: file names and (HEIGHT, WIDTH, 3) uint8 by view.

        A training sees, beside each aligned photograph, a rendering at one of the yaws of ``TURNED`` ("augmented").
        """
        out: dict[str, dict[str, np.ndarray]] = {view: {} for view in VIEWS}
        draw = np.random.default_rng(seed)
        for k in range(len(photos)):
            name, parameters = f"{k:03d}.png", photos.parameters[k]
            out[ALIGNED][name] = out[AUGMENTED][name] = crop(photos.pictures[k], photos.landmarks[k])
            frame = frame_texture(self.model, parameters, torch.from_numpy(photos.pictures[k]), SIZE)
            textures = self.textures(frame)
            face = self.dressed(parameters, frame, textures["uv-gan"])
            for view, texture in textures.items():
                out[view][name] = np.ascontiguousarray(texture[ROWS, COLUMNS])
            if test:
                for view, yaw in zip(POSES, TURNED):
                    out[view][name] = turned(face, yaw)
            else:
                yaw = float(draw.choice([-1, 1]) * draw.choice(TURNED))
                out[AUGMENTED][f"{k:03d}-turned.png"] = turned(face, yaw)
        return {view: pictures for view, pictures in out.items() if pictures}


def turned(face: TexturedFace, yaw: float) -> np.ndarray:
    """The crop (HEIGHT, WIDTH, 3) of a face that is turned by ``yaw`` degrees."""
    return crop(face.at_yaw(yaw, RENDERED), face.landmarks(yaw, RENDERED).points)


def crop(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """SphereFace's crop by landmarks (478, 2), made smaller."""
    aligned = align_face(picture, Face(landmarks.astype(np.float64), "mediapipe478", 1.0))
    return cv2.resize(aligned, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def write_person(root: Path, name: str, views: dict[str, dict[str, np.ndarray]]) -> None:
    """Writes ``root/VIEW/NAME/*.png``; each folder appears whole, "aligned" last, which says that all are there."""
    for view in sorted(views, key=lambda v: v == ALIGNED):
        folder = root / view / name
        partial = folder.with_name(name + ".partial")
        for left in (partial, folder):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        for file, picture in views[view].items():
            (partial / file).write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
        os.replace(partial, folder)


def write_metadata(root: Path, people: list[tuple[str, bool, np.ndarray]]) -> None:
    """metadata.csv of each view, from people's names, whether they are for testing, and their pictures' yaws."""
    known = {name: ("test" if test else "train", yaw) for name, test, yaw in people}
    for view in VIEWS:
        rows = [("file", "identity", "yaw", "split")]
        for name, (split, yaw) in known.items():
            for file in sorted((root / view / name).glob("*.png")):
                rows.append((f"{name}/{file.name}", name, f"{yaw[int(file.name[:3])]:.3f}", split))
        write_csv(root / view / "metadata.csv", rows)
