"""The project's own format: one safetensors file whose header carries names, licence and version as JSON.

Everything is checked at the door, so that the model itself can trust shapes and indices. Never a pickle.
A file needs no more than the tensors in `REQUIRED`; what else it has, it has whole (`GROUPS`).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from facemodel.base import Block
from facemodel.formats import _kinds
from facemodel.linear import LinearModel
from foundation.atomic import write_file
from foundation.errors import PortraitError

FORMAT = "video-portraits face model"
VERSION, EXTENDED = 1, 2  # the second has what `facemodel.formats._kinds` adds
FACTS = ("format", "version", "name", "license", "sources", "expression_names", "region_names")
DEFAULT_MODEL = Path(__file__).parents[1] / "data" / "default.safetensors"

# Shape of each tensor: a letter is a size to be the same everywhere, None is free.
REQUIRED: dict[str, tuple[str | int | None, ...]] = {
    "mean": ("V", 3),
    "triangles": ("T", 3),
    "identity_basis": ("I", "V", 3),
    "expression_basis": ("E", "V", 3),
}
GROUPS: tuple[dict[str, tuple[str | int | None, ...]], ...] = (
    {"albedo_mean": ("V", 3), "albedo_basis": ("A", "V", 3)},
    {"uv": ("U", 2), "uv_triangles": ("T", 3)},
    {"region_masks": ("R", "V")},
    {
        "eye_vertices_left": (None,),
        "eye_vertices_right": (None,),
        "eye_center_mean": (2, 3),
        "eye_center_basis": ("I", 2, 3),
        "eye_radius_mean": (2,),
        "eye_radius_basis": ("I", 2),
    },
    {"mirror": ("V",)},  # of files written before: their atlas is symmetric, and nothing else reads it
    *_kinds.GROUPS,
)
_LANDMARKS: dict[str, tuple[str | int | None, ...]] = {"triangles": (), "barycentric": (3,), "weights": ()}
# Tensors of indices, and the size they index.
_INDICES = {
    "triangles": "V",
    "uv_triangles": "U",
    "mirror": "V",
    "eye_vertices_left": "V",
    "eye_vertices_right": "V",
} | _kinds.INDICES


def _shapes(path: str, names: set[str]) -> dict[str, tuple[str | int | None, ...]]:
    """The shapes that tensors with these names have to have; PortraitError where a group isn't whole."""
    shapes, groups = dict(REQUIRED), list(GROUPS)
    for name in names:
        if name.startswith("landmark_"):
            scheme = name.split("_", 2)[2]
            groups.append({f"landmark_{part}_{scheme}": (f"L {scheme}", *more) for part, more in _LANDMARKS.items()})
    missing = [k for k in REQUIRED if k not in names]
    for group in groups:
        if names & set(group):
            shapes |= group
            missing += [k for k in group if k not in names]
    if missing:
        raise _refused(path, f"'{missing[0]}' is missing")
    if unknown := sorted(names - set(shapes)):
        raise _refused(path, f"'{unknown[0]}' isn't part of the format")
    return shapes


def _refused(path: str, reason: str) -> PortraitError:
    return PortraitError(f"model '{path}': {reason}; rebuild it with python -m tools.build_model")


def write_model_file(path: str | os.PathLike, tensors: dict[str, Tensor], facts: dict) -> str:
    """Writes a model file, whole or not at all; returns its fingerprint. ``facts``: FACTS less format, version."""
    facts = {"format": FORMAT, "version": EXTENDED if "kind" in facts else VERSION, **facts}
    metadata = {"facts": json.dumps(facts, sort_keys=True)}  # one key, since the order of several isn't kept
    _check(str(path), tensors, facts)
    data = save_bytes({k: v.contiguous() for k, v in sorted(tensors.items())}, metadata)
    write_file(path, data, "model")
    return _fingerprint(data)


def write_model(path: str | os.PathLike, model: LinearModel) -> str:
    """Writes a model of any kind, whole or not at all; returns the file's fingerprint."""
    small = {torch.int64: torch.int32, torch.bool: torch.uint8}
    tensors = {k: v.to(small.get(v.dtype, v.dtype)) for k, v in model.flatten().items()}
    return write_model_file(path, tensors, _kinds.facts_of(model))


