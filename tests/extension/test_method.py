"""A method that is one file of the tests learns from several people's pictures, and is driven by pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from foundation.errors import PortraitError
from neural_render.methods.base import METHODS, header_of, method_of
from neural_render.methods.clip import Clip
from portrait.cli import main
from portrait.video import VideoReader, VideoWriter
from tests.extension.toy_method import ToyMethod, register

WIDTH, HEIGHT = 48, 36


@dataclass
class Pictures:
    """Re-iterable frames in memory."""

    frames: np.ndarray  # (F, H, W, 3) uint8

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self):
        for k, frame in enumerate(self.frames):
            yield k, k / 25, frame


def footage(person: str, seed: int, count: int = 10) -> Clip:
    """Somebody's still face under a light that comes and goes, another in each clip."""
    draw = np.random.default_rng([ord(letter) for letter in person])
    face = np.kron(draw.integers(40, 160, (6, 8, 3)), np.ones((6, 6, 1)))
    light = 40 * np.sin(np.linspace(0, 3, count) + seed)[:, None, None, None]
    frames = Pictures((face + light).clip(0, 255).astype(np.uint8))

    def no_track(clip: Clip):
        raise AssertionError("this method looks at no track")

    return Clip(frames, WIDTH, HEIGHT, 25.0, person, {"file": f"{person}-{seed}.mp4"}, find_track=no_track)


@pytest.fixture(scope="module")
def name():
    yield register()
    METHODS.remove(ToyMethod.name)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [footage("ada", 1), footage("bob", 2), footage("ada", 3)]


@pytest.fixture(scope="module")
def trained(name, clips, tmp_path_factory):
    method, said = METHODS[name](), []
    options = method.options(steps=120, size=16)
    summary = method.train(clips, tmp_path_factory.mktemp("toy") / "w.safetensors", options, report=said.append)
    return summary, said


def test_it_learns_from_several_peoples_clips(trained):
    summary, said = trained
    assert (summary.steps, summary.frames, summary.resumed_at) == (120, 30, 0)
    assert summary.losses["l1"] < 0.05
    assert {event.stage for event in said} == {"reading", "training"}


def test_weights_say_whose_they_are(trained, name):
    header = header_of(trained[0].weights)
    assert (header["method"], header["people"], header["size"]) == (name, ["ada", "bob"], 16)
    assert [s["file"] for s in header["sources"]] == ["ada-1.mp4", "bob-2.mp4", "ada-3.mp4"]
    assert "fingerprint" in header and not header["fingerprint"]
    method = method_of(trained[0].weights)
    assert isinstance(method, ToyMethod)
    assert dict(method.describe(header))["gain"] == 1.0
    assert method.can("train") and method.can("live") and not method.can("export") and not method.can("adapt")


def test_pictures_of_one_drive_another(trained):
    method = method_of(trained[0].weights)
    weights = method.load(trained[0].weights)
    target, driver = footage("eve", 5, count=1), footage("bob", 2)  # a stranger's photograph
    made = np.stack(list(method.animate(weights, target, driver)))
    assert made.shape == (10, HEIGHT, WIDTH, 3) and made.dtype == np.uint8
    light, wanted = made.mean((1, 2, 3)), driver.frames.frames.mean((1, 2, 3))
    assert np.corrcoef(light, wanted)[0, 1] > 0.99
    assert np.ptp(light) > 0.5 * np.ptp(wanted)


def test_live_pictures_are_those_of_the_clip(trained):
    method = method_of(trained[0].weights)
    weights, target, driver = method.load(trained[0].weights), footage("eve", 5, count=1), footage("bob", 2)
    live = method.live(weights, target)
    assert live.size == (WIDTH, HEIGHT)
    made = list(method.animate(weights, target, driver))
    assert all(np.array_equal(live(picture=rgb), m) for (_, _, rgb), m in zip(driver.frames, made, strict=True))


