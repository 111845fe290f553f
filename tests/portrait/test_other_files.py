"""What belongs together, by the hashes of files: another file is a note where it may be a new encoding."""

import shutil

import cv2
import pytest

import facemodel
from facemodel import Track
from portrait.cli import main
from portrait.video import VideoReader
from tests.portrait.conftest import FRAMES
from tests.portrait.networks import random_weights

OTHER = "another file than other.mp4"


@pytest.fixture(scope="module")
def weights(track, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    return random_weights(Track.load(track), facemodel.load(), folder / "talk.weights.safetensors")


@pytest.fixture(scope="module")
def other(clip, tmp_path_factory):
    """The same pictures, a byte more."""
    path = tmp_path_factory.mktemp("other") / "other.mp4"
    shutil.copy(clip, path)
    with open(path, "ab") as file:
        file.write(b"\0\0\0\x08free")
    return path


def of_another_clip(track, folder):
    found = Track.load(track)
    return found.with_parameters(found.parameters, source={"file": "actor.mp4", "sha256": "0" * 64}).save(folder)


def said(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments), "--device", "cpu"]) == 0
    return capsys.readouterr().out


def test_another_file_than_the_track_s_is_said(track, clip, other, weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("portrait.services.uv_outputs.FRAMES", 1)
    for video, count in ((clip, 0), (other, 1)):
        for arguments in (
            ["render", track, "--overlay", video, "-o", tmp_path / "o.mp4"],
            ["synthesize", weights, track, "--video", video, "-o", tmp_path / "o.mp4"],
            ["uv", track, "--video", video, "--size", "128", "-o", tmp_path / "face"],
        ):
            text = said(capsys, *arguments)
            assert text.count(OTHER) == text.count("note:") == count, arguments
            assert text.count("the track was fitted to another") == count


def test_the_weights_own_clip_and_person(track, clip, other, weights, tmp_path, capsys):
    actor = of_another_clip(track, tmp_path / "actor.track")
    text = said(capsys, "synthesize", weights, actor, "--video", clip, "-o", tmp_path / "o.mp4")
    assert "the track was fitted to another file than clip.mp4" in text
    assert "the track is of 'actor.mp4', the weights of 'clip.mp4'" in text and "'portrait mix'" in text
    assert main(["mix", "--source", str(actor), "--target", str(track), "-o", str(tmp_path / "m.track")]) == 0
    mixed = tmp_path / "m.track"
    assert "note:" not in said(capsys, "synthesize", weights, mixed, "--video", clip, "-o", tmp_path / "o.mp4")

    found = Track.load(track)
    unknown = found.with_parameters(found.parameters, source=None).save(tmp_path / "unknown.track")
    text = said(capsys, "synthesize", weights, unknown, "--video", other, "-o", tmp_path / "o.mp4")
    assert "the weights were trained on another file than other.mp4" in text and text.count("note:") == 1


def test_an_overlay_on_a_folder_of_images(track, clip, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, _, frame in VideoReader(clip):
        cv2.imwrite(str(pictures / f"{index}.png"), frame[..., ::-1])
    said(capsys, "render", track, "--overlay", pictures, "-o", tmp_path / "o.mp4")
    made = VideoReader(tmp_path / "o.mp4")
    assert made.frame_count == FRAMES and not made.audio
