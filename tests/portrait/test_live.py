"""The live loop: the newest frame each time, and the whole command on a short clip."""

import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facemodel import FrameStatus, PortraitError, Track
from fitting.tracking.online import OnlineFrame
from neural_render.methods.deep_video_portraits.live import LiveSynthesizer
from neural_render.methods.deep_video_portraits.synthesis import synthesize_crops
from neural_render.methods.deep_video_portraits.weights import Weights
from portrait.cli import main
from portrait.commands.live import watch
from portrait.services.driving import Driver, TargetMixer, find_target_track
from portrait.services.live import LiveOptions
from portrait.services.setup import Setup
from portrait.video import VideoReader, VideoWriter, read_comment
from portrait.video.newest_frame import NewestFrame, open_source
from portrait.video.sample import carphone
from tests.portrait.conftest import run
from tests.portrait.networks import random_weights

LENGTH = 120  # frames of the driver


def live(source, weights, window=True, **options):
    """The command's session, with what it counted."""
    return watch(LiveOptions(source, weights, **options), Setup(device="cpu"), window=window)


@pytest.fixture(scope="module")
def weights(track, model, tmp_path_factory):
    """A random network for the clip's track, which lies beside it."""
    folder = tmp_path_factory.mktemp("live")
    target = Track.load(track, model)
    target.save(folder / "talk.track")
    target.with_parameters(target.parameters, edits=[{"gaze": 1}]).save(folder / "edited.track")
    target.with_parameters(target.parameters, curves="a.csv").save(folder / "by_curves.track")
    replace(target, fingerprint="0" * 16).save(folder / "another_model.track")
    (target.save(folder / "broken.track") / "track.safetensors").write_bytes(b"no tensors")
    return random_weights(target, model, folder / "talk.weights.safetensors")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Four seconds of a real clip: on a busy machine half of them go by before identity is solved."""
    reader, path = VideoReader(carphone(), square=False), tmp_path_factory.mktemp("driver") / "driver.mp4"
    with VideoWriter(path, reader.width, reader.height, reader.fps) as writer:
        for index, seconds, frame in reader:
            if index == LENGTH:
                break
            writer.write(frame, seconds)
    return path


def test_takes_the_newest_and_counts_what_it_drops():
    taken, go_on = [], threading.Event()

    def frames():
        for k in range(20):
            if k == 10:
                go_on.wait(5)  # until the fifth frame is being worked on
            yield k, k / 10, np.zeros((1, 1, 3), np.uint8)

    with NewestFrame(frames()) as newest:
        for index, _, _ in newest:
            taken.append(index)
            go_on.set()
            time.sleep(0.02)
        newest._thread.join(5)
    assert taken == sorted(taken) and taken[-1] == 19
    assert len(taken) < 15 and len(taken) + newest.dropped == 20


def test_an_error_of_the_source_reaches_who_waits():
    def frames():
        yield 0, 0.0, np.zeros((1, 1, 3), np.uint8)
        raise PortraitError("video: breaks off")

    with NewestFrame(frames()) as newest, pytest.raises(PortraitError, match="breaks off"):
        list(newest)


def test_a_video_plays_at_its_own_rate(clip):
    began = time.monotonic()
    times = [seconds for _, seconds, _ in open_source(str(clip)).frames]
    assert time.monotonic() - began >= times[-1] > 0.2


def test_synthesis_frame_by_frame_is_that_of_the_clip(weights, model, monkeypatch):
    # In bfloat16 a batch of several is rounded otherwise than one, which a random network enlarges.
    monkeypatch.setattr("neural_render.methods.deep_video_portraits.synthesis.bfloat16_helps", lambda device: False)
    loaded = Weights.load(weights)
    track = Track.load(weights.parent / "talk.track")
    rotation = track.parameters.rotation.clone()
    rotation[:, 1] = torch.linspace(-0.6, 0.6, len(track))
    track = track.with_parameters(track.parameters.replace(rotation=rotation))
    one_by_one = LiveSynthesizer(loaded, track, model=model)
    whole = synthesize_crops(one_by_one.network, loaded, track, model=model)
    pictures = [picture for picture, _ in whole]
    p = track.parameters.expanded()
    for k, expected in enumerate(pictures):
        assert np.abs(one_by_one(p[k]).astype(int) - expected).max() <= 2
    assert np.abs(pictures[0].astype(int) - pictures[-1]).max() > 2
    one_by_one.restart()
    assert np.abs(one_by_one(p[0]).astype(int) - pictures[0]).max() <= 2


def test_command(weights, driver, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    counts = live(str(driver), weights, window=False, record=out)
    printed = capsys.readouterr().out
    assert f"{weights.parent / 'talk.track'}: taken as the track that the weights were trained on" in printed
    assert counts.made >= 1 and counts.made <= counts.taken
    dropped = LENGTH - counts.taken
    assert f"{counts.made} made of {counts.taken} taken, {dropped} dropped" in printed and "frames a second" in printed
    reader = VideoReader(out)
    assert (reader.width, reader.height, reader.frame_count) == (64, 64, counts.made)
    note = read_comment(reader.metadata)
    assert note["synthetic"] is True and note["command"] == "live"
    assert note["source"]["file"] == "driver.mp4" and len(note["source"]["sha256"]) == 64
    assert note["target"]["source"]["file"] == note["weights"]["trained"]["on"]["sources"][0]["file"] == "clip.mp4"
    assert main(["info", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "synthetic   yes" in shown and note["source"]["sha256"] in shown and note["weights"]["sha256"] in shown


def test_the_window_shows_both_and_q_ends(weights, driver, monkeypatch, capsys):
    shown, keys = [], iter([-1, -1, ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("cv2.imshow", lambda title, picture: shown.append(picture.shape))
    monkeypatch.setattr("cv2.waitKey", lambda wait: next(keys))
    monkeypatch.setattr("cv2.destroyAllWindows", lambda: shown.append("closed"))
    assert live(str(driver), weights).taken == 3
    height, width, _ = shown[0]
    assert len(shown) == 4 and shown[-1] == "closed" and width > 2 * height > 2 * 384
    assert "0 made of 3 taken" in capsys.readouterr().out


def test_a_camera_gives_rgb_and_is_let_go(monkeypatch):
    class Camera:
        left, released = 3, False

        def read(self):
            self.left -= 1
            return self.left >= 0, np.full((2, 3, 3), (1, 2, 3), np.uint8)

        def release(self):
            self.released = True

    camera = Camera()
    monkeypatch.setattr("cv2.VideoCapture", lambda name: camera if name == 0 else None)
    source = open_source("0")
    frames = list(source.frames)
    assert (source.width, source.height, source.facts) == (3, 2, {"camera": "0"})
    assert [index for index, _, _ in frames] == [0, 1, 2] and camera.released
    assert frames[0][2][0, 0].tolist() == [3, 2, 1]


def test_a_cut_of_the_driver_starts_the_window_anew(weights, model):
    loaded, target = Weights.load(weights), Track.load(weights.parent / "talk.track")
    tracker = SimpleNamespace(first=target.parameters)
    drive = Driver(LiveSynthesizer(loaded, target, model=model), TargetMixer(model, target, tracker))
    picture = lambda found: drive(None, found)  # noqa: E731
    frames = [OnlineFrame(FrameStatus.TRACKED, target.parameters.expanded()[k]) for k in range(3)]
    assert picture(OnlineFrame(FrameStatus.NO_FACE, None)) is None
    first = [picture(frame) for frame in frames][0]
    assert not np.array_equal(picture(frames[0]), first)  # the window remembers
    again = picture(OnlineFrame(FrameStatus.TRACKED | FrameStatus.CUT, frames[0].parameters))
    assert np.array_equal(again, first)


def test_frames_stops_and_an_empty_recording_isn_t_kept(weights, driver, tmp_path, capsys):
    arguments = ["live", "--source", driver, "--weights", weights, "--no-window", "--frames", 2, "--device", "cpu"]
    assert main([*map(str, arguments), "--record", str(tmp_path / "out.mp4")]) == 0
    said = capsys.readouterr().out
    assert "0 made of 2 taken" in said and "over the first 1.5 s with a face" in said
    needed = re.search(r"nothing was made: 1.5 s from the first face on .* there were (\d\.\d) s; give a longer", said)
    assert needed and float(needed[1]) < 1.5
    assert list(tmp_path.iterdir()) == []
    assert "1.5 seconds with a face" in run("live", "--help").stdout


def test_a_driver_without_a_face(weights, tmp_path, capsys):
    with VideoWriter(tmp_path / "grey.mp4", 64, 48, 25) as writer:
        for _ in range(4):
            writer.write(np.full((48, 64, 3), 90, np.uint8))
    assert live(str(tmp_path / "grey.mp4"), weights, window=False).made == 0
    assert re.search(r"nothing was made: no face was found in the [1-4] frames taken", capsys.readouterr().out)


def test_what_can_t_be_used(weights, driver, track, model, tmp_path, monkeypatch, capsys):
    assert find_target_track(weights, Weights.load(weights).header, model).name == "talk.track"
    base = ["live", "--weights", str(weights), "--device", "cpu"]
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    moved = Weights.load(weights).save(tmp_path / "w.safetensors")
    for arguments, reason in [
        ([*base, "--source", str(driver)], "no display"),
        ([*base, "--source", "77", "--no-window"], "no such camera"),
        ([*base, "--source", str(tmp_path / "absent.mp4"), "--no-window"], "no such file"),
        ([*base, "--source", str(driver), "--no-window", "--frames", "0"], "Invalid value"),
        (["live", "--weights", str(moved), "--source", str(driver), "--no-window"], "--target-track"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1
    other = Track.load(track)
    other.with_parameters(other.parameters, source={"file": "other.mp4"}).save(tmp_path / "other.track")
    assert main([*base, "--source", str(driver), "--no-window", "--target-track", str(tmp_path / "other.track")]) == 2
    assert "of another clip" in capsys.readouterr().err
    for name in ("edited", "by_curves"):
        path = weights.parent / f"{name}.track"
        assert main([*base, "--source", str(driver), "--no-window", "--target-track", str(path)]) == 2
        assert "was edited; give the target's own" in capsys.readouterr().err
