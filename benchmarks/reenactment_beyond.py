"""Poses and mouths that the clip doesn't have: the target's head turns past its own range, with the jaw wide open.

The head goes from the clip's most frontal frame to either side until it is `FURTHEST` degrees past the clip's own yaw,
while the jaw opens to `JAW`. By degrees past the range, of frames within `NEAR` of them:

- ``identity``: cosine of the embedding with the mean one of the clip's own frames.
- ``landmark_nme``: distance of the detector's landmarks from where they were asked for, as a share of the eyes'
  distance in the frontal frame; ``landmarks_found``, share of the frames in which there were any. ``own`` has what the
  fit itself has of both in the clip's own frames. The detector errs, too: ``drawn`` is its error in pictures of the
  model itself as it was asked for, with the person's texture, and ``landmark_nme_to_drawn`` the distance of the
  landmarks that it finds from those that it finds there; ``inside_nme_to_drawn`` that of those inside the outline,
  which is another on the model's bare head.
- ``tearing``: the largest jump between neighbouring frames, as the mean change of a pixel, over the clip's own largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.reenactment_scores import EYE_CORNERS, to_crop
from facemodel import FrameStatus, Track
from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face, LandmarkDetector
from neural_render.images import Crop
from neural_render.methods.common.texture import linear
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, FACE, render_maps
from recognition.embedding import FaceEmbedding, similarity
from renderer import project, surface_points

TURNS, FURTHEST, JAW = (10.0, 20.0, 25.0), 25.0, 0.8
NEAR = 2.0  # degrees
SIDE = 60  # frames to either side
LOOKED_AT = 24  # of the clip's own frames

Maker = Callable[[Track], np.ndarray]
"""From a track over the target's clip to the crops (N, S, S, 3) uint8 that a method makes of it."""


def yaw(track: Track) -> torch.Tensor:
    """(F,) degrees."""
    return track.parameters.rotation[:, 1].rad2deg()


def performance(target: Track, model) -> tuple[Track, np.ndarray]:
    """2 `SIDE` frames over the target's most frontal one, and how many degrees each is past the clip's range, (N,)."""
    tracked = torch.nonzero(target.tracked).flatten()
    p = target.parameters.expanded()
    still = int(tracked[p.rotation[tracked].norm(dim=-1).argmin()])
    turns, opened, past = [], [], []
    along = torch.linspace(0, 1, SIDE)[:, None]
    for pick, sign in ((torch.argmax, 1.0), (torch.argmin, -1.0)):
        edge = int(tracked[pick(yaw(target)[tracked])])
        end = p.rotation[edge] + torch.tensor([0.0, math.radians(sign * FURTHEST), 0.0])
        turns.append(p.rotation[still] + along * (end - p.rotation[still]))
        past.append(sign * (turns[-1][:, 1].rad2deg() - yaw(target)[edge]))
        opened.append(((past[-1] - past[-1][0]) / (5.0 - past[-1][0])).clamp(0, 1))  # wide 5 degrees past the range
    rows = torch.full((2 * SIDE,), still)
    own = p[rows]
    jaw, expression = model.expression_index("jawOpen"), own.expression.clone()
    expression[:, jaw] += torch.cat(opened) * (JAW - expression[:, jaw])
    shared = {name: getattr(target.parameters, name) for name in ("identity", "reflectance", "focal")}
    parameters = own.replace(rotation=torch.cat(turns), expression=expression, **shared)
    status = target.status[rows].clone()
    status[SIDE] |= int(FrameStatus.CUT)
    asked = replace(
        target, parameters=parameters, times=torch.arange(2 * SIDE).double() / target.fps, status=status,
        confidence=torch.ones(2 * SIDE), landmarks=None, energies={}, spread={},
        facts={**target.facts, "target_frames": rows.tolist(), "mixed": {"take": ["pose", "expression"]}},
    )  # fmt: skip
    return asked, torch.cat(past).numpy()


def asked_points(track: Track, model, scheme: str, crop: Crop, size: int) -> np.ndarray:
    """(F, L, 2) px of the crops: where the track's landmarks are."""
    points = model.landmarks(surface_points(model, track.parameters.expanded()), scheme)
    return to_crop(project(points, track.camera).double().numpy(), crop, size)


