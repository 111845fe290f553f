"""The Basel Face Model of 2009 and what descends from it: subsets of one order of vertices, each in a form of its own.

- `01_MorphableModel.mat`: micrometres, orthonormal columns, ``shapeEV`` is std whatever its name says; no expressions.
- `BFM_model_front.mat` (Deep3DFaceReconstruction): tenths of a metre, bases times std, 64 expressions.
- 3DDFA's folders of npy files and pickles: micrometres; coefficients in units of the basis, whose std lie apart.
- face3d's `BFM.mat`: micrometres, std apart, 29 expressions.

All have y up, z to the front and triangles that go around the other way, counted from 1 but for 3DDFA V2's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.formats import _assemble
from facemodel.formats._assemble import Parts
from facemodel.formats._containers import Summary, read_arrays, summarize
from facemodel.formats._foreign import Extras, ForeignFormat
from foundation.errors import PortraitError

BASEL = "Basel Face Model 2009, University of Basel: signed agreement, non-commercial, no redistribution"
DERIVED = f"made from the Basel Face Model 2009 and FaceWarehouse, whose terms apply: {BASEL}"
SEGMENTS = ("nose", "eye_region", "mouth_region", "rest")  # columns of segbin


def _flat(raw: dict, name: str) -> np.ndarray:
    return np.asarray(raw[name], dtype=np.float64).ravel()


def _colors(raw: dict) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean (V, 3) and components of the texture, of 1, where there is one."""
    if not {"texMU", "texPC", "texEV"} <= raw.keys():
        return None
    return _assemble.points(raw["texMU"]) / 255, _assemble.components(raw["texPC"], _flat(raw, "texEV")) / 255


def _landmarks(parts: Parts, index: np.ndarray) -> None:
    """iBUG's 68 at vertices (68,) counted from 0."""
    marks = {k: int(v) for k, v in enumerate(np.asarray(index).ravel())}
    parts.landmarks["ibug68"] = _assemble.on_vertices(parts.triangles, marks, 68, _assemble.ibug_weights())


def is_expression_basis(path: Path, summary: Summary) -> bool:
    """How many, then their mean and as many columns, as floats of as many vertices."""
    if summary.kind or not path.is_file() or path.stat().st_size < 1000:
        return False
    count = int(np.fromfile(path, "<i4", 1)[0])
    floats = (path.stat().st_size - 4) / 4
    return 1 < count < 512 and floats % (3 * (count + 1)) == 0


def _numbers(path: Path) -> list[float]:
    """A text's numbers; none of one that has anything else."""
    try:
        return [float(x) for x in path.read_text(encoding="utf-8").split()]
    except ValueError:
        return []


