"""What a method of reenactment is to the rest of the project, and the table of methods.

A method learns from clips, then shows a target doing what a driver does. Commands ask it for everything: what it looks
at, its options, its weights, its frames. To add one, write a file or a folder in `neural_render.methods` that says

    METHODS.add("my-method", "neural_render.methods.my_method.method:MyMethod")

and nothing else needs to know. Files there are imported when names are asked for, so a folder's ``__init__`` is the
place for that line, and torch is imported by what it names.
"""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from foundation.errors import PortraitError, unknown_name
from foundation.progress import Report, ignore
from foundation.registry import Registry
from neural_render.methods.clip import Clip
from neural_render.methods.weights import WeightsHeader, load_weights, weights_header

DEFAULT = "deep-video-portraits"
UNSAID = ("kind", "version", "format", "picture", "tensors")
"""What headers have for programs alone."""


@dataclass(frozen=True)
class Needs:
    """What a method looks at in a clip, and how much of it there has to be."""

    pictures: bool = True
    track: bool = False  # for a driver: mixed or edited, in the target's camera, a row a frame that is made
    landmarks: bool = False
    action_units: bool = False
    frames: int = 1  # fewest; of 1, a photograph is enough
    several: bool = False  # more than one clip, of one or many people

    def check(self, clips: Sequence[Clip], role: str) -> None:
        """PortraitError for clips that can't be what is needed. role: "target", "driver", ..."""
        if not clips or (len(clips) > 1 and not self.several):
            raise PortraitError(f"{role}: expected {'clips' if self.several else 'one clip'}, got {len(clips)}")
        for clip in clips:
            if self.pictures and clip.frames is None:
                raise PortraitError(f"{role}: expected the pictures of {clip}, got its track alone; give the video")
            if self.track and clip.model is None:
                raise PortraitError(f"{role}: expected the face model of {clip} with its track, got none")
            for what in ("track", "landmarks", "action_units"):
                if getattr(self, what) and not clip.has(what):
                    raise PortraitError(f"{role}: expected {what.replace('_', ' ')} of {clip}, got none; fit it first")
            if clip.count is not None and clip.count < self.frames:
                raise PortraitError(f"{role}: expected at least {self.frames} frames, {clip} has {clip.count}")


def option(default: Any, text: str) -> Any:
    """A field of a method's options, with what it is, for people."""
    made = {"default_factory": lambda: dict(default)} if isinstance(default, dict) else {"default": default}
    return field(metadata={"help": text}, **made)