def largest_jump(pictures: np.ndarray) -> float:
    """Mean change of a pixel, of 255, between the two neighbouring pictures that differ most."""
    return float(np.abs(np.diff(pictures.astype(np.int16), axis=0)).mean((1, 2, 3)).max())


def measure(
    make: Maker,
    target: Track,
    real: np.ndarray,
    model,
    crop: Crop,
    detector: LandmarkDetector,
    embedding: FaceEmbedding,
    texture: torch.Tensor,
) -> tuple[dict, np.ndarray]:
    """What this module's description names, and the pictures.

    real: (F, S, S, 3) uint8, the crops of the target's frames. texture: (T, T, 3) uint8 sRGB, the person's.
    """
    size = real.shape[1]
    chosen = np.linspace(0, len(real) - 1, min(len(real), LOOKED_AT)).round().astype(int)
    fitted = asked_points(target, model, detector.scheme, crop, size)
    own = [look(real[k], fitted[k], detector, embedding) for k in chosen]
    known = np.stack([e for _, e in own if e is not None]).mean(0)
    asked, past = performance(target, model)
    points, made = asked_points(asked, model, detector.scheme, crop, size), make(asked)
    apart = np.linalg.norm(points[0, list(EYE_CORNERS[0])].mean(0) - points[0, list(EYE_CORNERS[1])].mean(0))
    result = {"own": summary(own, fitted[chosen], known, apart)}
    halves, outline = (made[:SIDE], made[SIDE:]), list(SCHEMES[detector.scheme].outline)
    within = lambda points: None if points is None else np.delete(points, outline, axis=0)  # noqa: E731
    for turn in TURNS:
        rows = np.flatnonzero(np.abs(past - turn) <= NEAR)
        found = [look(made[k], points[k], detector, embedding) for k in rows]
        truth = drawn(asked, rows, model, crop, size, texture)
        seen = [look(picture, points[k], detector, embedding)[0] for picture, k in zip(truth, rows)]
        result[f"{turn:g}"] = summary(found, points[rows], known, apart) | {
            "drawn": nme(seen, points[rows], apart),
            "landmark_nme_to_drawn": nme([p for p, _ in found], seen, apart),
            "inside_nme_to_drawn": nme([within(p) for p, _ in found], [within(p) for p in seen], apart),
        }
    result["tearing"] = max(map(largest_jump, halves)) / largest_jump(real)
    return result, made


def look(picture: np.ndarray, expected: np.ndarray, detector, embedding) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Landmarks and embedding of a picture, whose landmarks are expected there; None each where none are found."""
    where = Face(expected, detector.scheme, 1.0)
    face = detector.refine(np.ascontiguousarray(picture), where.centre, where.size)
    return (None, None) if face is None else (face.points, embedding(picture, face))


def summary(found: list, expected: np.ndarray, known: np.ndarray, apart: float) -> dict[str, float]:
    """Means over frames. apart: px, the eyes' distance that errors are a share of."""
    alike = [float(similarity(e, known)) for _, e in found if e is not None]
    return {
        "identity": float(np.mean(alike)) if alike else float("nan"),
        "landmark_nme": nme([p for p, _ in found], expected, apart),
        "landmarks_found": len(alike) / max(len(found), 1),
    }


def nme(found: list, expected, apart: float) -> float:
    """Mean distance of landmarks (L, 2) px from the expected ones over ``apart``, where there are both (else None)."""
    pairs = [(a, b) for a, b in zip(found, expected) if a is not None and b is not None]
    errors = [float(np.linalg.norm(a - b, axis=-1).mean() / apart) for a, b in pairs]
    return float(np.mean(errors)) if errors else float("nan")


def drawn(track: Track, rows: np.ndarray, model, crop: Crop, size: int, texture: torch.Tensor) -> np.ndarray:
    """(N, size, size, 3) uint8: the model with the person's texture, as the track's rows ask for it, before grey."""
    maps = render_maps(model, track, torch.from_numpy(rows), crop, size, texture=linear(texture, model))
    return np.where(maps[..., FACE].max(-1, keepdims=True) > 0, maps[..., CHANNELS:], 128).astype(np.uint8)
