"""How near fitted faces come to other people's heads: heads of another model, whose geometry is known.

    python -m benchmarks.heads FOLDER [--expressions ICT] [--pictures FOLDER] [--quality best] [--part judging]
                                      [--set joint.few=1]

FOLDER has ``single/NAME.png`` with ``NAME.npz`` (scan (n, 3) mm, landmarks (68, 3) mm in iBUG order) and
``views/PERSON_viewK.png`` with theirs. Each picture of ``single`` is fitted alone, those of a person in ``views``
together (one identity, one camera). Nothing but the picture goes in.

Scored as the NoW challenge does: similarity alignment on the 51 inner landmarks, refined point-to-plane on the scan's
points (worst tenth left out), then the distance of every scan point to the predicted mesh, in mm, expression kept.
The baseline is the model's mean shape, unfitted. ``--expressions`` names ICT-FaceKit's folder, for heads that were
drawn from it with known expressions: the fitted face at rest is then scored against the scan at rest, too
(`benchmarks.heads_neutral`; ``neutral_single_ratio``), and so is the fitted identity with the true expression, as far
as the model has that (``told_single_ratio``). Settings are chosen on the first people (``choosing``), and figures
reported of the others (``judging``), with intervals by drawing people anew. ``--pictures`` writes pictures of where on
each head the fit and the mean shape are off. The last line is one JSON object, of the judging part where that was asked
for.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.spatial import cKDTree

import facemodel
import fitting
from benchmarks.changes import add_option, changed
from benchmarks.heads_neutral import Expressions, expression_of
from benchmarks.heads_pictures import save_errors
from benchmarks.measures import rigid
from foundation.errors import PortraitError
from portrait.video.images import read_image

INNER = slice(17, 68)  # iBUG 68 without the jaw line
PARTS = ("choosing", "judging")
CHOSEN_ON = (11, 4)  # people, the first of ``single`` and of ``views``
ALIGNED_BY = 4  # each so-manieth point of a scan aligns it: more don't move it, and take longer
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
    some, middle = scan[::ALIGNED_BY], scan.mean(0)
    for _ in range(8):
        on, normal = closest_points(some, vertices, triangles)
        gap = ((some - on) * normal).sum(-1)
        distance = np.linalg.norm(some - on, axis=1)
        keep = distance <= np.quantile(distance, 1 - LEFT_OUT)
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


@dataclass(frozen=True)
class Person:
    """What came of one person's pictures; of each the (n,) mm of its scan's points."""

    paths: list[Path]
    fitted: list[np.ndarray]
    mean: list[np.ndarray]  # to the mean shape
    rest: Person | None = None  # the same at rest, of the fitted face and of the scan, where that is known
    told: Person | None = None  # the same with the true expression, where that is known

    @property
    def ratio(self) -> float:
        return float(np.median(np.concatenate(self.fitted)) / np.median(np.concatenate(self.mean)))


def measure(model, people: dict[str, list[Path]], settings, expressions: Expressions | None = None) -> list[Person]:
    """Fits each person's pictures together."""
    out = []
    with torch.inference_mode():
        for paths in people.values():
            p = fitting.fit_images([read_image(path) for path in paths], model=model, settings=settings).parameters
            truths = [np.load(path.with_suffix(".npz")) for path in paths]
            fitted = [score(model, p.identity, p.expression[k], t) for k, t in enumerate(truths)]
            mean, rest, told = [score(model, None, None, t) for t in truths], None, None
            if expressions is not None:
                neutral = [expressions.neutralised(t) for t in truths]
                rest = Person(
                    paths,
                    [score(model, p.identity, None, t) for t in neutral],
                    [score(model, None, None, t) for t in neutral],
                )
                true = [expression_of(model, expressions.names, t["expression"]) for t in truths]
                told = Person(paths, [score(model, p.identity, *of) for of in zip(true, truths)], mean)
            out.append(Person(paths, fitted, mean, rest, told))
    return out


