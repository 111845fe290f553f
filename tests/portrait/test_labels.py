"""Every video that a command writes says that it is synthetic, how it was made and from which files."""

import json

import numpy as np
import pytest

import facemodel
from facemodel import Track
from portrait.cli import main
from portrait.services.synthesis import write_frames
from portrait.video import VideoReader, read_comment
from portrait.video.source import file_hash
from tests.portrait.networks import random_weights


@pytest.fixture(scope="module")
def weights(track, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    return random_weights(Track.load(track), facemodel.load(), folder / "talk.weights.safetensors")


def call(*arguments):
    assert main([str(a) for a in arguments]) == 0


def hashes(value) -> set[str]:
    """Every SHA-256 in a label."""
    if isinstance(value, dict):
        own = {value["sha256"]} if "sha256" in value else set()
        return own.union(*map(hashes, value.values()))
    return set()


def label(path) -> dict:
    note = read_comment(VideoReader(path).metadata)
    assert note["synthetic"] is True and "isn't a recording" in note["notice"]
    assert note["made_by"].startswith("video-portraits ")
    return note


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_synthesize(weights, track, clip, tmp_path, suffix, capsys):
    edited, out = tmp_path / "new.track", tmp_path / f"out.{suffix}"
    call("edit", track, "--set", "jawOpen=0.6", "-o", edited)
    call("synthesize", weights, edited, "--video", clip, "-o", out, "--device", "cpu")
    note = label(out)
    assert note["command"] == "synthesize" and note["track"]["edits"][0]["set"] == {"jawOpen": 0.6}
    assert note["weights"]["method"] == "deep-video-portraits"
    assert hashes(note) == {file_hash(clip), file_hash(weights), file_hash(edited / "track.safetensors")}
    capsys.readouterr()
    call("info", out)
    shown = capsys.readouterr().out
    assert "synthetic   yes" in shown and all(h in shown for h in hashes(note)) and '"jawOpen": 0.6' in shown


def test_a_mixed_result_names_the_driver(weights, track, clip, tmp_path):
    driver = Track.load(track)
    source = {"file": "driver.mp4", "sha256": "d" * 64}
    driver.with_parameters(driver.parameters, source=source).save(tmp_path / "driver.track")
    call("mix", "--source", tmp_path / "driver.track", "--target", track, "-o", tmp_path / "m.track")
    call("synthesize", weights, tmp_path / "m.track", "--video", clip, "-o", tmp_path / "o.mp4", "--device", "cpu")
    assert label(tmp_path / "o.mp4")["track"]["mixed"]["source"] == source


def test_render_and_overlay(track, clip, tmp_path):
    call("render", track, "-o", tmp_path / "maps", "--maps", "eyes")
    call("render", track, "-o", tmp_path / "over.mp4", "--overlay", clip)
    both = {file_hash(clip), file_hash(track / "track.safetensors")}
    for path in (tmp_path / "maps" / "eyes.mp4", tmp_path / "over.mp4"):
        assert label(path)["command"] == "render" and hashes(label(path)) == both


def test_an_onnx_network_makes_the_same_video_and_is_named(weights, track, clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "neural_render.methods.deep_video_portraits.synthesis.bfloat16_helps", lambda device: False
    )  # ONNX files are in float32
    made = []

    def kept(path, frames, *arguments, **options):
        made.append(np.stack(list(frames)).astype(int))
        return write_frames(path, made[-1].astype(np.uint8), *arguments, **options)

    monkeypatch.setattr("portrait.services.synthesis.write_frames", kept)
    onnx = tmp_path / "talk.onnx"
    call("export", weights, "-o", onnx)
    call("synthesize", "--onnx", onnx, track, "--video", clip, "-o", tmp_path / "a.mkv", "--device", "cpu")
    call("synthesize", weights, track, "--video", clip, "-o", tmp_path / "b.mkv", "--device", "cpu")
    by_onnx, by_torch = made
    assert (
        np.abs(by_onnx - by_torch).max() <= 2
    )  # before the encoding, which may go another way at one level's difference
    assert np.abs(by_onnx - np.stack([frame for _, _, frame in VideoReader(clip)]).astype(int)).mean() > 10
    assert label(tmp_path / "a.mkv")["weights"]["sha256"] == file_hash(onnx)
    trained = [label(tmp_path / f"{name}.mkv")["weights"]["trained"] for name in "ab"]
    assert json.dumps(trained[0]) == json.dumps(trained[1])
    capsys.readouterr()
    for arguments in ([track], ["--onnx", onnx, weights, track], [weights, track, track]):
        assert main([*map(str, ["synthesize", *arguments, "--video", clip, "-o", tmp_path / "c.mp4"])]) == 2
        assert "expected WEIGHTS and TRACK" in capsys.readouterr().err
