"""Tracking of frames as they come, from a camera: nothing of what follows is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus
from fitting.landmarks.base import LandmarkDetector
from fitting.observation.crop import FaceCrop, Observation, cut_out, observe
from fitting.occlusion.regions import without_hidden
from fitting.policy.settings import Settings
from fitting.solver.state import FitState
from fitting.tracking.follow import FaceFollower
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame


@dataclass(frozen=True)
class OnlineFrame:
    """What a frame gave: parameters without leading dimensions, on the CPU; None while there are none."""

    status: FrameStatus
    parameters: FaceParameters | None


class OnlineTracker:
    """Collects faces for a while, solves once for identity over them, then fits frame after frame.

    Args:
        width, height: px of the frames.
        collect: seconds after the first face over which faces are collected; then one call takes as long as the
            solution for identity does.
        faces: that identity is solved over; the solution takes as long as they are many, and the frames wait for it.
        focal: px, where it is known.
    """

    def __init__(
        self,
        model: FaceModel,
        detector: LandmarkDetector,
        width: int,
        height: int,
        *,
        collect: float = 1.5,
        faces: int = 4,
        focal: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        guess = focal_from_frame(width, height, settings.start)
        self.fitter = Fitter(model, detector.scheme, guess, focal, settings)
        self.device = model.mean.device
        self.collect, self.faces = collect, faces
        self.first: FaceParameters | None = None
        """(F, ...) the frames that identity was solved over, once it is."""
        self.collected: float | None = None
        """Seconds from the first face to the last one collected; None before the first."""
        self._follower = FaceFollower(detector)
        self._collected: list[tuple[float, FaceCrop]] = []
        self._shared: FitState | None = None
        self._previous: FitState | None = None
        self._time = 0.0
        self._count, self._visibility = 0, None

    def __call__(self, picture: np.ndarray, time: float) -> OnlineFrame:
        """The next frame, (H, W, 3) uint8 RGB, seen at ``time`` seconds; times rise."""
        with torch.inference_mode():
            face, status = self._follower(picture)
            if face is None:
                self._previous = None
                return OnlineFrame(status, None)
            settings = self.fitter.settings
            if self._shared is None:
                self._solve_identity(cut_out(picture, face, max(settings.joint_levels)), time)
                return OnlineFrame(status, None)  # where identity was solved just now, the frame is old by now
            seen = observe(picture, face, settings.levels, self.device, settings.eyes)
            if status & FrameStatus.CUT:
                self._previous = None
            seen = self._without_hidden(seen)
            start = self._previous if self._previous is not None else self.fitter.start(seen, self._shared)
            elapsed = max(time - self._time, 1e-3)
            self._previous = self.fitter.track(seen, self._previous, start, elapsed).state
            self._time = time
            return OnlineFrame(status, _clip(self._previous)[0])

    def _without_hidden(self, seen: Observation) -> Observation:
        policy, before = self.fitter.settings.hidden_parts, self._visibility if self._previous is not None else None
        self._count += 1
        if before and min(before.values()) == 1 and self._count % policy.every:
            return seen
        seen, self._visibility = without_hidden(seen, self.fitter.regions, policy, before)
        return seen

    def _solve_identity(self, crop: FaceCrop, time: float) -> None:
        """Collects a face; once there are enough, solves for identity over evenly spread ones."""
        self._collected.append((time, crop))
        if len(self._collected) > 4 * self.faces:  # thinned out, so that memory is bounded
            self._collected = self._collected[::2]
        self.collected = time - self._collected[0][0]
        if self.collected < self.collect:
            return
        chosen = np.linspace(0, len(self._collected) - 1, min(self.faces, len(self._collected))).round().astype(int)
        crops = [self._collected[k][1].observe(self.fitter.settings.joint_levels, self.device) for k in chosen]
        result = solve_shared(self.fitter, Observation.concatenate(crops))
        self.fitter.adapt(float(result.trusted))
        self._shared = result.state
        self.first = _clip(self._shared)
        self._collected = []


def _clip(state: FitState) -> FaceParameters:
    """A state's parameters as (F, ...), copied to the CPU."""
    return state.parameters().expanded().map(lambda t: t.cpu().clone())