@dataclass(frozen=True)
class TrainingBudget:
    """What every training has: how long it goes on, and where. A method's ``Options`` add the method's own."""

    minutes: float = option(10.0, "of training, in all: a run that was stopped goes on with what is left of them")
    steps: int | None = option(None, "where to stop, too; none for the minutes alone")
    device: str = option("cpu", "cpu, cuda or cuda:1, ...")
    seed: int = option(0, "of all random numbers")
    batch: int | None = option(None, "pictures a step; none leaves it to the method and the device")

    def __post_init__(self) -> None:
        """PortraitError for what no training can be told. Subclasses add their own checks."""
        if not 0 < self.minutes < math.inf:
            raise PortraitError(f"minutes: expected more than 0, got {self.minutes}")
        for name in ("steps", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PortraitError(f"{name}: expected at least 1, got {value}")


@dataclass(frozen=True)
class TrainingSummary:
    """What a training did."""

    weights: Path
    steps: int  # in total, earlier runs included
    seconds: float  # spent in steps, earlier runs included
    frames: int  # trained on
    excluded: int = 0  # frames that couldn't be trained on, as those without a tracked face
    resumed_at: int = 0  # step of the checkpoint it began with; 0 for none
    losses: Mapping[str, float] = field(default_factory=dict)  # of the last steps, averaged
    rollbacks: int = 0  # how often this run diverged and went back to its checkpoint
    score: float | None = None  # on the frames kept out, smaller is better; None where none were
    note: str = ""  # where the budget ended it far too early: how few steps it had, and how to go on


class LiveSynthesizer(Protocol):
    """Makes one frame at a time, while the performance is still going on."""

    size: tuple[int, int]  # width and height of its pictures, px

    def __call__(
        self,
        parameters: FaceParameters
        | None = None,  # of this frame, mixed, in the target's camera: for methods with tracks
        picture: np.ndarray | None = None,  # (H, W, 3) uint8, the driver's: for methods that look at pictures
    ) -> np.ndarray:  # (height, width, 3) uint8
        ...

    def restart(self) -> None:
        """Forgets the frames before, as at the start of a shot."""


class Method(ABC):
    """A method has no state: what it learns is in the weights. What is abstract has to be there; the rest may be.

    Weights, as `load` gives them, have a ``header``, which is a `WeightsHeader` or a subclass.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # for people: "Deep Video Portraits (Kim et al., SIGGRAPH 2018)"
    expression: ClassVar[str] = ""  # what it takes an expression to be, in a few words: "ARKit parameters"
    identity: ClassVar[str] = ""  # what it takes a person to be: "the weights, trained on one clip"
    training: ClassVar[Needs | None] = None  # None: it works without having learnt anything, so without weights
    target: ClassVar[Needs]
    driver: ClassVar[Needs]
    Options: ClassVar[type[TrainingBudget]] = TrainingBudget
    Header: ClassVar[type[WeightsHeader]] = WeightsHeader
    clock: ClassVar[Callable[[], float]] = staticmethod(time.perf_counter)  # what minutes are measured with

    # -- what a method may do -------------------------------------------------------------------------------------

    def train(
        self,
        clips: Sequence[Clip],
        out: str | os.PathLike,
        options: TrainingBudget,  # of the class ``Options``
        *,
        work: str | os.PathLike | None = None,  # a folder; ``out`` + ".work" by default
        report: Report = ignore,
    ) -> TrainingSummary:
        """Trains and writes the file ``out``, whose header names the method; goes on from what is in ``work``.

        PortraitError for clips or options that can't be trained with.
        """
        raise PortraitError(f"method '{self.name}': isn't trained; use it without weights")

    def adapt(
        self,
        weights: Any,
        references: Sequence[Clip],
        out: str | os.PathLike,
        options: TrainingBudget,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        """Weights of many people made those of the references' one, in the file ``out``."""
        raise PortraitError(f"method '{self.name}': doesn't adapt to a person; train it on the person's clip")

    def load(self, path: str | os.PathLike, model: FaceModel | None = None) -> Any:
        """Weights that `train`, `adapt` or `export` wrote. PortraitError: broken, or of another face model."""
        return load_weights(path, self.Header, model)

    @abstractmethod
    def animate(self, weights: Any, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """The target doing what the driver does: (H, W, 3) uint8, all of one size, one a frame of the driver; streams.

        weights: of `load`; None where the method has none. For methods with tracks ``driver.track`` is mixed or edited,
        in the target's camera.

        PortraitError, before the first frame, where weights, target and driver don't belong together.
        """

    def live(self, weights: Any, target: Clip, *, device: str = "cpu") -> LiveSynthesizer:
        """The target, frame by frame."""
        raise PortraitError(f"method '{self.name}': can't be driven live; use 'portrait synthesize'")

    def notes(self) -> Sequence[str]:
        """What there is to say of the last `animate`, once its frames are made: where they aren't to be trusted."""
        return ()

    def export(self, weights: Any, path: str | os.PathLike) -> str:
        """Writes the network as ONNX, which `load` reads too; says in words what goes in and what comes out."""
        raise PortraitError(f"method '{self.name}': has no network that can be exported")

    def panels(
        self, weights: Any, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """What a comparison video shows before each result: pictures of that height, by title."""
        for _ in results:
            yield {}

    def describe(self, header: Mapping) -> list[tuple[str, Any]]:
        """What there is to say of weights with that header, by name."""
        return [(name, value) for name, value in header.items() if name not in UNSAID]

    # -- what follows from that -----------------------------------------------------------------------------------

    @classmethod
    def can(cls, what: str) -> bool:
        """Whether the method has "train", "adapt", "live" or "export"."""
        return getattr(cls, what) is not getattr(Method, what)

    @classmethod
    def options(cls, **values) -> TrainingBudget:
        """Its options, those given in place of the defaults. PortraitError for one that it doesn't have."""
        known = [f.name for f in fields(cls.Options)]
        for name in values:
            if name not in known:
                raise unknown_name(f"option of the method '{cls.name}'", name, known)
        return cls.Options(**values)


METHODS: Registry[type[Method]] = Registry("method", package="neural_render.methods")
"""Subclasses of `Method` by name."""


def method_of(path: str | os.PathLike) -> Method:
    """The method that a weights file, or an exported network, is of. PortraitError where it is neither."""
    return METHODS[header_of(path)["method"]]()


def header_of(path: str | os.PathLike) -> dict:
    """The header of a weights file or of an exported network. PortraitError where it is neither."""
    if Path(path).suffix.lower() == ".onnx":
        from neural_render.methods.onnx_file import onnx_header

        return onnx_header(path)
    return weights_header(path)
