"""Methods by the signatures of before, until all callers have moved to `neural_render.methods.base`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from facemodel.track import Track
from foundation.progress import Event
from neural_render.methods.base import DEFAULT, METHODS, TrainingSummary, header_of
from neural_render.methods.clip import Clip


@dataclass(frozen=True)
class Target:
    """Who is re-enacted."""

    track: Track  # of the clip below
    frames: Iterable  # re-iterable of (index, time, (H, W, 3) uint8), frame k being frame k of the track
    model: Any  # the facemodel.FaceModel of the track


@dataclass(frozen=True)
class Drive:
    """What the target is to do."""

    track: Track  # mixed or edited, in the target's camera: one row a frame that is made
    frames: Iterable | None = None  # the driver's own pictures, for methods that look at them


@dataclass(frozen=True)
class TrainingOptions:
    """What a user decides about a training; a method takes the rest from its paper."""

    minutes: float = 10.0  # in total; a run that was stopped goes on with what is left of them
    steps: int | None = None  # stop there too
    size: int = 128  # px of the networks' images
    width: int = 32  # channels of the first layer
    batch: int | None = None  # pictures a step; None leaves it to the method and the device
    device: str = "cpu"
    seed: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)  # weights by name, in place of the method's own
    vgg: str | None = None  # file of VGG-16's weights, for the loss "perceptual"
    held_out: float = 0.0  # share of the frames that scores the training and ends it early; 0 trains on all


class Reenactor:
    """A method by the old signatures."""

    def __init__(self, method) -> None:
        self.method, self.name = method, method.name

    def train(self, target, out, options, *, work=None, progress=None) -> TrainingSummary:
        def report(event: Event) -> None:
            if progress:
                progress(event.done, event.total, event.stage, event.note)

        clip = Clip.of_track(target.track, target.frames, target.model)
        given = self.method.options(**{f.name: getattr(options, f.name) for f in fields(options)})
        return self.method.train([clip], out, given, work=work, report=report)

    def load(self, path, model):
        return self.method.load(path, model)

    def reenact(self, weights, drive, target, *, device="cpu"):
        clips = (
            Clip.of_track(track, frames, target.model)
            for track, frames in ((target.track, target.frames), (drive.track, drive.frames))
        )
        return self.method.animate(weights, *clips, device=device)


def find_method(name: str = DEFAULT) -> Reenactor:
    return Reenactor(METHODS[name]())


def method_of(path) -> str:
    return header_of(path)["method"]
