"""What imported models do once they are in: tracking and conversion. For `benchmarks.models`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import dijkstra

import facemodel
from benchmarks.model_files import Head, write_flame
from benchmarks.real import eye_distance, projected_landmarks
from facemodel import FaceModel, Track
from facemodel.bridge.pairs import pair
from facemodel.formats._assemble import MEDIAPIPE
from facemodel.formats._containers import read_arrays, read_obj
from fitting.conversion import convert_track
from portrait.services.models import import_file
from renderer import to_camera

EYES_APART = 62.0  # mm


def flame_shaped(real: Path, scratch: Path) -> tuple[Path, list[Path]]:
    """A pickle of FLAME's form with its real topology, and its extra files; its statistics are made up."""
    mesh, masks = read_obj(real / "head_template.obj"), read_arrays(real / "FLAME_masks.pkl")
    eyes = tuple(np.asarray(masks[f"{side}_eyeball"]).ravel() for side in ("left", "right"))
    middles = np.stack([mesh.vertices[e].mean(0) for e in eyes])
    scale = EYES_APART / np.linalg.norm(middles[0] - middles[1])
    vertices = (mesh.vertices - middles.mean(0)) * scale + (0, 25, 28)
    centers = np.stack([vertices[e].mean(0) for e in eyes])
    jaw = _jaw(vertices, mesh.triangles, np.asarray(masks["face"]).ravel())
    written = write_flame(scratch, Head(vertices, mesh.triangles, eyes, centers, np.zeros(68, int), jaw))
    names = ("landmark_embedding.npy", "mediapipe_landmark_embedding.npz", "FLAME_masks.pkl", "head_template.obj",
             "l_eyelid.npy", "r_eyelid.npy")  # fmt: skip
    return written.path, [real / n for n in names]


def _jaw(vertices: np.ndarray, triangles: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much a jaw carries of each vertex (V,): what lies nearer to the chin than to the nose's tip, along the mesh,
    so that lips which touch are told apart; and where it turns, (3,) mm, between the ears. ``face``: its vertices."""
    ends = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).T
    lengths = np.linalg.norm(vertices[ends[0]] - vertices[ends[1]], axis=1)
    edges = scipy.sparse.csr_matrix((lengths, ends), (len(vertices),) * 2)
    tip, chin = face[vertices[face, 2].argmax()], face[vertices[face, 1].argmin()]
    to_tip, to_chin = np.minimum(dijkstra(edges, directed=False, indices=[tip, chin]), 1000.0)  # eyeballs lie apart

    def beyond(x: np.ndarray, width: float) -> np.ndarray:
        return 1 / (1 + np.exp(-x / width))

    y, z = vertices[:, 1], vertices[:, 2]
    ears, under = vertices[face, 2].min(), vertices[chin, 1] - 15
    weights = beyond(to_tip - to_chin, 3.0) * beyond(z - ears - 15, 8.0) * beyond(y - under, 5.0)
    return weights, np.array([0.0, 0.6 * vertices[tip, 1] + 0.4 * vertices[chin, 1] + 35, ears + 5])


def imported(source: Path, extras: list[Path], output: Path) -> FaceModel:
    """As ``portrait model import`` does it, with what it lacks carried over."""
    import_file(source, output, extras=extras)
    return facemodel.load(output)


def landmark_nme(model: FaceModel, track: Track) -> float:
    """Median over frames of the mean distance of the fitted landmarks to the detected ones, in hundredths of the eyes'
    distance; of the 51 inner landmarks of iBUG's 68 that MediaPipe knows, which models have alike."""
    ok, some = track.tracked, torch.as_tensor(np.asarray(MEDIAPIPE))
    with torch.inference_mode():
        off = (projected_landmarks(track, model)[ok] - track.landmarks[ok])[:, some].norm(dim=-1).mean(1)
    return 100 * float((off / eye_distance(track.landmarks[ok])).median())


def round_trip(track: Track, default: FaceModel, model: FaceModel) -> tuple[float, float]:
    """mm: motion residual on the way there; the face's vertices after the way back, median, from where they were."""
    to, back = pair(default, model, default), pair(model, default, default)
    there = convert_track(track, default, model, to)
    end = convert_track(there.track, model, default, back).track
    return there.motion.median, float((_face(end, default) - _face(track, default)).norm(dim=-1).median())


def _face(track: Track, model: FaceModel) -> torch.Tensor:
    p, face = track.parameters.expanded(), model.region("face")
    with torch.inference_mode():
        return to_camera(model.vertices(p.identity, p.expression)[:, face], p.rotation, p.translation)
