"""Pictures to look at: fitted faces over their pictures, many on one sheet."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import torch

from facemodel import FaceParameters
from renderer import Camera, overlay, render


def fitted_over(
    model, parameters: FaceParameters, camera: Camera, picture: np.ndarray, alpha: float = 0.9
) -> np.ndarray:
    """One face drawn over its (H, W, 3) uint8 picture."""
    maps = render(model, parameters, camera, maps=("diffuse", "mask"))
    return overlay(torch.from_numpy(picture), maps["diffuse"][0], maps["mask"][0], alpha).numpy()


def save_sheet(path: Path, pictures: list[np.ndarray], columns: int = 8, height: int = 256) -> Path:
    """Writes (H, W, 3) uint8 pictures in rows of ``columns``, all scaled to one height, to a PNG."""
    width = max(round(p.shape[1] * height / p.shape[0]) for p in pictures)
    rows = -(-len(pictures) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, picture in enumerate(pictures):
        w = round(picture.shape[1] * height / picture.shape[0])
        y, x = k // columns * height, k % columns * width
        sheet[y : y + height, x : x + w] = cv2.resize(picture, (w, height), interpolation=cv2.INTER_AREA)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
    os.replace(partial, path)
    return path
