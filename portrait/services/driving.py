"""Who is driven live: the target's clip or track beside the weights, and what puts a performance on it.

`portrait.services.live` opens a target by it, and gives each tracked frame to a `Driver`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import FrameStatus, PortraitError, Track
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from fitting.tracking.online import OnlineFrame, OnlineTracker
from neural_render.methods.base import LiveSynthesizer, Method
from neural_render.methods.clip import Clip
from neural_render.methods.weights import WeightsHeader
from portrait.tracks import altered, check_video, is_track, load_track
from portrait.video import open_frames


def target_clip(method: Method, track: Track | None, pictures: Path | None, model) -> Clip:
    """Who is shown. Raises PortraitError where the method needs pictures and none are given."""
    frames = None if pictures is None else open_frames(pictures)
    if frames is None and method.target.pictures and method.training is None:
        raise PortraitError(f"live: the method '{method.name}' looks at the target's pictures; add --target VIDEO")
    if track is not None:
        if frames is not None:
            frames = check_video(pictures, track)
        return Clip.of_track(track, frames, model)
    if frames is None:
        raise PortraitError(f"live: the method '{method.name}' looks at the target's pictures; add --target VIDEO")
    return Clip(frames, frames.width, frames.height, frames.fps, pictures.stem, frames.source, model)


class TargetMixer:
    """Puts a tracked driver's performance on the target, counted from the frames that identity was solved over."""

    def __init__(self, model, target: Track, tracker: OnlineTracker) -> None:
        self.tracker, self.model = tracker, model
        self.face, self.reference, self._mixer = steady_face(target), Reference.of_track(target, model), None

    def __call__(self, parameters):
        """The target's parameters of the driver's, neither with leading dimensions."""
        if self._mixer is None:
            first = Reference.of_frames(self.tracker.first, self.model)
            self._mixer = OnlineMixer(first, self.reference, self.face, self.model)
        return self._mixer(parameters)


@dataclass
class Driver:
    """Mixer and network, while the tracker is at the next frame on a thread of its own."""

    synthesizer: LiveSynthesizer
    mix: TargetMixer | None = None  # None for methods that look at pictures alone

    def __call__(self, picture: np.ndarray, found: OnlineFrame | None) -> np.ndarray | None:
        """(h, w, 3) uint8 of a frame of the source; None where a track is needed and there are no parameters."""
        if self.mix is None:
            return self.synthesizer(None, picture)
        if found.status & FrameStatus.CUT:
            self.synthesizer.restart()
        if found.parameters is None:
            return None
        return self.synthesizer(self.mix(found.parameters), picture)


def find_target_track(weights: Path, header: WeightsHeader, model) -> Path:
    """The track beside the weights that was fitted to the clip they were trained on; the first by name of several."""
    for path in sorted(weights.absolute().parent.iterdir()):
        with contextlib.suppress(PortraitError):  # one that can't be used isn't the one that is looked for
            if header.sources and is_track(path):
                check_target(path, load_track(path, model), header)
                return path
    raise PortraitError(
        f"weights '{weights}': the track that they were trained on isn't beside them; give it with --target-track"
    )


def check_target(path: Path, track: Track, header: WeightsHeader | None) -> None:
    """Raises PortraitError where a track can't be that of the weights' clip; None: without weights any clip's own."""
    if (how := altered(track)) is not None:
        raise PortraitError(f"--target-track '{path}': was {how}; give the target's own, which 'portrait fit' wrote")
    if header is None:
        return
    wanted = dict(header.sources[0]) if len(header.sources) == 1 else {}
    size = getattr(header, "frame_width", track.width), getattr(header, "frame_height", track.height)
    if (track.width, track.height) != size or (track.facts.get("source") or {}) != wanted:
        raise PortraitError(
            f"--target-track '{path}': of another clip than the weights ({size[0]} x {size[1]}, "
            f"{wanted.get('file', 'unknown')}); give the track they were trained on"
        )