def test_training_goes_on(name, clips, tmp_path):
    method = METHODS[name]()
    method.train(clips, tmp_path / "w", method.options(steps=4, size=16))
    assert method.train(clips, tmp_path / "w", method.options(steps=6, size=16)).resumed_at == 4
    with pytest.raises(PortraitError, match="size 16 instead of 24"):
        method.train(clips, tmp_path / "w", method.options(steps=6, size=24))


def test_what_it_does_not_have_is_said_in_a_line(name, clips, trained, tmp_path):
    method, weights = METHODS[name](), METHODS[name]().load(trained[0].weights)
    with pytest.raises(PortraitError, match="did you mean 'gain'"):
        method.options(gian=2)
    with pytest.raises(PortraitError, match="no network that can be exported"):
        method.export(weights, tmp_path / "n.onnx")
    with pytest.raises(PortraitError, match="doesn't adapt to a person"):
        method.adapt(weights, clips, tmp_path / "w", method.options())
    with pytest.raises(PortraitError, match="training: expected clips, got 0"):
        method.train([], tmp_path / "w", method.options())
    unseen = Clip(None, WIDTH, HEIGHT, person="eve")
    with pytest.raises(PortraitError, match="driver: expected the pictures of clip 'eve'"):
        method.animate(weights, clips[0], unseen)
    assert list(method.panels(weights, clips[0], clips[1], iter([1, 2]), 64)) == [{}, {}]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Small clips of three people, as files."""
    folder, paths = tmp_path_factory.mktemp("videos"), []
    for k, person in enumerate(("ada", "bob", "eve")):
        clip = footage(person, k)
        paths.append(folder / f"{person}.mp4")
        with VideoWriter(paths[-1], WIDTH, HEIGHT, 25.0) as writer:
            for _, time, rgb in clip.frames:
                writer.write(rgb, time)
    return paths


def test_the_commands_know_it(name, videos, tmp_path, capsys):
    """No command is told of it but by its name, and by its weights."""
    ada, bob, eve = videos
    weights, out, live = (tmp_path / n for n in ("w.safetensors", "out.mp4", "live.mp4"))
    call = ("train", ada, bob, "-o", weights, "--method", name, "--option", "size=16", "--option", "steps=40")
    assert main([str(a) for a in call]) == 0
    assert header_of(weights)["people"] == ["ada", "bob"] and header_of(weights)["steps"] == 40
    assert main(["info", str(weights)]) == 0
    shown = capsys.readouterr().out
    assert name in shown and "ada" in shown
    assert main([str(a) for a in ("synthesize", weights, bob, "--video", eve, "-o", out)]) == 0
    made, driver = VideoReader(out), VideoReader(bob)
    assert (made.width, made.height, made.frame_count) == (WIDTH, HEIGHT, 10)
    light = [[f.mean() for _, _, f in reader] for reader in (made, driver)]
    assert np.corrcoef(*light)[0, 1] > 0.9
    call = ("live", "--source", bob, "--weights", weights, "--target", eve, "--no-window", "--record", live)
    assert main([str(a) for a in call]) == 0
    assert (VideoReader(live).width, VideoReader(live).height) == (WIDTH, HEIGHT)


def test_it_reenacts_in_one_command(name, videos, tmp_path):
    """Train on the target and show it, with a comparison; nothing is fitted, as it needs no track."""
    ada, bob, _ = videos
    out, comparison = tmp_path / "out.mp4", tmp_path / "comparison.mp4"
    call = ("reenact", "--source", bob, "--target", ada, "-o", out, "--comparison", comparison, "--method", name)
    call += ("--option", "size=16", "--option", "steps=20")
    assert main([str(a) for a in call]) == 0
    assert VideoReader(out).frame_count == VideoReader(comparison).frame_count == 10
    assert not list(tmp_path.rglob("*.track"))


def test_an_option_that_it_does_not_have(name, videos, tmp_path, capsys):
    call = ("train", videos[0], "-o", tmp_path / "w", "--method", name, "--option", "gian=2")
    assert main([str(a) for a in call]) == 2
    assert "did you mean 'gain'" in capsys.readouterr().err