def ratio(people: Sequence[Person]) -> float:
    """Median of all scan points alike over the mean shape's."""
    pooled = [np.median(np.concatenate([d for p in people for d in getattr(p, who)])) for who in ("fitted", "mean")]
    return float(pooled[0] / pooled[1])


def interval(people: Sequence[Person], draws: int = 400) -> list[float]:
    """Between which two ratios nineteen of twenty draws of as many people, with repetition, are."""
    rng = np.random.default_rng(0)
    drawn = [ratio([people[k] for k in rng.integers(0, len(people), len(people))]) for _ in range(draws)]
    return [round(float(x), 4) for x in np.quantile(drawn, (0.025, 0.975))]


def summary(people: dict[str, list[Person]]) -> dict:
    """Median and 90th percentile, mm, of all scan points of a kind, the ratios, their intervals, and the worst one."""
    line: dict = {}
    more = {f"neutral_{kind}": [p.rest for p in found if p.rest] for kind, found in people.items()}
    more |= {f"told_{kind}": [p.told for p in found if p.told] for kind, found in people.items()}
    for kind, found in (people | {kind: found for kind, found in more.items() if found}).items():
        for who in ("fitted", "mean"):
            pooled = np.concatenate([d for p in found for d in getattr(p, who)])
            line[f"{kind}_{who}_median"] = round(float(np.median(pooled)), 4)
            line[f"{kind}_{who}_90"] = round(float(np.quantile(pooled, 0.9)), 4)
        line[f"{kind}_ratio"] = round(ratio(found), 4)
        line[f"{kind}_ratio_interval"] = interval(found)
        line[f"{kind}_worst"] = round(max(p.ratio for p in found), 4)
    return line


def print_part(name: str, people: dict[str, list[Person]]) -> None:
    table = Table(
        "person", "fitted: median, mm", "90 %", "mean shape: median, mm", "90 %", "ratio of medians", "at rest",
        "told",
        title=name,
    )  # fmt: skip
    for kind, found in people.items():
        for p in found:
            pooled = [np.concatenate(d) for d in (p.fitted, p.mean)]
            figures = [f"{np.quantile(d, share):.3f}" for d in pooled for share in (0.5, 0.9)]
            apart = [f"{x.ratio:.3f}" if x else "" for x in (p.rest, p.told)]
            table.add_row(f"{p.paths[0].stem.split('_view')[0]}, {kind}", *figures, f"{p.ratio:.3f}", *apart)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the errors on each head")
    parser.add_argument("--expressions", type=Path, metavar="ICT", help="ICT-FaceKit's folder: heads at rest, too")
    parser.add_argument("--quality", choices=fitting.QUALITIES, default="balanced")
    parser.add_argument("--part", choices=(*PARTS, "both"), default="both")
    parser.add_argument(
        "--chosen-on", type=int, nargs=2, default=CHOSEN_ON, metavar=("SINGLE", "VIEWS"),
        help="how many people settings were chosen on, the first by name; figures come from the others",
    )  # fmt: skip
    add_option(parser)
    options = parser.parse_args()
    wanted = PARTS if options.part == "both" else (options.part,)
    try:
        kinds = persons(options.folder)
        settings = changed(fitting.QUALITIES[options.quality], options.set)
        expressions = Expressions.read(options.expressions) if options.expressions else None
    except PortraitError as error:
        parser.error(str(error))
    model, parts = facemodel.load(), {}
    for part in wanted:
        parts[part] = {}
        for (kind, people), count in zip(kinds.items(), options.chosen_on):
            names = list(people)[:count] if part == "choosing" else list(people)[count:]
            if names:
                parts[part][kind] = measure(model, {n: people[n] for n in names}, settings, expressions)
        print_part(part, parts[part])
        print(json.dumps({part: summary(parts[part])}))
        for kind, found in parts[part].items() if options.pictures else ():
            lists = [[x for p in found for x in getattr(p, field)] for field in ("paths", "fitted", "mean")]
            print(save_errors(options.pictures / f"{kind}_{part}.png", *lists))
    print(json.dumps(summary(parts[wanted[-1]])))


if __name__ == "__main__":
    main()
