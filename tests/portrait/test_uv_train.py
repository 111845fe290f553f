"""``portrait uv-train``: from clips and from nobody, gone on with, and of use to ``portrait uv``."""

from __future__ import annotations

import shutil

import cv2
import pytest
from skimage.data import astronaut

from portrait.cli import main

SMALL = ["--size", "64", "--width", "4", "--minutes", "0.02", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(clip, tmp_path_factory):
    """Weights from a clip, a picture without a face, and two people who don't exist."""
    folder = tmp_path_factory.mktemp("uv")
    data = folder / "clips"
    data.mkdir()
    shutil.copy(clip, data / "talk.mp4")
    cv2.imwrite(str(data / "wall.png"), astronaut()[:64, :64, ::-1])
    weights = folder / "uv.safetensors"
    assert main(["uv-train", str(data), "-o", str(weights), "--synthetic", "2", *SMALL]) == 0
    return data, weights


def test_all_kinds_of_files_are_trained_on(trained, capsys):
    data, weights = trained
    longer = [*SMALL[:-3], "0.04", "--device", "cpu"]
    assert main(["uv-train", str(data), "-o", str(weights), "--synthetic", "2", *longer]) == 0
    out = capsys.readouterr().out
    assert "5 textures of 3 people" in out and "left out" not in out  # kept from the first run
    assert list((weights.parent / "uv.safetensors.work" / "samples").glob("*.png"))


def test_weights_complete(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("portrait.services.uv_outputs.FRAMES", 2)
    monkeypatch.setattr("portrait.services.uv_outputs.PICTURE", 96)
    _, weights = trained
    cv2.imwrite(str(tmp_path / "astronaut.png"), astronaut()[:300, 50:400, ::-1])
    arguments = [
        "uv",
        str(tmp_path / "astronaut.png"),
        "-o",
        str(tmp_path / "face"),
        "--size",
        "128",
        "--device",
        "cpu",
    ]
    assert main([*arguments, "--complete", str(weights)]) == 0
    whole = cv2.imread(str(tmp_path / "face" / "texture.png"), cv2.IMREAD_UNCHANGED)
    assert whole.shape == (128, 128, 3) and (whole[:100].max(-1) > 8).mean() > 0.98


def test_another_training_s_work_is_left(trained, capsys):
    data, weights = trained
    wider = ["--width", "8", *SMALL[:2], *SMALL[4:]]
    assert main(["uv-train", str(data), "-o", str(weights), "--synthetic", "2", *wider]) == 2
    assert "another training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to train on"),
        (["{none}"], "no such folder"),
        (["{empty}"], "no clips and no images"),
        (["--synthetic", "2", "--size", "100"], "--size"),
        (["--synthetic", "2", "--minutes", "0"], "--minutes"),
        (["--synthetic", "2", "--loss", "identity=1"], "--identity"),
        (["--synthetic", "2", "--loss", "l3=1"], "unknown loss"),
        (["--synthetic", "-2"], "--synthetic"),
    ],
)
def test_bad_input(arguments, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    names = {"none": tmp_path / "none", "empty": tmp_path / "empty"}
    out = tmp_path / "w.safetensors"
    assert main(["uv-train", *(a.format(**names) for a in arguments), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


def test_a_face_s_embedding_as_the_loss(tmp_path, capsys):
    from recognition.model import Embedder, save_embedder
    from recognition.settings import ModelSettings

    path = tmp_path / "embedder.safetensors"
    settings = ModelSettings(height=32, width_px=32, features=8, width=4)
    save_embedder(path, Embedder(settings), {})
    weights = tmp_path / "w.safetensors"
    more = ["--loss", "identity=1", "--identity", str(path)]
    assert main(["uv-train", "-o", str(weights), "--synthetic", "1", *SMALL, *more]) == 0
    assert "identity" in capsys.readouterr().out and weights.is_file()
