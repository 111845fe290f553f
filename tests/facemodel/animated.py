"""Performances of a few frames for the tests of animated formats, of models of every kind."""

import os
import shutil
from pathlib import Path

import numpy as np

from benchmarks.model_files import WRITERS, make_head
from facemodel.export.animated.base import Performance, Picture
from facemodel.importing import import_model
from tests.facemodel.clips import make_track

ROOT = Path(__file__).parents[2]


def flame_model(folder, form="FLAME, chumpy"):
    """A head of a few hundred vertices in FLAME's form: neck, jaw, eyes, pose correctives. And how it was written."""
    written = WRITERS[form](folder, make_head())
    return import_model(written.path, written.extras, force=True), written


def flat_pictures(frames, window, matte):
    """Grey pictures: for what doesn't look at them."""
    size = window.size[::-1]
    for frame in frames:
        grey = np.full(size, 10 + frame, np.uint8)
        yield Picture(np.repeat(grey[..., None], 3, -1), grey, grey.astype(np.uint16))


def clip_of(model, frames=4, texture=None, **track):
    """A random performance; frame 1 has no face."""
    status = [1] * frames
    status[1] = 0
    return Performance(make_track(model, frames, status=status, **track), model, texture, pictures=flat_pictures)


def node_modules() -> Path | None:
    """Where npm put gltf-validator and three: $NODE_MODULES, or the repository's own folder; None without node."""
    places = [Path(os.environ["NODE_MODULES"])] if os.environ.get("NODE_MODULES") else []
    places.append(ROOT / "node_modules")
    found = (p for p in places if (p / "gltf-validator").is_dir() and (p / "three").is_dir())
    return next(found, None) if shutil.which("node") else None