class Bfm2009Format(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "bfm2009"
    title = "Basel Face Model 2009"
    extras = "for expressions Exp_Pca.bin, std_exp.txt and BFM_exp_idx.mat"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind in ("mat", "npz") and summary.has("shapeMU", "shapePC", "shapeEV", "tl")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        mean = _assemble.points(raw["shapeMU"])
        identity = _assemble.components(raw["shapePC"], _flat(raw, "shapeEV"))
        triangles = _assemble.corners(raw["tl"], 1, swap=True)
        unit = 0.001, "micrometres, times 0.001"
        parts = Parts.without_expressions(mean, triangles, identity, *unit, self.title, BASEL)
        parts.albedo = _colors(raw)
        if "segbin" in raw:
            segments = np.asarray(raw["segbin"]) > 0.5
            parts.regions = {name: segments[:, k] for k, name in enumerate(SEGMENTS) if k < segments.shape[1]}
        self._expressions(parts, extras)
        return parts, [path]

    @staticmethod
    def _expressions(parts: Parts, extras: Extras) -> None:
        """FaceWarehouse's expressions as Guo et al. fitted them to this model, on the vertices that they know."""
        path = extras.take(is_expression_basis)
        if path is None:
            return
        table = extras.take(lambda _, s: s.has("trimIndex"))
        spread = extras.take(lambda p, s: s.kind == "text" and len(_numbers(p)) > 1)
        if table is None or spread is None:
            raise PortraitError(
                f"extra file '{path}': it needs BFM_exp_idx.mat and std_exp.txt beside it; give them, too"
            )
        kept = np.asarray(read_arrays(table)["trimIndex"], dtype=np.float64).ravel().astype(np.int64) - 1
        values = np.fromfile(path, "<f4", offset=4).reshape(-1, 3 * len(kept))[
            1:
        ]  # the first row is their mean, unused
        std = np.array(_numbers(spread))
        if len(std) != len(values) or kept.min() < 0 or kept.max() >= len(parts.mean):
            raise PortraitError(
                f"extra file '{path}': {len(values)} expressions of {len(kept)} vertices, {len(std)} std, a model of "
                f"{len(parts.mean)} vertices"
            )
        place = np.full(len(parts.mean), -1)
        place[kept] = np.arange(len(kept))
        triangles = place[parts.triangles]
        parts.triangles = triangles[(triangles >= 0).all(-1)]
        parts.mean, parts.identity = parts.mean[kept], parts.identity[:, kept]
        if parts.albedo is not None:
            parts.albedo = parts.albedo[0][kept], parts.albedo[1][:, kept]
        parts.regions = {name: region[kept] for name, region in parts.regions.items()}
        parts.expression = values.astype(np.float64).reshape(len(values), -1, 3) * std[:, None, None]
        parts.block = _assemble.signed(_assemble.numbered(len(values)))
        parts.license = DERIVED
        parts.notes[:] = [f"the {len(kept)} of its vertices that the expressions know are kept"]


class BfmFrontFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "bfm-front"
    title = "Basel Face Model 2009, front (Deep3DFaceReconstruction)"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind in ("mat", "npz") and summary.has("meanshape", "idBase", "exBase", "tri")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        mean = _assemble.points(raw["meanshape"])
        expression = _assemble.components(raw["exBase"])
        block = _assemble.signed(_assemble.numbered(len(expression)))
        parts = Parts(
            mean - mean.mean(0),
            _assemble.corners(raw["tri"], 1),
            _assemble.components(raw["idBase"]),
            expression,
            block,
            100.0,
            "tenths of a metre, times 100",
            self.title,
            DERIVED,
            notes=["its mean is moved so that the mean of its vertices is the origin, as Deep3DFaceRecon does"],
        )
        if {"meantex", "texBase"} <= raw.keys():
            parts.albedo = _assemble.points(raw["meantex"]) / 255, _assemble.components(raw["texBase"]) / 255
        if "keypoints" in raw:
            _landmarks(parts, _flat(raw, "keypoints").astype(np.int64) - 1)
        if "skinmask" in raw:
            parts.regions["skin"] = _flat(raw, "skinmask") > 0.5
        if "frontmask2_idx" in raw:
            parts.regions["face"] = _assemble.mask(len(mean), _flat(raw, "frontmask2_idx").astype(np.int64) - 1)
        return parts, [path]


class Face3dFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "face3d"
    title = "Basel Face Model 2009 (face3d)"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.has("model.shapeMU", "model.expMU", "model.shapePC", "model.expPC", "model.tri")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)["model"]
        mean = _assemble.points(raw["shapeMU"]) + _assemble.points(raw["expMU"])
        expression = _assemble.components(raw["expPC"], _flat(raw, "expEV"))
        parts = Parts(
            mean,
            _assemble.corners(raw["tri"], 1, swap=True),
            _assemble.components(raw["shapePC"], _flat(raw, "shapeEV")),
            expression,
            _assemble.signed(_assemble.numbered(len(expression))),
            0.001,
            "micrometres, times 0.001",
            self.title,
            DERIVED,
            notes=["the expressions' own mean is part of the mean, as face3d has it"],
        )
        parts.albedo = _colors(raw)
        if "kpt_ind" in raw:
            _landmarks(parts, _flat(raw, "kpt_ind").astype(np.int64) - 1)
        return parts, [path]


