"""The real commands with a face model, a detector, a rasteriser and a method that are one file of the tests each.

Two clips of the toy are drawn, fitted, edited, mixed, exported, rendered, trained on and animated; what the toy lacks
is said in a line.
"""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import trimesh

import facemodel
from facemodel import FaceModel, Track
from geometry.camera import project, to_camera
from geometry.rotation import axis_angle, rotation_matrix
from neural_render.methods.base import METHODS
from portrait.cli import main
from renderer.rasterizers import RASTERIZERS
from tests.extension import toy_clip, toy_detector, toy_method, toy_model, toy_rasterizer

pytestmark = pytest.mark.slow
FRAMES = 24


def portrait(*arguments) -> None:
    assert main([str(a) for a in arguments]) == 0


def frames_of(path: Path) -> np.ndarray:
    """(F, H, W, 3) float."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]).astype(float)


@pytest.fixture(scope="module", autouse=True)
def registered():
    toy_model.register()
    toy_detector.register()
    toy_rasterizer.register()
    toy_method.register()
    yield
    toy_model.unregister()
    toy_detector.unregister()
    RASTERIZERS.remove("toy")
    METHODS.remove(toy_method.ToyMethod.name)


@pytest.fixture(scope="module")
def model(registered) -> FaceModel:
    return facemodel.load(toy_model.NAME)


@pytest.fixture(scope="module")
def truth(registered):
    return {name: toy_clip.performance(FRAMES, seed) for name, seed in (("ada", 1), ("bob", 2))}


@pytest.fixture(scope="module")
def folder(truth, tmp_path_factory) -> Path:
    """ada.mp4, bob.mp4 and their tracks: "ada", "bob"."""
    folder = tmp_path_factory.mktemp("toys")
    for name, parameters in truth.items():
        video = toy_clip.write(folder / f"{name}.mp4", parameters)
        portrait(
            "fit", video, "-o", folder / name, "--model", "toy", "--detector", "dots", "--focal-px", toy_clip.FOCAL
        )
    return folder


@pytest.fixture(scope="module")
def mixed(folder) -> Path:
    """Ada's performance on Bob."""
    tracks = "--source", folder / "ada", "--target", folder / "bob"
    portrait("mix", *tracks, "-o", folder / "mixed", "--model", "toy")
    return folder / "mixed"


@pytest.mark.parametrize("name", ["ada", "bob"])
def test_clips_are_fitted(folder, truth, model, name):
    track, true = Track.load(folder / name, model), truth[name].expanded()
    assert len(track) == FRAMES and track.tracked.all() and track.landmark_scheme == "toy20"
    p = track.parameters.expanded()
    turn = axis_angle(rotation_matrix(p.rotation).mT @ rotation_matrix(true.rotation)).norm(dim=-1)
    assert turn.rad2deg().mean() < 4
    jaw = np.corrcoef(p.joints[:, 0], true.joints[:, 0])[0, 1]
    grin = np.corrcoef(p.expression[:, 0], true.expression[:, 0])[0, 1]
    assert jaw > 0.9 and grin > 0.9
    points = model.landmarks(model.vertices(p.identity, p.expression, None, p.joints), "toy20")
    pixels = project(to_camera(points, p.rotation, p.translation), track.camera)
    assert (pixels - toy_clip.marks(truth[name])).norm(dim=-1).mean() < 2


def test_a_track_is_edited(folder, model):
    edits = "--set", "jaw=0.3", "--set", "grin=-0.7", "--add", "brow=0.1"
    portrait("edit", folder / "ada", "-o", folder / "edited", "--model", "toy", *edits)
    portrait("edit", folder / "ada", "--to-csv", folder / "ada.csv", "--neutral", "auto", "--model", "toy")
    p = Track.load(folder / "edited", model).parameters
    assert torch.allclose(p.joints, torch.tensor(0.3)) and torch.allclose(p.expression[:, 0], torch.tensor(-0.7))
    assert (folder / "ada.csv").read_text().splitlines()[0].endswith("grin,brow,pout,jaw")


