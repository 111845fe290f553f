"""Are other people's face models read as their authors meant them?

    python -m benchmarks.models [/path/to/models] [--heads FOLDER] [--reading]

Writes a small file in the exact form of each format, reads it, and compares vertices at random coefficients with the
authors' own formula, in numpy and from the arrays as they went into the file (`benchmarks.model_files`). Where the
folder has real files (ICT-FaceKit's archive, eos' Surrey Face Model, statismo's), those are read, too, and compared to
an evaluation of theirs that is written here. Prints a table, then one JSON line: ``formats``, how many formats were
read, in how many ``forms``; ``vertex_error``, the largest distance of a vertex, mm; ``by_form`` and ``real``, the same
by form and by real file; ``seconds`` a file; ``arkit_cosine``, the median over names of the cosine between ARKit's
expressions carried over to ICT-FaceKit and its own (`benchmarks.model_bridge`).

Then, unless ``--reading`` is asked for, the real files are imported as a user does it, and used
(`benchmarks.model_use`): ICT-FaceKit, the Surrey Face Model, and a file of FLAME's form with its real topology and
made-up statistics.

- ``landmark_nme`` a model: the installed clip tracked with it, hundredths of the eyes' distance;
- ``round_trip_mm`` a model: the default model's track carried there and back, ``motion_mm`` what the performance loses
  on the way there;
- ``ict_single_ratio``: ICT-FaceKit fitted to the pictures of ``--heads`` that nothing was chosen on, median distance to
  the scans over its mean shape's; beside the models' folder, ``heads`` is found without being named.
  ``ict_single_given``: the same where more is known of a head than its picture (`benchmarks.model_heads`);
  ``ict_single_ratio_exact`` is with its own 68 landmarks in place of the detector's, which leaves what the reader and
  the solver do.
"""

from __future__ import annotations

import argparse
import json
import struct
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import facemodel
import fitting
from benchmarks import model_use
from benchmarks.heads_neutral import Expressions
from benchmarks.model_bridge import carried, cosines
from benchmarks.model_files import WRITERS, Evaluation, Written, make_head
from benchmarks.model_heads import EXACTLY, PLAIN, single_ratios
from facemodel.base import FaceModel
from facemodel.importing import import_model
from portrait.video import VideoReader
from portrait.video.sample import carphone

STATES = 4  # random faces a file
WIDEST = 4 << 30  # bytes of an archive that are unpacked at most


def coefficients(model: FaceModel, count: int, seed: int = 0) -> Iterator[dict[str, torch.Tensor | None]]:
    """Random states, as `FaceModel.vertices` takes them; gaze and joints where there are joints."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        identity = torch.randn(model.count("identity"), generator=generator)
        block = model.blocks["expression"]
        expression = 0.3 * block.std * torch.randn(len(block), generator=generator)
        state = {"identity": identity, "expression": block.clamp(expression), "gaze": None, "joints": None}
        if model.count("joints"):
            state["joints"] = 0.25 * torch.randn(model.count("joints"), generator=generator)
            state["gaze"] = 0.3 * torch.randn(2, 2, generator=generator)
        yield state


def vertex_error(model: FaceModel, written: Written, states: int = STATES) -> float:
    """The largest distance, mm, of a vertex from where the authors' formula has it."""

    def theirs(state: dict[str, torch.Tensor | None]) -> np.ndarray:
        values = [np.zeros((2, 2)) if v is None else v.double().numpy() for v in state.values()]
        identity, expression, gaze, joints = values
        return written.evaluate(identity * signs, expression, joints, gaze)

    signs = np.ones(model.count("identity"))
    if getattr(model, "provenance", None) and model.provenance.format == "FaceWarehouse":
        signs = _signs(model, written.evaluate)
    error = 0.0
    for state in coefficients(model, states):
        got = model.vertices(**state).double().numpy()
        error = max(error, float(np.linalg.norm(got - theirs(state), axis=-1).max()))
    return error


def _signs(model: FaceModel, evaluate: Evaluation) -> np.ndarray:
    """Which way each principal component goes, which nothing in the data fixes, by the mesh of that component alone."""
    nothing, still = np.zeros(model.count("expression")), np.zeros((2, 2))
    each = np.eye(model.count("identity"))
    rest = evaluate(np.zeros(len(each)), nothing, nothing, still)
    ours = model.identity_basis.double().numpy()
    return np.array(
        [np.sign(((evaluate(k, nothing, nothing, still) - rest) * ours[n]).sum()) for n, k in enumerate(each)]
    )


# -- real files ---------------------------------------------------------------------------------------------------