def read_model_file(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict, str]:
    """Tensors by name as stored, facts of the header, fingerprint (first 16 digits of the SHA-256)."""
    path = Path(path)
    if not path.is_file():
        raise PortraitError(f"model '{path}': no such file; check the path")
    data = path.read_bytes()
    facts = _read_header(path, data)
    try:
        tensors = load_bytes(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise PortraitError(f"model '{path}': broken or truncated ({_line(error)}); get the file again") from None
    _check(str(path), tensors, facts)
    return tensors, facts, _fingerprint(data)


def _read_header(path: Path, data: bytes) -> dict:
    """The header's metadata, its values parsed; PortraitError where this is no model file of this version."""
    expected = f"expected a {FORMAT} version {VERSION} or {EXTENDED} (.safetensors)"
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= len(data) - 8:
        raise PortraitError(f"model '{path}': {expected}, found another kind of file or a truncated one")
    try:
        header = json.loads(data[8 : 8 + size])
        facts = json.loads(header.get("__metadata__", {}).get("facts", "{}"))
        found = f"{facts.get('format')!r} version {facts.get('version')!r}"
    except (ValueError, AttributeError, TypeError):
        raise PortraitError(f"model '{path}': {expected}, found another kind of file") from None
    if facts.get("format") != FORMAT or facts.get("version") not in (VERSION, EXTENDED):
        raise PortraitError(f"model '{path}': {expected}, found {found}; rebuild it with python -m tools.build_model")
    return facts


def _check(path: str, tensors: dict[str, Tensor], facts: dict) -> None:
    if missing := [k for k in FACTS if k not in facts]:
        raise _refused(path, f"'{missing[0]}' is missing")
    sizes: dict[str, int] = {"E": len(facts["expression_names"]), "R": len(facts["region_names"])}
    for name, shape in _shapes(path, set(tensors)).items():
        got = tuple(tensors[name].shape)
        wanted = tuple(sizes.setdefault(s, g) if isinstance(s, str) else s for s, g in zip(shape, got))
        if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(wanted, got)):
            raise _refused(path, f"'{name}' has shape {got}, expected {wanted}")
        if tensors[name].is_floating_point() and not bool(torch.isfinite(tensors[name]).all()):
            raise _refused(path, f"'{name}' has values that aren't finite")
    indices = _INDICES | {k: "T" for k in tensors if k.startswith("landmark_triangles_")}
    for name, size in indices.items():
        value = tensors.get(name)
        if value is None:
            continue
        if value.is_floating_point() or value.numel() == 0 or int(value.min()) < 0 or int(value.max()) >= sizes[size]:
            raise _refused(path, f"'{name}' isn't a table of indices below {sizes[size]}")


def _fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


class DefaultFormat:
    """See `facemodel.registry.Format`."""

    name = "default"

    def sniff(self, path: Path) -> bool:
        """Any safetensors file, so that what is wrong with one can be said."""
        try:
            with open(path, "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                return 2 <= size < 1 << 28 and file.read(1) == b"{"
        except OSError:
            return False

    def read(self, path: Path) -> LinearModel:
        tensors, facts, fingerprint = read_model_file(path)
        mirrored = tensors.pop("mirror", None) is not None
        if facts["version"] == EXTENDED:
            try:
                return _kinds.build(tensors, facts, fingerprint)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise PortraitError(f"model '{path}': garbled header ({_line(error)}); import it again") from None
        return LinearModel(
            tensors,
            name=facts["name"],
            license=facts["license"],
            fingerprint=fingerprint,
            expression=Block.activations(tuple(facts["expression_names"])),
            region_names=tuple(facts["region_names"]),
            symmetric_atlas=bool(facts.get("symmetric_atlas", mirrored)),
        )


READER = DefaultFormat()


def load_default() -> LinearModel:
    """The model that ships with the package."""
    return READER.read(DEFAULT_MODEL)
