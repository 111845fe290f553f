"""Performances of a few frames for the tests of animated formats, of models of every kind."""

import shutil
from pathlib import Path

import pytest

import facemodel
from benchmarks.model_files import WRITERS, make_head
from facemodel.export.animated.base import Performance
from facemodel.importing import import_model
from tests.facemodel.clips import make_track, small_model

ROOT = Path(__file__).parents[2]


def flame_model(folder):
    """A head of a few hundred vertices in FLAME's form: neck, jaw, eyes, pose correctives."""
    written = WRITERS["FLAME"](folder, make_head())
    return import_model(written.path, written.extras, force=True)


def clip_of(model, frames=5, **track):
    """A random performance; frame 1 has no face."""
    status = [1] * frames
    status[1] = 0
    return Performance(make_track(model, frames, status=status, **track), model)


@pytest.fixture(scope="session", params=["default", "small", "flame"])
def clip(request, tmp_path_factory):
    make = {"default": facemodel.load, "small": small_model,
            "flame": lambda: flame_model(tmp_path_factory.mktemp("flame"))}  # fmt: skip
    return clip_of(make[request.param]())


def node_modules() -> Path | None:
    """Where gltf-validator and three are installed, by npm: beside the repository's files or in $NODE_MODULES."""
    import os

    if shutil.which("node") is None:
        return None
    places = [Path(os.environ[n]) for n in ("NODE_MODULES",) if os.environ.get(n)] + [ROOT / "node_modules"]
    return next((p for p in places if (p / "gltf-validator").is_dir() and (p / "three").is_dir()), None)
