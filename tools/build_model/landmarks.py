"""Landmark embeddings, calibrated by the detector: MediaPipe's points on rendered heads, cast back on the mesh."""

from __future__ import annotations

import numpy as np
import torch

from renderer.camera import Camera, project, to_camera
from renderer.rasterizer import rasterize

# The well-known correspondence of iBUG's 68 points in MediaPipe's 478.
IBUG_FROM_MEDIAPIPE = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip


def detect(image: np.ndarray, detector) -> np.ndarray | None:
    found = detector.process(image).multi_face_landmarks
    if not found:
        return None
    points = np.array([[p.x, p.y] for p in found[0].landmark])
    return points * [image.shape[1], image.shape[0]]


def calibrate(vertices, albedo, triangles, allowed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quick: median of casts over views of the mean head."""
    import mediapipe as mp

    from facemodel.normals import vertex_normals
    from renderer.camera import rotation_matrix
    from renderer.color import linear_to_srgb
    from renderer.interpolation import interpolate
    from renderer.lighting import shade

    v, t = torch.as_tensor(vertices).float(), torch.as_tensor(triangles)
    camera = Camera(1400.0, 512, 512)
    light = torch.zeros(9, 3)
    light[0], light[1], light[2] = 2.2, 0.35, 0.8
    color = shade(torch.as_tensor(albedo).float(), vertex_normals(v, t), light)
    votes = []
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as detector:
        for yaw in (-25, -12, 0, 12, 25):
            for pitch in (-12, 0, 12):
                rotation = torch.tensor([np.radians(pitch), np.radians(yaw), 0.0]).float()
                cam = to_camera(v, rotation, torch.tensor([0.0, 0, 750.0]))
                fragments = rasterize(cam[None], t, camera)
                image = interpolate(fragments, color, t)[0]
                image = (linear_to_srgb(image.clamp(0, 1)) * 255).byte().numpy()
                image[fragments.pix_to_face[0, ..., 0].numpy() < 0] = 110
                points = detect(image, detector)
                if points is None:
                    continue
                pix = np.clip(np.floor(points).astype(int), 0, 511)
                face = fragments.pix_to_face[0, pix[:, 1], pix[:, 0], 0].numpy()
                bary = fragments.bary_coords[0, pix[:, 1], pix[:, 0], 0].numpy()
                place = (vertices[triangles[face]] * bary[..., None]).sum(1)
                place[face < 0] = np.nan
                votes.append(place)
    votes = np.stack(votes)
    place = np.nanmedian(votes, 0)
    spread = np.nanmedian(np.linalg.norm(votes - place, axis=-1), 0)
    return (*nearest_on_mesh(place, vertices, triangles, allowed), spread)


def nearest_on_mesh(points, vertices, triangles, allowed):
    """Nearest triangle's index and barycentric weights, among ``allowed[point]`` (L, T) bool."""
    from scipy.spatial import cKDTree

    grid = np.array([[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)]) / 4.0
    out_t, out_b = np.zeros(len(points), int), np.zeros((len(points), 3))
    for kind in np.unique(allowed.argmax(1) * 0 + allowed[:, 0] * 1 + 2 * (np.arange(len(points)) >= 468)):
        pass
    cache = {}
    for i, p in enumerate(points):
        key = allowed[i].tobytes()
        if key not in cache:
            index = np.nonzero(allowed[i])[0]
            samples = np.einsum("gk,tkc->tgc", grid, vertices[triangles[index]])
            cache[key] = (index, cKDTree(samples.reshape(-1, 3)))
        index, tree = cache[key]
        k = tree.query(p)[1]
        out_t[i], out_b[i] = index[k // len(grid)], grid[k % len(grid)]
    return out_t, out_b
