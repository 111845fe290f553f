"""Corpora of many people's clips, as commands name them: a folder, and how much of it is wanted beside others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from facemodel import PortraitError
from fitting import make_detector
from fitting.landmarks.base import LandmarkDetector
from foundation.progress import Report, ignore
from neural_render.corpora import Tools, read_corpus
from neural_render.methods.clip import Clip, Landmarks
from neural_render.methods.finding import detected, fitted
from portrait.services.setup import Setup
from portrait.video import open_frames


def parse_corpus(text: str) -> tuple[Path, float]:
    """``PATH`` or ``PATH:WEIGHT``; a path that has a colon of its own is taken as it is where it's there.

    PortraitError for a weight that is no number.
    """
    path, colon, weight = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), 1.0
    try:
        return Path(path), float(weight)
    except ValueError:
        raise PortraitError(f"--corpus '{text}': expected PATH or PATH:WEIGHT, such as clips/:0.5") from None


def corpus_tools(setup: Setup, detector: str = "mediapipe", report: Report = ignore) -> Tools:
    """What readers need: this project's readers of files, its fit, and one detector for all of a corpus."""

    @cache
    def made() -> LandmarkDetector:  # when the first clip asks: it takes a second, and memory that isn't given back
        return make_detector(detector, setup.device)

    def find(clip: Clip) -> Landmarks:
        return detected(made(), setup.device, report, needed=False)(clip)

    return Tools(open_frames, setup.face_model(), find, fitted(device=setup.device, detector=detector))


def corpus_clips(
    corpora: Sequence[str], *, split: str = "train", setup: Setup = Setup(), detector: str = "mediapipe",
    report: Report = ignore,
) -> list[Clip]:  # fmt: skip
    """The clips of corpora. PortraitError for one that can't be read, or that is given twice."""
    given = [parse_corpus(text) for text in corpora]
    paths = [path.resolve() for path, _ in given]
    for path in paths:
        if paths.count(path) > 1:
            raise PortraitError(f"--corpus '{path}': is given twice; give it once, with a weight")
    tools = corpus_tools(setup, detector, report)
    return [clip for path, weight in given for clip in read_corpus(path, tools, split=split, weight=weight)]
