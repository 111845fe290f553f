"""What every method of reenactment is to the rest of the project, and the table of methods."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.methods.deep_video_portraits.conditioning import Crop
from neural_render.methods.deep_video_portraits.data import Progress

DEFAULT = "deep-video-portraits"


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


@dataclass(frozen=True)
class TrainingSummary:
    """What a training did."""

    weights: Path
    steps: int  # in total, earlier runs included
    seconds: float  # spent in steps, earlier runs included
    frames: int  # trained on
    excluded: int  # frames of the clip without a tracked face
    resumed_at: int  # step of the checkpoint it began with; 0 for none
    losses: dict[str, float]  # of the last steps, averaged
    crop: Crop
    rollbacks: int = 0  # how often this run diverged and went back to its checkpoint
    score: float | None = None  # mean L1 on the frames kept out, of a range of 2; None where none were


class Reenactor(ABC):
    """A method: it learns a target, then shows the target doing what a drive says. It has no state of its own."""

    name: ClassVar[str]

    @abstractmethod
    def prepare(self, target: Target, work: Path, options: TrainingOptions, progress: Progress | None = None) -> Any:
        """What the training reads, made in the folder ``work`` if it isn't there. PortraitError for unfit input."""

    @abstractmethod
    def train(
        self,
        target: Target,
        out: str | os.PathLike,
        options: TrainingOptions,
        *,
        work: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> TrainingSummary:
        """Trains and writes the file ``out``, whose header names the method; goes on from what is in ``work``."""

    @abstractmethod
    def load(self, path: str | os.PathLike, model: Any) -> Any:
        """Weights that ``train`` wrote, for ``reenact``, their ``header`` saying what ``WeightsHeader`` does.

        PortraitError where they are broken or of another model.
        """

    @abstractmethod
    def reenact(self, weights: Any, drive: Drive, target: Target, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """(H, W, 3) uint8, the target's frame size, one a frame of the drive's track; streams.

        PortraitError, before the first frame, where weights, drive and target don't belong together.
        """


REENACTORS: dict[str, str] = {DEFAULT: "neural_render.methods.deep_video_portraits.method:DeepVideoPortraits"}
"""Where each method's class is, by name; imported when it is asked for."""


def find_method(name: str = DEFAULT) -> Reenactor:
    """The method of that name; PortraitError, listing all names, for an unknown one."""
    if name not in REENACTORS:
        raise PortraitError(f"method: expected one of {', '.join(sorted(REENACTORS))}, got '{name}'")
    module, attribute = REENACTORS[name].split(":")
    return getattr(import_module(module), attribute)()


def method_of(weights: str | os.PathLike) -> str:
    """The name of the method that a weights file was trained by. PortraitError where it isn't one."""
    from safetensors import SafetensorError, safe_open

    if not Path(weights).is_file():
        raise PortraitError(
            f"weights '{weights}': no such file; make it with 'portrait train TRACK VIDEO -o {weights}'"
        )
    try:
        with safe_open(weights, "pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise PortraitError(f"weights '{weights}': not a whole safetensors file ({error}); train again") from None
    if header.get("kind") != "weights" or "method" not in header:
        raise PortraitError(f"weights '{weights}': expected what 'portrait train' writes; check the name")
    return header["method"]