class ThreeDdfaFormat(ForeignFormat):
    """See `facemodel.registry.Format`. A folder's files are told by what is in them, but for version 1's npy files,
    whose names are what a npz's keys would be."""

    name = "3ddfa"
    title = "3DDFA"
    extras = "the mean and std of the coefficients (pkl), triangles (pkl, mat)"
    POSE = 12  # of the coefficients whose mean and std are known: the affine pose, before identity and expression

    def knows(self, path: Path, summary: Summary) -> bool:
        if summary.kind == "folder":
            return self._v1(path) or any(self._v2(summarize(p)) for p in self._files(path))
        return self._v2(summary)

    @staticmethod
    def _v2(summary: Summary) -> bool:
        return summary.kind in ("pickle", "npz") and summary.has("u", "w_shp", "w_exp", "keypoints")

    @staticmethod
    def _v1(path: Path) -> bool:
        return all((path / f"{n}.npy").is_file() for n in ("u_shp", "u_exp", "w_shp_sim", "w_exp_sim"))

    @staticmethod
    def _files(path: Path) -> list[Path]:
        return sorted(p for p in path.iterdir() if p.is_file() and p.suffix not in (".onnx", ".pth", ".yml"))[:64]

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        files = [path]
        beside = self._files(path) if path.is_dir() else []
        if path.is_dir() and self._v1(path):
            files = [path / f"{n}.npy" for n in ("u_shp", "u_exp", "w_shp_sim", "w_exp_sim")]
            shape, move, w_shape, w_move = (np.asarray(read_arrays(f)[""], dtype=np.float64) for f in files)
            raw = {"u": shape + move, "w_shp": w_shape, "w_exp": w_move}
            keypoints = path / "keypoints_sim.npy"
            if keypoints.is_file():
                files.append(keypoints)
                raw["keypoints"] = read_arrays(keypoints)[""]
        else:
            if path.is_dir():
                files = [next(p for p in beside if self._v2(summarize(p)))]
            raw = read_arrays(files[0])
        mean = _assemble.points(raw["u"])
        shapes, moves = np.asarray(raw["w_shp"]), np.asarray(raw["w_exp"])
        spread = _first(beside, extras, lambda _, s: s.kind == "pickle" and self._spread(s) is not None)
        if spread is None:
            raise PortraitError(
                f"model '{path}': 3DDFA's file has no standard deviations; give param_mean_std_62d_120x120.pkl "
                "(or param_whitening.pkl) as an extra file, or the folder that has both"
            )
        files += [spread] if spread not in extras.used else []
        at, std = (
            np.asarray(read_arrays(spread)[n], dtype=np.float64).ravel() for n in self._spread(summarize(spread))
        )
        if len(std) != self.POSE + shapes.shape[1] + moves.shape[1]:
            raise PortraitError(
                f"extra file '{spread}': {len(std)} coefficients, the model has 12 of pose, {shapes.shape[1]} and "
                f"{moves.shape[1]}"
            )
        end = self.POSE + shapes.shape[1]
        identity = _assemble.components(shapes, std[self.POSE : end])
        expression = _assemble.components(moves, std[end:])
        mean = mean + _assemble.points(np.asarray(shapes, dtype=np.float64) @ at[self.POSE : end])
        parts = Parts(
            mean,
            self._triangles(path, raw, beside, extras, files),
            identity,
            expression,
            _assemble.signed(_assemble.numbered(len(expression))),
            0.001,
            "micrometres, times 0.001",
            self.title,
            DERIVED,
            notes=[
                "its coefficients, which are in units of the basis, are in standard deviations here, identity's around "
                "the mean of its training faces"
            ],
        )
        if "keypoints" in raw:
            _landmarks(parts, np.asarray(raw["keypoints"]).ravel()[::3] // 3)  # rows of x, y, z -> vertices
        return parts, files

    @staticmethod
    def _spread(summary: Summary) -> tuple[str, str] | None:
        return next((n for n in (("mean", "std"), ("param_mean", "param_std")) if summary.has(*n)), None)

    @staticmethod
    def _triangles(path: Path, raw: dict, beside: list[Path], extras: Extras, files: list[Path]) -> np.ndarray:
        if "tri" not in raw:
            found = _first(beside, extras, lambda p, s: any(_is_table(s.shapes.get(n, ())) for n in ("", "tri")))
            if found is None:
                raise PortraitError(f"model '{path}': 3DDFA's files have no triangles; give tri.pkl or tri.mat as well")
            files += [found] if found not in extras.used else []
            held = read_arrays(found)
            raw["tri"] = held["tri"] if "tri" in held else held[""]
        table = np.asarray(raw["tri"])
        return _assemble.corners(table, int(table.min() > 0), swap=True)  # V1's are counted from 1, V2's from 0


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and 3 in shape and max(shape) > 3


def _first(beside: list[Path], extras: Extras, fits) -> Path | None:
    """An extra file that fits, else one beside the model."""
    return extras.take(fits) or next((p for p in beside if fits(p, summarize(p))), None)


FULL, FRONT, FACE3D, THREE_DDFA = Bfm2009Format(), BfmFrontFormat(), Face3dFormat(), ThreeDdfaFormat()
