"""The model's file: one safetensors file whose header carries names, licence and version as JSON.

Everything is checked at the door, so that the model itself can trust shapes and indices. Never a pickle.
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

from foundation.errors import PortraitError

FORMAT = "video-portraits face model"
VERSION = 1
LANDMARK_SCHEMES = {"ibug68": 68, "mediapipe478": 478}
FACTS = ("format", "version", "name", "license", "sources", "expression_names", "region_names")
REGIONS = (
    "face", "lips", "eyelids", "brows", "nose", "ears", "scalp", "neck", "eyes", "iris", "pupil",
    "mouth_inside", "tongue", "teeth", "skin",
)  # fmt: skip

# Shape of each tensor: a letter is a size to be the same everywhere, None is free.
_SHAPES: dict[str, tuple[str | int | None, ...]] = {
    "mean": ("V", 3),
    "identity_basis": ("I", "V", 3),
    "expression_basis": ("E", "V", 3),
    "albedo_mean": ("V", 3),
    "albedo_basis": ("A", "V", 3),
    "triangles": ("T", 3),
    "uv": ("U", 2),
    "uv_triangles": ("T", 3),
    "mirror": ("V",),
    "region_masks": ("R", "V"),
    "eye_vertices_left": (None,),
    "eye_vertices_right": (None,),
    "eye_center_mean": (2, 3),
    "eye_center_basis": ("I", 2, 3),
    "eye_radius_mean": (2,),
    "eye_radius_basis": ("I", 2),
} | {
    f"landmark_{part}_{scheme}": (count, *more)
    for scheme, count in LANDMARK_SCHEMES.items()
    for part, more in (("triangles", ()), ("barycentric", (3,)), ("weights", ()))
}
# Tensors of indices, and the size they index.
_INDICES = {"triangles": "V", "uv_triangles": "U", "mirror": "V", "eye_vertices_left": "V", "eye_vertices_right": "V"}
_INDICES |= {f"landmark_triangles_{scheme}": "T" for scheme in LANDMARK_SCHEMES}


def write_model_file(path: str | os.PathLike, tensors: dict[str, Tensor], facts: dict) -> str:
    """Writes a model file, whole or not at all; returns its fingerprint. ``facts``: FACTS less format, version."""
    facts = {"format": FORMAT, "version": VERSION, **facts}
    metadata = {"facts": json.dumps(facts, sort_keys=True)}  # one key, since the order of several isn't kept
    _check(str(path), tensors, facts)
    data = save_bytes({k: v.contiguous() for k, v in sorted(tensors.items())}, metadata)
    partial = Path(f"{path}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
    return _fingerprint(data)


def read_model_file(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict, str]:
    """Tensors by name as stored, facts of the header, fingerprint (first 16 digits of the SHA-256)."""
    path = Path(path)
    if not path.is_file():
        raise PortraitError(f"model '{path}': no such file; leave the path out for the default model")
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
    expected = f"expected a {FORMAT} version {VERSION} (.safetensors)"
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"):
        raise PortraitError(f"model '{path}': {expected}, found a pickle or zip, which is never loaded; convert it")
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= len(data) - 8:
        raise PortraitError(f"model '{path}': {expected}, found another kind of file or a truncated one")
    try:
        header = json.loads(data[8 : 8 + size])
        facts = json.loads(header.get("__metadata__", {}).get("facts", "{}"))
        found = f"{facts.get('format')!r} version {facts.get('version')!r}"
    except (ValueError, AttributeError, TypeError):
        raise PortraitError(f"model '{path}': {expected}, found another kind of file") from None
    if facts.get("format") != FORMAT or facts.get("version") != VERSION:
        raise PortraitError(f"model '{path}': {expected}, found {found}; rebuild it with python -m tools.build_model")
    return facts


def _check(path: str, tensors: dict[str, Tensor], facts: dict) -> None:
    def refuse(reason: str) -> PortraitError:
        return PortraitError(f"model '{path}': {reason}; rebuild it with python -m tools.build_model")

    missing = [k for k in FACTS if k not in facts] + [k for k in _SHAPES if k not in tensors]
    if missing:
        raise refuse(f"'{missing[0]}' is missing")
    unknown = sorted(set(tensors) - set(_SHAPES))
    if unknown:
        raise refuse(f"'{unknown[0]}' isn't part of the format")
    sizes: dict[str, int] = {"E": len(facts["expression_names"]), "R": len(facts["region_names"])}
    for name, shape in _SHAPES.items():
        got = tuple(tensors[name].shape)
        wanted = tuple(sizes.setdefault(s, g) if isinstance(s, str) else s for s, g in zip(shape, got))
        if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(wanted, got)):
            raise refuse(f"'{name}' has shape {got}, expected {wanted}")
        if tensors[name].is_floating_point() and not bool(torch.isfinite(tensors[name]).all()):
            raise refuse(f"'{name}' has values that aren't finite")
    for name, size in _INDICES.items():
        value = tensors[name]
        if value.is_floating_point() or value.numel() == 0 or int(value.min()) < 0 or int(value.max()) >= sizes[size]:
            raise refuse(f"'{name}' isn't a table of indices below {sizes[size]}")


def _fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