def ict(folder: Path) -> Written:
    """ICT-FaceKit: neutral + sum of w x (mesh - neutral), cm, of meshes parsed here."""

    def mesh(name: str) -> np.ndarray:
        lines = (folder / f"{name}.obj").read_text().splitlines()
        return np.array([[float(x) for x in line.split()[1:4]] for line in lines if line.startswith("v ")])

    names = json.loads((folder / "vertex_indices.json").read_text())["expressions"]
    neutral = mesh("generic_neutral_mesh")
    people = sorted(p.stem for p in folder.glob("identity*.obj"))
    identity = np.stack([mesh(p) - neutral for p in people])
    moves = {n: mesh(n) - neutral for n in names}
    for name, move in moves.items():
        if name.startswith("eyeLook"):
            move[21451:24591] = 0  # gaze turns the eyeballs
    both = ("browInnerUp", "cheekPuff")
    order = list(dict.fromkeys(n[:-2] if n[:-2] in both else n for n in names))
    expression = np.stack([moves[n] if n in moves else moves[n + "_L"] + moves[n + "_R"] for n in order])

    def evaluate(i, e, joints, gaze):
        return 10 * (neutral + np.tensordot(i, identity, 1) + np.tensordot(e, expression, 1))

    return Written(folder, evaluate, np.zeros((0, 3)))


def sfm(folder: Path) -> Written:
    """The Surrey Face Model: mean + basis . (sqrt(variance) x w) + sum of expressions, mm, of bytes parsed here."""

    def matrix(data: bytes, at: int) -> tuple[np.ndarray, int]:
        rows, columns = struct.unpack_from("<ii", data, at)
        end = at + 8 + 4 * rows * columns
        return np.frombuffer(data[at + 8 : end], "<f4").reshape(columns, rows).T.astype(float), end

    data = (folder / "sfm_shape_3448.bin").read_bytes()
    mean, at = matrix(data, 4)
    basis, at = matrix(data, at)
    variance, at = matrix(data, at)
    moves, shapes, at = (folder / "expression_blendshapes_3448.bin").read_bytes(), [], 8
    while at < len(moves):
        (size,) = struct.unpack_from("<Q", moves, at)
        shape, at = matrix(moves, at + 8 + size)
        shapes.append(shape)

    def evaluate(i, e, joints, gaze):
        return (mean + basis @ (np.sqrt(variance[:, 0]) * i)[:, None] + sum(w * s for w, s in zip(e, shapes))).reshape(
            -1, 3
        )

    extras = [folder / "expression_blendshapes_3448.bin", folder / "ibug_to_sfm.txt"]
    return Written(folder / "sfm_shape_3448.bin", evaluate, np.zeros((0, 3)), extras)


def statismo(path: Path) -> Written:
    """statismo: mean + basis . (sqrt(variance) x w), of the shape and, where there is one, the expression, added."""
    with h5py.File(path) as file:
        parts = {n: {k: file[f"{n}/model/{k}"][()] for k in ("mean", "pcaBasis", "pcaVariance")}
                 for n in ("shape", "expression") if n in file}  # fmt: skip

    def evaluate(i, e, joints, gaze):
        total = 0
        for part, w in zip(parts.values(), (i, e)):
            total = (
                total + part["mean"].astype(float) + part["pcaBasis"].astype(float) @ (np.sqrt(part["pcaVariance"]) * w)
            )
        return total.reshape(-1, 3)

    return Written(path, evaluate, np.zeros((0, 3)))


def unpack(archive: Path, folder: Path) -> Path:
    """ICT-FaceKit's archive; the folder of its meshes."""
    with tarfile.open(archive) as tar:
        if sum(m.size for m in tar.getmembers()) > WIDEST:
            raise ValueError(f"{archive} is larger than ICT-FaceKit")
        tar.extractall(folder, filter="data")
    return next(folder.rglob("generic_neutral_mesh.obj")).parent


def real_files(models: Path, scratch: Path) -> dict[str, Written]:
    """Those that are there."""
    found: dict[str, Written] = {}
    if (models / "ict_facekit.tar.xz").is_file():
        found["ICT-FaceKit"] = ict(unpack(models / "ict_facekit.tar.xz", scratch))
    if (models / "sfm" / "sfm_shape_3448.bin").is_file():
        found["Surrey Face Model"] = sfm(models / "sfm")
    for path in sorted((models / "bfm17").glob("*.h5")):
        found[f"statismo, {path.name}"] = statismo(path)
    return found