def test_two_are_mixed(folder, mixed, model):
    found = Track.load(mixed, model)
    source, target = (Track.load(folder / name, model).parameters for name in ("ada", "bob"))
    p = found.parameters
    assert torch.equal(p.identity, target.identity) and len(found) == FRAMES
    for name in ("expression", "joints"):
        change = getattr(p, name) - getattr(source, name)
        block, value = model.blocks[name], getattr(p, name)
        inside = (value > block.lower + 1e-4) & (value < block.upper - 1e-4)
        for column in range(value.shape[1]):
            kept = change[:, column][inside[:, column]]
            assert len(kept) < 2 or float(kept.max() - kept.min()) < 1e-4, f"{name} {column} isn't counted from rest"


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb"])
def test_a_frame_is_exported(folder, mixed, model, suffix):
    portrait("export", mixed, "-o", folder / f"face.{suffix}", "--frame", 5, "--model", "toy")
    mesh = trimesh.load(folder / f"face.{suffix}", force="mesh", process=False)
    assert len(mesh.faces) == len(model.triangles)
    assert json.loads((folder / "face.landmarks.json").read_text())["landmarks"]["scheme"] == "toy20"


def test_it_is_rendered_by_a_rasteriser_of_ones_own(folder, mixed):
    small = "--maps", "diffuse", "--size", "96", "--model", "toy"
    toy_rasterizer.calls.clear()
    portrait("render", mixed, "-o", folder / "toy.mp4", *small, "--rasterizer", "toy")
    assert len(toy_rasterizer.calls) == FRAMES
    portrait("render", mixed, "-o", folder / "numba.mp4", *small)
    a, b = frames_of(folder / "toy.mp4"), frames_of(folder / "numba.mp4")
    assert a.shape == b.shape == (FRAMES, 72, 96, 3) and np.abs(a - b).mean() < 1 and a.max() > 100


def test_a_method_without_a_model_is_trained_and_animated(folder):
    clips = folder / "ada.mp4", folder / "bob.mp4"
    options = "--method", "toy-brightness", "--option", "size=16", "--option", "steps=60", "--minutes", "0.5"
    portrait("train", *clips, "-o", folder / "toy.weights", *options)
    pair = "--source", clips[0], "--target", clips[1]
    portrait(
        "reenact", *pair, "-o", folder / "driven.mp4", "--method", "toy-brightness", "--weights", folder / "toy.weights"
    )
    assert frames_of(folder / "driven.mp4").shape == (FRAMES, toy_clip.HEIGHT, toy_clip.WIDTH, 3)


def test_the_default_method_is_trained_on_the_toy(folder, mixed):
    weights = folder / "dvp.weights"
    small = "--size", "64", "--width", "8", "--minutes", "0.05", "--model", "toy"
    portrait("train", folder / "bob", folder / "bob.mp4", "-o", weights, *small)
    portrait("synthesize", weights, mixed, "--video", folder / "bob.mp4", "-o", folder / "shown.mp4", "--model", "toy")
    shown, real = frames_of(folder / "shown.mp4"), frames_of(folder / "bob.mp4")
    assert shown.shape == real.shape and np.abs(shown - real)[:, :20].mean() < 8  # the wall stays


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (("edit", "{}/ada", "-o", "{}/x", "--gaze", "10,0"), "gaze needs eyeballs that turn"),
        (("uv", "{}/ada.mp4", "-o", "{}/x"), "needs a UV atlas"),
        (("edit", "{}/ada", "-o", "{}/x", "--set", "jawOpen=1"), "unknown expression 'jawOpen': did you mean 'jaw'"),
    ],
)
def test_what_the_toy_lacks_is_said_in_a_line(folder, capsys, command, missing):
    assert main([*(c.format(folder) for c in command), "--model", "toy"]) == 2
    error = capsys.readouterr().err
    assert missing in error and error.count("\n") == 1 and not (folder / "x").exists()


def test_tracks_of_the_toy_need_the_toy(folder, capsys):
    assert main(["render", str(folder / "ada"), "-o", str(folder / "x.mp4"), "--model", "default"]) == 2
    assert "fitted with model 'toy'" in capsys.readouterr().err
