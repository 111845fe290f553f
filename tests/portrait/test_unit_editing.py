"""A photograph edited by action units, and photographs as target and driver, through the command."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from foundation.errors import unknown_name
from neural_render.methods.base import METHODS, Method, Needs
from neural_render.methods.weights import WeightsHeader, save_weights
from portrait.cli import main
from portrait.video import VideoReader, read_image
from portrait.video.png import read_picture_note
from tests.extension.toy_method import ToyMethod, register

PHOTO = np.full((32, 40, 3), 60, np.uint8)


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    units: tuple[str, ...]


class Brighten(Method):
    """Smiles are bright: a photograph gets 20 levels brighter with each step of AU12."""

    name, title = "toy-units", "Brightness by units"
    training = Needs(several=True)
    target = Needs()
    driver = Needs(pictures=False, action_units=True)
    Header = Header

    def animate(self, weights, target, driver, *, device="cpu"):
        units = driver.action_units
        for name in units.names:
            if name not in weights.header.units:
                raise unknown_name("action unit of these weights", name, weights.header.units)
        picture = next(iter(target.frames))[2]
        return ((picture + 20 * value).clip(0, 255).astype(np.uint8) for value in units.values[:, 0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    METHODS.add(Brighten.name, Brighten)
    save_weights(folder / "w.safetensors", Header(method=Brighten.name, units=("AU12",)), {"none": torch.zeros(1)})
    cv2.imwrite(str(folder / "photo.png"), PHOTO)
    yield folder
    METHODS.remove(Brighten.name)


def edit(files, output, *more):
    photo, weights = files / "photo.png", files / "w.safetensors"
    return main(["reenact", "--weights", str(weights), "--target", str(photo), "-o", str(output), *more])


def test_a_unit_is_set(files, tmp_path, capsys):
    assert edit(files, tmp_path / "smile.png", "--set", "AU12=3") == 0
    assert "AU12 3" in capsys.readouterr().out
    assert (read_image(tmp_path / "smile.png") == 120).all()
    note = json.loads(read_picture_note(tmp_path / "smile.png")["comment"])
    assert note["synthetic"] and note["units"] == {"AU12": 3.0} and note["method"] == Brighten.name


def test_a_scale_shows_intensity(files, tmp_path):
    assert edit(files, tmp_path / "scale.png", "--set", "AU12=4", "--scale", "3") == 0
    strip = read_image(tmp_path / "scale.png")
    assert strip.shape == (32, 120, 3) and strip[0, [0, 40, 80], 0].tolist() == [60, 100, 140]
    assert edit(files, tmp_path / "scale.mp4", "--set", "AU12=4", "--scale", "3") == 0
    seen = [frame.mean() for _, _, frame in VideoReader(tmp_path / "scale.mp4")]
    np.testing.assert_allclose(seen, [60, 100, 140], atol=3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "au12=3"], "unknown action unit 'au12': did you mean 'AU12'?"),
        (["--set", "smile=3"], "unknown action unit 'smile'"),
        (["--set", "AU12=6"], "from 0 to 5"),
        (["--set", "AU12"], "expected NAME=VALUE"),
        (["--set", "AU01=1"], "unknown action unit of these weights 'AU01'"),
        (["--set", "AU12=3", "--scale", "1"], "scale"),
        (["--scale", "3"], "--set"),
        (["--set", "AU12=3", "--source", "photo.png"], "no --source"),
        ([], "expected --source, or --set"),
    ],
)
def test_bad_input(files, tmp_path, more, message, capsys):
    assert edit(files, tmp_path / "out.png", *more) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and not (tmp_path / "out.png").exists()


def test_a_method_that_has_no_units(files, tmp_path, capsys):
    save_weights(tmp_path / "dvp.safetensors", WeightsHeader(method="face2face"), {"none": torch.zeros(1)})
    call = ["reenact", "--weights", str(tmp_path / "dvp.safetensors"), "--target", str(files / "photo.png"),
            "-o", str(tmp_path / "out.png"), "--set", "AU12=3"]  # fmt: skip
    assert main(call) == 2
    assert "isn't driven by action units" in capsys.readouterr().err


def test_photographs_drive_and_are_driven(files, tmp_path, capsys):
    """By a method that looks at pictures: one photograph gives a picture, or a video of one frame."""
    name = register()
    try:
        photo, weights = str(files / "photo.png"), str(tmp_path / "w.safetensors")
        video = tmp_path / "two.mp4"
        assert edit(files, video, "--set", "AU12=1", "--scale", "2") == 0
        assert main(["train", photo, "-o", weights, "--method", name, "--option", "steps=1"]) == 0
        call = ["reenact", "--weights", weights, "--target", photo, "--source"]
        assert main([*call, photo, "-o", str(tmp_path / "out.png")]) == 0
        assert np.abs(read_image(tmp_path / "out.png").astype(int) - PHOTO).max() < 10
        assert main([*call, str(video), "-o", str(tmp_path / "out.mp4")]) == 0
        assert VideoReader(tmp_path / "out.mp4").frame_count == 2
        assert main(["synthesize", weights, photo, "--video", photo, "-o", str(tmp_path / "again.png")]) == 0
        capsys.readouterr()
        assert main([*call, photo, "-o", str(tmp_path / "not.png"), "--method", "face2face"]) == 2
        assert f"are of '{name}', not of 'face2face'" in capsys.readouterr().err
        assert main([*call, str(video), "-o", str(tmp_path / "not.png")]) == 2
        assert "a picture holds one frame, the driver has more" in capsys.readouterr().err
    finally:
        METHODS.remove(ToyMethod.name)


def test_the_table_of_methods(files, capsys):
    assert main(["methods"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "face2face" in said and "toy-units" in said and "action units" in said and "nothing" in said