def use(models: Path, scratch: Path, heads: Path) -> dict:
    """Figures of imported models in use."""
    default, clip = facemodel.load(), carphone()
    files = {}
    if (models / "ict_facekit.tar.xz").is_file():
        files["ict"] = next(scratch.rglob("generic_neutral_mesh.obj")).parent, []
    if (models / "sfm" / "sfm_shape_3448.bin").is_file():
        written = sfm(models / "sfm")
        files["sfm"] = written.path, list(written.extras)
    if (models / "flame" / "head_template.obj").is_file():
        files["flame-shaped"] = model_use.flame_shaped(models / "flame", scratch)
    faces = {"default": default}
    for name, (source, extras) in files.items():
        print(f"importing {name}", flush=True)
        faces[name] = model_use.imported(source, extras, scratch / f"{name}.model")
    table = Table("model", "landmarks, % of the eyes' distance", "there, mm", "and back")
    figures: dict = {key: {} for key in ("landmark_nme", "round_trip_mm", "motion_mm")}
    tracked = None
    for name, model in faces.items():
        track = fitting.fit_video(VideoReader(clip), model=model)
        tracked = tracked or track
        figures["landmark_nme"][name] = round(model_use.landmark_nme(model, track), 3)
        ends = [] if name == "default" else model_use.round_trip(tracked, default, model)
        for key, value in zip(("motion_mm", "round_trip_mm"), ends):
            figures[key][name] = round(value, 3)
        table.add_row(name, f"{figures['landmark_nme'][name]:.2f}", *(f"{e:.3f}" for e in ends))
    Console(width=100).print(table)
    if "ict" in faces and heads.is_dir():
        found = single_ratios(faces["ict"], heads, Expressions.read(files["ict"][0]))
        rows = Table("given of a head", "median distance to its scan, over the mean shape's")
        for name, value in found.items():
            rows.add_row(name, f"{value:.3f}")
        Console(width=100).print(rows)
        figures["ict_single_ratio"], figures["ict_single_ratio_exact"] = (round(found[n], 3) for n in (PLAIN, EXACTLY))
        figures["ict_single_given"] = {name: round(value, 3) for name, value in found.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="?", help="folder of real files")
    parser.add_argument("--heads", type=Path, metavar="FOLDER", help="of benchmarks.heads; else beside the models")
    parser.add_argument("--reading", action="store_true", help="read the files, and nothing more")
    options = parser.parse_args()
    models = options.models
    head, errors, real, seconds, alike, used = make_head(), {}, {}, {}, {}, {}
    formats: set[str] = set()
    table = Table("form", "file", "vertices", "identity", "expression", "joints", "error mm", "s")

    def measure(name: str, kind: str, written: Written) -> float:
        start = time.perf_counter()
        model = import_model(written.path, written.extras, force=True)
        formats.add(model.provenance.format)
        seconds[name] = time.perf_counter() - start
        error = vertex_error(model, written)
        counts = [str(model.count(b)) for b in ("identity", "expression", "joints")]
        table.add_row(name, kind, str(len(model.mean)), *counts, f"{error:.1e}", f"{seconds[name]:.2f}")
        return error

    with tempfile.TemporaryDirectory() as folder:
        for k, (name, write) in enumerate(WRITERS.items()):
            place = Path(folder) / str(k)
            place.mkdir()
            errors[name] = measure(name, "in its form", write(place, head))
        if models is not None:
            scratch = Path(folder) / "real"
            scratch.mkdir()
            for name, written in real_files(models, scratch).items():
                real[name] = measure(name, "real", written)
                if name == "ICT-FaceKit":
                    model = import_model(written.path)
                    alike = cosines(model, carried(model))
        Console(width=140).print(table)
        if models is not None and not options.reading:
            used = use(models, Path(folder) / "real", options.heads or models.parent / "heads")
    everything = errors | real
    figures = {
        "formats": len(formats),
        "forms": len(errors) + ("ICT-FaceKit" in real),
        "vertex_error": max(everything.values()),
        "by_form": {k: float(f"{v:.2g}") for k, v in errors.items()},
        "real": {k: float(f"{v:.2g}") for k, v in real.items()},
        "seconds": {k: round(v, 2) for k, v in seconds.items()},
    }
    if alike:
        figures["arkit_cosine"] = round(float(np.median(list(alike.values()))), 4)
        rows = Table("expression carried over", "cosine with its own")
        for name in sorted(alike, key=alike.get):
            rows.add_row(name, f"{alike[name]:.2f}")
        Console().print(rows)
    print(json.dumps(figures | used))


if __name__ == "__main__":
    main()
