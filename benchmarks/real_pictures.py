"""Overlay videos of fitted clips, and sheets of the frames that are hardest to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.sheets import fitted_over, save_sheet
from facemodel import Track
from fitting.energy.landmark_points import landmark_points
from fitting.energy.pairs import eye_openness
from portrait.pictures import fit_height, labelled
from portrait.video import VideoWriter
from renderer import Camera

EACH = 3  # frames a kind of difficulty
APART = 0.4  # s between two of them
HEIGHT = 256  # px of a picture of the sheet


def hardest_frames(track: Track, model, fitted: Tensor) -> dict[int, str]:
    """Frame number to what is hard about it. ``fitted`` (F, L, 2) px are the fitted face's landmarks."""
    seen, marks = torch.nan_to_num(track.landmarks), landmark_points(model, track.landmark_scheme)
    size = (seen.amax(1) - seen.amin(1)).amax(1).clamp_min(1.0)
    lips = marks.on_lips
    hardness = {
        "turned": track.parameters.rotation[:, 1].abs(),
        "mouth": (seen[:, lips[:, 0]] - seen[:, lips[:, 1]]).norm(dim=-1).mean(1) / size,
        "eyes": -eye_openness(seen, marks).mean(1),
        "landmarks": (fitted - seen).norm(dim=-1).mean(1) / size,
    }
    chosen: dict[int, str] = {}
    for name, values in hardness.items():
        mine: list[int] = []
        for k in torch.where(track.tracked, values, -torch.inf).argsort(descending=True).tolist():
            far = all(abs(float(track.times[k] - track.times[m])) >= APART for m in mine)
            if far and k not in chosen and track.tracked[k] and len(mine) < EACH:
                mine.append(k)
        chosen |= dict.fromkeys(mine, name)
    return chosen


def write_overlays(folder: Path, name: str, track: Track, model, frames, fitted: Tensor) -> None:
    """``NAME.mp4``, the fitted face over every frame, and ``NAME.png``, the hardest frames beside theirs."""
    camera = Camera(float(track.parameters.focal), track.width, track.height)
    hard = hardest_frames(track, model, fitted)
    pairs: dict[int, list[np.ndarray]] = {}
    with VideoWriter(folder / f"{name}.mp4", track.width, track.height, track.fps) as writer:
        for k, seconds, picture in frames:
            drawn = fitted_over(model, track.parameters[k], camera, picture) if track.tracked[k] else picture
            writer.write(drawn, seconds)
            if k in hard:
                text = f"{hard[k]} {k}"
                close = (fit_height(p, HEIGHT) for p in close_up(track.landmarks[k], picture, drawn))
                pairs[k] = [labelled(p, text) for p in close]
    pictures = [p for k in hard for p in pairs[k]]
    save_sheet(folder / f"{name}.png", pictures, columns=2 * EACH)


def close_up(landmarks: Tensor, *pictures: np.ndarray) -> list[np.ndarray]:
    """The square about the face, as far as it is in the picture."""
    low, high = landmarks.amin(0), landmarks.amax(0)
    middle, half = (low + high) / 2, float((high - low).max()) * 0.8
    top = pictures[0].shape
    x0, y0 = (max(0, int(c - half)) for c in middle.tolist())
    x1, y1 = min(top[1], int(middle[0] + half)), min(top[0], int(middle[1] + half))
    return [np.ascontiguousarray(p[y0:y1, x0:x1]) for p in pictures]
