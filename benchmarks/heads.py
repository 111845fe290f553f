"""How near fitted faces come to other people's heads: heads of another model, whose geometry is known.

    python -m benchmarks.heads FOLDER [--pictures FOLDER] [--quality best]

FOLDER has ``single/NAME.png`` with ``NAME.npz`` (scan (n, 3) mm, landmarks (68, 3) mm in iBUG order) and
``views/PERSON_viewK.png`` with theirs. Each picture of ``single`` is fitted alone, those of a person in ``views``
together (one identity, one camera). Nothing but the picture goes in.

Scored as the NoW challenge does: similarity alignment on the 51 inner landmarks, refined point-to-plane on the scan's
points (worst tenth left out), then the distance of every scan point to the predicted mesh, in mm, expression kept.
The baseline is the model's mean shape, unfitted. ``--pictures`` writes ``single.png`` and ``views.png``, which show
where on each head the fit and the mean shape are off. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.spatial import cKDTree

import facemodel
import fitting
from benchmarks.heads_pictures import save_errors
from benchmarks.measures import rigid
from foundation.errors import PortraitError
from portrait.video.images import read_image

INNER = slice(17, 68)  # iBUG 68 without the jaw line
LEFT_OUT = 0.1  # share of the scan's points, the worst, that the alignment doesn't look at


def closest_points(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest point (N, 3) of a mesh to each of (N, 3) points, and the unit normal (N, 3) of its triangle.

    Exact among the 24 triangles with the nearest centres; with them the default face is right to 0.01 mm.
    """
    corners = vertices[triangles]
    _, near = cKDTree(corners.mean(1)).query(points, k=24)
    a, b, c = (corners[near, k] for k in range(3))  # (N, 24, 3)
    p = np.broadcast_to(points[:, None], a.shape)
    candidates = [_on_segment(p, x, y) for x, y in ((a, b), (b, c), (c, a))]
    normal = np.cross(b - a, c - a)
    area = (normal**2).sum(-1, keepdims=True)
    inside = p - normal * ((p - a) * normal).sum(-1, keepdims=True) / area
    weights = [(np.cross(y - x, inside - x) * normal).sum(-1) for x, y in ((a, b), (b, c), (c, a))]
    outside = np.minimum.reduce(weights) < 0
    candidates.append(np.where(outside[..., None], np.inf, inside))
    stacked = np.concatenate(candidates, 1)  # (N, 96, 3)
    best = np.nan_to_num(((stacked - points[:, None]) ** 2).sum(-1), nan=np.inf).argmin(1)
    rows = np.arange(len(points))
    unit = normal / np.sqrt(area)
    return stacked[rows, best], unit[rows, best % near.shape[1]]


def _on_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = ((p - a) * (b - a)).sum(-1, keepdims=True) / ((b - a) ** 2).sum(-1, keepdims=True)
    return a + along.clip(0, 1) * (b - a)


def distances(vertices: np.ndarray, triangles: np.ndarray, inner: np.ndarray, truth) -> np.ndarray:
    """(n,) mm of every scan point to the aligned prediction. ``inner`` (51, 3) are the prediction's landmarks."""
    scan = truth["scan"].astype(np.float64)
    marks = truth["landmarks"][INNER]
    rotation, _, scale = rigid(inner, marks)
    vertices = scale * (vertices - inner.mean(0)) @ rotation.T + marks.mean(0)
    for _ in range(8):
        on, normal = closest_points(scan, vertices, triangles)
        gap = ((scan - on) * normal).sum(-1)
        distance = np.linalg.norm(scan - on, axis=1)
        keep = distance <= np.quantile(distance, 1 - LEFT_OUT)
        middle = scan.mean(0)
        x, n, g = (on - middle)[keep], normal[keep], gap[keep]
        # x moves by w x x + d + k x: n . of that is to equal the gap.
        rows = np.concatenate([np.cross(x, n), n, (x * n).sum(1, keepdims=True)], 1)
        step = np.linalg.lstsq(rows, g, rcond=None)[0]
        turn = _rotation(step[:3])
        vertices = (1 + step[6]) * (vertices - middle) @ turn.T + middle + step[3:6]
        if np.abs(step[:3]).max() < 1e-6 and np.abs(step[3:6]).max() < 1e-4:
            break
    on, _ = closest_points(scan, vertices, triangles)
    return np.linalg.norm(scan - on, axis=1)


def _rotation(w: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(w).as_matrix()


def score(model, identity, expression, truth) -> np.ndarray:
    """(n,) mm of one head's scan points to the model with these coefficients."""
    vertices = model.vertices(identity, expression)
    inner = model.landmarks(vertices, "ibug68")[INNER]
    return distances(vertices.double().numpy(), model.triangles.numpy(), inner.double().numpy(), truth)


def persons(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Pictures by kind and person."""
    found: dict = {"single": defaultdict(list), "views": defaultdict(list)}
    for kind, people in found.items():
        for path in sorted((folder / kind).glob("*.png")):
            people[path.stem.split("_view")[0]].append(path)
    if not all(found.values()):
        raise PortraitError(f"'{folder}': expected single/*.png and views/*_viewK.png with .npz beside them")
    return found


def measure(model, folder: Path, settings) -> dict[str, dict[str, list]]:
    """By kind: the pictures' paths, and for each its scan's distances to the fit and to the mean shape."""
    out: dict = {}
    with torch.inference_mode():
        for kind, people in persons(folder).items():
            fitted, mean = [], []
            for paths in people.values():
                track = fitting.fit_images([read_image(p) for p in paths], model=model, settings=settings)
                p = track.parameters
                for k, path in enumerate(paths):
                    truth = np.load(path.with_suffix(".npz"))
                    fitted.append(score(model, p.identity, p.expression[k], truth))
                    mean.append(score(model, None, None, truth))
            out[kind] = {"fitted": fitted, "mean": mean, "paths": [p for paths in people.values() for p in paths]}
    return out


def summary(found: dict[str, dict[str, list]]) -> dict[str, float]:
    """Median, mean and 90th percentile, mm, of all scan points of a kind alike, and the ratios of the medians."""
    line: dict = {}
    for kind, f in found.items():
        for who, prefix in (("fitted", kind), ("mean", f"mean_shape_{kind}" if kind == "views" else "mean_shape")):
            pooled = np.concatenate(f[who])
            line[f"{prefix}_median"] = round(float(np.median(pooled)), 4)
            line[f"{prefix}_mean"] = round(float(pooled.mean()), 4)
            line[f"{prefix}_90"] = round(float(np.quantile(pooled, 0.9)), 4)
    line["single_ratio"] = round(line["single_median"] / line["mean_shape_median"], 4)
    line["views_ratio"] = round(line["views_median"] / line["mean_shape_views_median"], 4)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the errors on each head")
    parser.add_argument("--quality", choices=fitting.QUALITIES, default="best")
    options = parser.parse_args()
    try:
        found = measure(facemodel.load(), options.folder, fitting.QUALITIES[options.quality])
    except PortraitError as error:
        parser.error(str(error))
    table = Table("head", "fitted: median, mm", "90 %", "mean shape: median, mm", "90 %", "ratio of medians")
    for kind, f in found.items():
        for path, a, b in zip(f["paths"], f["fitted"], f["mean"]):
            figures = [np.quantile(d, share) for d in (a, b) for share in (0.5, 0.9)]
            table.add_row(path.stem, *(f"{x:.3f}" for x in figures), f"{figures[0] / figures[2]:.3f}")
        if options.pictures:
            print(save_errors(options.pictures / f"{kind}.png", f["paths"], f["fitted"], f["mean"]))
    Console().print(table)
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
