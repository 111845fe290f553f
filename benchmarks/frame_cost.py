"""What a frame costs the solver with another model, over what it costs with the default one: `benchmarks.tracking`.

Both models fit the same frames, by turns, so that whatever else the machine does weighs on both alike; what is
counted is the thread's own time. Decoding, landmarks and the pyramid, which know of no model, are left out, as is the
solution for identity, which is one a clip.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facemodel.base import FaceModel
from fitting.landmarks.registry import make_detector
from fitting.observation.crop import Observation, cut_out, observe
from fitting.policy.settings import Settings
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from foundation.errors import PortraitError

WARM_UP = 3  # frames that aren't counted: code is compiled, tables are gathered
KEY_FRAMES = 4


@dataclass(frozen=True)
class Seen:
    """Frames as the solver sees them, and those that identity is solved over."""

    frames: tuple[Observation, ...]
    keys: Observation
    scheme: str
    size: tuple[int, int]  # px, width and height
    seconds: float  # from one frame to the next


def look(frames: Iterable, size: tuple[int, int], seconds: float, settings: Settings) -> Seen:
    """``frames``: (index, seconds, (H, W, 3) uint8 RGB). Those without a face are left out."""
    seen, crops = [], []
    with contextlib.closing(make_detector("mediapipe", "cpu")) as detector, torch.inference_mode():
        for _, _, picture in frames:
            if faces := detector.detect(picture):
                seen.append(observe(picture, faces[0], settings.levels, "cpu", settings.eyes))
                crops.append(cut_out(picture, faces[0], max(settings.joint_levels)))
        if len(seen) <= WARM_UP:
            raise PortraitError(f"video: a face in {len(seen)} frames alone; expected more than {WARM_UP}")
        chosen = np.linspace(0, len(crops) - 1, min(KEY_FRAMES, len(crops))).round().astype(int)
        keys = Observation.concatenate([crops[k].observe(settings.joint_levels) for k in chosen])
    return Seen(tuple(seen), keys, detector.scheme, size, seconds)


class Run:
    """A model that follows the frames, and the time of each."""

    def __init__(self, model: FaceModel, seen: Seen, settings: Settings) -> None:
        self.seen, self.state, self.milliseconds = seen, None, []
        self.fitter = Fitter(model, seen.scheme, focal_from_frame(*seen.size), None, settings)
        result = solve_shared(self.fitter, seen.keys)
        self.fitter.adapt(float(result.trusted))
        self.shared = result.state

    def step(self, frame: Observation) -> None:
        start = self.state or self.fitter.start(frame, self.shared)
        begun = time.thread_time()
        self.state = self.fitter.track(frame, self.state, start, self.seen.seconds).state
        self.milliseconds.append(1000 * (time.thread_time() - begun))

    @property
    def cost(self) -> float:
        """Median, ms."""
        return float(np.median(self.milliseconds[WARM_UP:]))


def frame_costs(models: Sequence[FaceModel], seen: Seen, settings: Settings | None = None) -> list[float]:
    """Thread time a frame, ms, with each of the models."""
    settings = settings or Settings()
    torch.set_num_threads(1)  # as the tracker has it
    with torch.inference_mode():
        runs = [Run(model, seen, settings) for model in models]
        for frame in seen.frames:
            for run in runs:
                run.step(frame)
    return [run.cost for run in runs]
