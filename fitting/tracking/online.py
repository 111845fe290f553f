"""Tracking of frames as they come, from a camera: nothing of what follows is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus
from fitting.landmarks.base import Face, LandmarkDetector
from fitting.observation.crop import FaceCrop, Observation, cut_out, observe
from fitting.occlusion.regions import Visibility, without_hidden
from fitting.policy.settings import Settings
from fitting.solver.state import FitState
from fitting.tracking.follow import FaceFollower, FollowPolicy
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame

LOOK_AROUND = 30
"""Frames between two looks at the whole picture, more than for a clip: each takes as long as half a frame."""


@dataclass(frozen=True)
class OnlineFrame:
    """What a frame gave: parameters without leading dimensions, on the CPU; None while there are none."""

    status: FrameStatus
    parameters: FaceParameters | None


@dataclass(frozen=True)
class Look:
    """What is seen in a frame, before anything is fitted to it."""

    status: FrameStatus
    shot: int  # frames of one number show one face without a gap
    crop: FaceCrop | None = None  # of a frame with a face, while they are collected
    seen: Observation | None = None  # of one, afterwards


class OnlineTracker:
    """Collects faces for a while, solves once for identity over them, then fits frame after frame.

    A call is `look`, then `fit`, then `look_around`. They may be on two threads, so that a frame is looked at while the
    one before is fitted: the first and the last on one, `fit` on the other. Looks that aren't fitted do no harm.

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
        # What `look` remembers.
        self._follower = FaceFollower(detector, waits=True, policy=FollowPolicy(look_around=LOOK_AROUND))
        self._shot = 0
        self._visibility: Visibility | None = None  # of the frame before in this shot
        self._unlooked = 0  # frames since hidden parts were looked for
        self._last: tuple[np.ndarray, Face, Observation | None] | None = None
        # What `fit` remembers.
        self._collected: list[tuple[float, FaceCrop]] = []
        self._shared: FitState | None = None
        self._previous: FitState | None = None
        self._previous_shot, self._time = 0, 0.0

    def __call__(self, picture: np.ndarray, time: float) -> OnlineFrame:
        """The next frame, (H, W, 3) uint8 RGB, seen at ``time`` seconds; times rise."""
        found = self.fit(self.look(picture), time)
        self.look_around()
        return found

    def look(self, picture: np.ndarray) -> Look:
        """The next frame's face and landmarks; see `__call__`."""
        with torch.inference_mode():
            face, status = self._follower(picture)
            if face is None or status & FrameStatus.CUT:
                self._shot, self._visibility = self._shot + 1, None
            self._last = None
            if face is None:
                return Look(status, self._shot)
            settings, seen = self.fitter.settings, None
            if self._shared is None:
                crop = cut_out(picture, face, max(settings.joint_levels))
                self._last = picture, face, None
                return Look(status, self._shot, crop=crop)
            seen = observe(picture, face, settings.levels, self.device, settings.eyes)
            self._last = picture, face, seen
            return Look(status, self._shot, seen=self._without_hidden(seen))

    def look_around(self) -> None:
        """Looks at the last frame for what only the next ones need: other faces, hidden parts; one of them a frame.

        To be called after each `look`, once that is on its way.
        """
        if self._last is None:
            return
        picture, face, seen = self._last
        policy = self.fitter.settings.hidden_parts
        with torch.inference_mode():
            if self._follower.due:
                self._follower.look_again(picture, face)
            elif seen is not None and self._unlooked >= policy.every:
                _, self._visibility = without_hidden(seen, self.fitter.regions, policy, self._visibility)
                self._unlooked = 0

    def fit(self, look: Look, time: float) -> OnlineFrame:
        """Parameters of a frame that was looked at, seen at ``time`` seconds; times rise."""
        with torch.inference_mode():
            if self._shared is None:
                if look.crop is not None:
                    self._solve_identity(look.crop, time)
                return OnlineFrame(look.status, None)  # where identity was solved just now, the frame is old by now
            seen = look.seen
            if seen is None and look.crop is not None:  # looked at just before identity was known
                seen = look.crop.observe(self.fitter.settings.levels, self.device)
            if seen is None:
                return OnlineFrame(look.status, None)
            before = self._previous if look.shot == self._previous_shot else None
            start = self.fitter.start(seen, self._shared) if before is None else before
            elapsed = max(time - self._time, 1e-3)
            self._previous = self.fitter.solve(seen, before, start, elapsed).state
            self._previous_shot, self._time = look.shot, time
            return OnlineFrame(look.status, self._clip(self._previous)[0])

    def _without_hidden(self, seen: Observation) -> Observation:
        """Looks for hidden parts at a shot's first frame, and as long as one is hidden; else `look_around` does."""
        policy, before = self.fitter.settings.hidden_parts, self._visibility
        self._unlooked += 1
        if before and min(before.values()) >= policy.limit:
            return seen
        seen, self._visibility = without_hidden(seen, self.fitter.regions, policy, before)
        self._unlooked = 0
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
        self.fitter.adapt(float(result.trusted), clip=True)
        self._shared = result.state
        self.first = self._clip(self._shared)
        self._collected = []

    def _clip(self, state: FitState) -> FaceParameters:
        """A state's parameters as (F, ...), copied to the CPU."""
        return self.fitter.parameters(state).expanded().map(lambda t: t.cpu().clone())
