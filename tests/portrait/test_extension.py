"""A method that learns from several clips' pictures, without a face model: trained, shown and asked by the commands."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.methods.base import METHODS, Method, Needs, TrainingBudget, TrainingSummary, option
from neural_render.methods.weights import WeightsHeader, save_weights
from portrait.cli import main
from portrait.video import VideoReader, read_comment
from tests.portrait.conftest import FRAMES


@dataclass(frozen=True)
class Options(TrainingBudget):
    share: float = option(0.5, "of the driver in the result")
    colours: tuple[str, ...] = option(("red",), "that are taken")

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PortraitError(f"share: expected 0 to 1, got {self.share}")


class Blend(Method):
    """Shows the mean of target and driver, tinted as all clips are on average."""

    name, title = "blend", "Blend (nobody, never)"
    training = Needs(several=True)
    target = driver = Needs()
    Options = Options

    def train(self, clips, out, options, *, work=None, report=None):
        self.training.check(clips, "training")
        means = torch.stack([torch.from_numpy(frame).float().mean((0, 1)) for c in clips for _, _, frame in c.frames])
        header = WeightsHeader(method=self.name, steps=len(means), sources=tuple(dict(c.source) for c in clips))
        save_weights(out, header, {"tint": means.mean(0), "share": torch.tensor(options.share)})
        return TrainingSummary(out, len(means), 0.1, len(means))

    def animate(self, weights, target, driver, *, device="cpu"):
        first = next(iter(target.frames))[2].astype(float)
        share = float(weights.tensors["share"])
        for _, _, frame in driver.frames:
            yield ((1 - share) * first + share * frame[: first.shape[0], : first.shape[1]]).astype(np.uint8)

    def live(self, weights, target, *, device="cpu"):
        return Echo(next(iter(target.frames))[2])

    def panels(self, weights, target, driver, results, height):
        for made in results:
            yield {"tint": np.full((height, height, 3), int(made.mean()), np.uint8)}

    def describe(self, header):
        return [("clips", len(header["sources"]))]


class Echo:
    """Shows the driver's picture."""

    def __init__(self, target):
        self.size = target.shape[1::-1]

    def __call__(self, parameters=None, picture=None):
        return picture

    def restart(self):
        pass


@pytest.fixture(autouse=True)
def registered():
    METHODS.add("blend", Blend)
    yield
    METHODS.remove("blend")


@pytest.fixture(scope="module")
def weights(clip, tmp_path_factory):
    METHODS.add("blend", Blend)
    path = tmp_path_factory.mktemp("blend") / "people.safetensors"
    arguments = ["train", clip, clip, "-o", path, "--method", "blend", "--option", "share=1", "--device", "cpu"]
    assert main([*map(str, arguments)]) == 0
    return path


def test_it_is_trained_on_several_clips_and_told_of(weights, capsys):
    assert main(["info", str(weights)]) == 0
    shown = capsys.readouterr().out
    assert "blend" in shown and "clips       2" in shown


def test_it_shows_a_target_by_a_driver_s_pictures(weights, clip, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert main([*map(str, ["synthesize", weights, clip, "--video", clip, "-o", out, "--device", "cpu"])]) == 0
    made = VideoReader(out)
    assert made.frame_count == FRAMES and made.audio
    note = read_comment(made.metadata)
    assert note["synthetic"] is True and note["weights"]["method"] == "blend" and note["driver"]["file"] == "clip.mp4"
    for (_, _, ours), (_, _, theirs) in zip(made, VideoReader(clip)):
        assert np.abs(ours.astype(int) - theirs).mean() < 4


def test_all_in_one_needs_no_track(clip, tmp_path, capsys):
    out, arguments = tmp_path / "o.mp4", ["--source", clip, "--target", clip, "--method", "blend", "--device", "cpu"]
    more = ["--comparison", tmp_path / "c.mp4", "--report", tmp_path / "r.html"]
    assert main([*map(str, ["reenact", *arguments, "-o", out, *more])]) == 0
    said = capsys.readouterr().out
    assert "1/2 training on the target" in said and "2/2 synthesizing" in said and "fitting" not in said
    assert VideoReader(out).frame_count == VideoReader(tmp_path / "c.mp4").frame_count == FRAMES
    assert "<h2>Result</h2>" in (tmp_path / "r.html").read_text() and not list(tmp_path.rglob("*.track"))
    made = next(tmp_path.rglob("*.safetensors"))
    assert main([*map(str, ["reenact", *arguments, "-o", out, "--weights", made])]) == 0


def test_weights_are_made_a_persons(weights, clip, tmp_path, capsys, monkeypatch):
    """The method is that of the weights' header, with its own options."""

    def adapt(self, weights, references, out, options, *, work=None, report=None):
        header = WeightsHeader(method="blend", steps=3, sources=(dict(references[0].source),))
        save_weights(out, header, weights.tensors | {"share": torch.tensor(options.share)})
        return TrainingSummary(out, 3, 0.1, len(references))

    monkeypatch.setattr(Blend, "adapt", adapt)
    own, out = tmp_path / "own", tmp_path / "o.mp4"
    arguments = ["adapt", weights, clip, "-o", own, "--option", "share=1.0", "--device", "cpu"]
    assert main([*map(str, arguments)]) == 0
    assert "3 steps" in capsys.readouterr().out
    assert METHODS["blend"]().load(own).tensors["share"] == 1
    assert main([*map(str, ["synthesize", own, clip, "--video", clip, "-o", out, "--device", "cpu"])]) == 0
    assert main([*map(str, ["adapt", tmp_path / "none", clip, "-o", own])]) == 2
    assert "none" in capsys.readouterr().err


def test_it_is_driven_live(weights, clip, tmp_path, capsys):
    arguments = ["live", "--source", clip, "--weights", weights, "--no-window", "--device", "cpu"]
    assert main([*map(str, arguments)]) == 2
    assert "looks at the target's pictures; add --target VIDEO" in capsys.readouterr().err
    out = tmp_path / "live.mp4"
    assert main([*map(str, [*arguments, "--target", clip, "--record", out, "--frames", "2"])]) == 0
    assert VideoReader(out).frame_count == 2 and "2 made of 2 taken" in capsys.readouterr().out


def test_what_it_cannot_do_is_said(weights, clip, tmp_path, capsys):
    for arguments, expected in [
        (["export", weights, "-o", tmp_path / "a.onnx"], "'blend': has no network that can be exported"),
        (["train", clip, "-o", tmp_path / "w", "--method", "blend", "--option", "shore=1"], "did you mean 'share'?"),
        (["train", clip, "-o", tmp_path / "w", "--method", "blend", "--option", "share=2"], "--share: expected 0 to 1"),
        (["train", clip, "-o", tmp_path / "w", "--method", "blend", "--size", "128"], "unknown option of the method"),
        (["adapt", weights, clip, "-o", tmp_path / "w"], "those of 'blend', which doesn't adapt to a person"),
        (["train", clip, clip, "-o", tmp_path / "w"], "expected one clip, got 2"),
    ]:
        assert main([*map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert expected in error and error.count("\n") == 1, error
    assert list(tmp_path.iterdir()) == []
