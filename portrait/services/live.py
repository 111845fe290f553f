"""``portrait live``: tracking, mixing and synthesis of each newest frame."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel import FrameStatus, PortraitError, Track
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from fitting import make_detector
from fitting.tracking.online import OnlineFrame, OnlineTracker
from neural_render import Weights
from neural_render.methods.deep_video_portraits.live import LiveSynthesizer
from portrait.files import synthetic_note, track_facts
from portrait.progress import say
from portrait.quiet import quiet_native_stderr
from portrait.reports.comparison import fit_height, labelled
from portrait.services.synthesis import load_weights, weights_facts
from portrait.tracks import altered, default_model, is_track, load_track, pick_device
from portrait.video import VideoWriter
from portrait.video.newest_frame import NewestFrame, Source, Timed, open_source
from portrait.video.writer import check_writable

TITLE = "portrait live: q ends"
PREVIEW = 384  # px, height of the preview
RECORD_FPS = 25.0  # nominal; each frame keeps its own time


@dataclass
class Counts:
    """What happened to the frames."""

    taken: int = 0
    made: int = 0
    began: float = 0.0  # when the first picture was made
    ended: float = 0.0

    @property
    def fps(self) -> float:
        """Pictures a second, from the first to the last."""
        return (self.made - 1) / (self.ended - self.began) if self.made > 1 else 0.0


@contextlib.contextmanager
def one_thread_each():
    """The tracker's and the network's work on a frame is too little for a second thread; they have one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread_each()
def live(
    source: str,
    weights: Path,
    *,
    target_track: Path | None = None,
    frames: int | None = None,
    window: bool = True,
    record: Path | None = None,
    detector: str = "mediapipe",
    device: str = "auto",
) -> Counts:
    """Drives the person of the weights by a camera or a video, until it ends, ``q`` is pressed or Ctrl-C.

    target_track: the track that the weights were trained on; None looks for it beside them.
    frames: stop after so many frames of the source were taken. record: a video of what was made.
    """
    device = pick_device(device)
    if window:
        check_display()
    if record is not None:
        check_writable(record, weights)
    model = default_model(device)
    loaded = load_weights(weights, model)
    path = target_track or find_target_track(weights, loaded, model)
    if target_track is None:
        say(f"{path}: taken as the track that the weights were trained on")
    target = load_track(path, model)
    check_target(path, target, loaded)
    stream = open_source(source)
    counts = Counts()
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_native_stderr())
        synthesizer = LiveSynthesizer(loaded, target, model=model, device=device)
        tracker = OnlineTracker(model, make_detector(detector, device), stream.width, stream.height)
        loop = _Loop(model, target, tracker, synthesizer)
        newest = stack.enter_context(NewestFrame(stream.frames))
        tracked = stack.enter_context(NewestFrame(track_frames(newest, tracker)))
        outputs = [stack.enter_context(_Window())] if window else []
        if record is not None:
            outputs.append(stack.enter_context(_Recording(record, stream, weights, path, target, loaded)))
        say(f"{stream.name}: look into the camera; identity is solved over the first {tracker.collect:g} s with a face")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it without a window
            loop.run(tracked, counts, outputs, frames)
    if counts.made == 0:
        say(f"  note: nothing was made: {why_nothing(tracker, counts.taken)}")
    say(
        f"{stream.name}: {counts.fps:.1f} frames a second, {counts.made} made of {counts.taken} taken, "
        f"{newest.dropped + tracked.dropped} dropped"
    )
    return counts


def why_nothing(tracker: OnlineTracker, taken: int) -> str:
    """Why a source gave no picture."""
    if tracker.collected is None:
        return f"no face was found in the {taken} frames taken"
    return (
        f"{tracker.collect:g} s from the first face on go into identity, then pictures follow; there were "
        f"{tracker.collected:.1f} s; give a longer source, or more --frames"
    )


def track_frames(frames: Iterable[Timed], tracker: OnlineTracker) -> Iterator[Timed]:
    """Each frame together with what the tracker says of it: (frame, OnlineFrame)."""
    for index, seconds, frame in frames:
        yield index, seconds, (frame, tracker(frame, seconds))


class _Loop:
    """Mixer and network, while the tracker is at the next frame on a thread of its own."""

    def __init__(self, model, target: Track, tracker: OnlineTracker, synthesizer: LiveSynthesizer) -> None:
        self.tracker, self.synthesizer, self.model = tracker, synthesizer, model
        self.face, self.reference, self.mixer = steady_face(target), Reference.of_track(target, model), None

    def picture(self, found: OnlineFrame) -> np.ndarray | None:
        """(size, size, 3) uint8 of a tracked frame of the source; None without parameters."""
        if found.status & FrameStatus.CUT:
            self.synthesizer.restart()
        if found.parameters is None:
            return None
        if self.mixer is None:
            first = Reference.of_frames(self.tracker.first, self.model)
            self.mixer = OnlineMixer(first, self.reference, self.face, self.model)
        return self.synthesizer(self.mixer(found.parameters))

    def run(self, tracked: NewestFrame, counts: Counts, outputs: list, frames: int | None) -> None:
        for _, seconds, (frame, found) in tracked:
            made = self.picture(found)
            counts.taken += 1
            if made is not None:
                counts.made, counts.ended = counts.made + 1, time.perf_counter()
                counts.began = counts.began or counts.ended
            if any([output(frame, made, seconds) for output in outputs]) or counts.taken == frames:
                return


class _Window:
    """Shows the driver beside the result; True once ``q`` or Escape was pressed."""

    def __enter__(self) -> _Window:
        return self

    def __call__(self, frame: np.ndarray, made: np.ndarray | None, _seconds: float) -> bool:
        import cv2

        result = np.zeros((PREVIEW, PREVIEW, 3), np.uint8) if made is None else fit_height(made, PREVIEW)
        panels = [labelled(fit_height(frame, PREVIEW), "driver"), labelled(result, "synthetic")]
        cv2.imshow(TITLE, np.ascontiguousarray(np.hstack(panels)[..., ::-1]))
        return cv2.waitKey(1) & 0xFF in (ord("q"), 27)

    def __exit__(self, *_) -> None:
        import cv2

        cv2.destroyAllWindows()


class _Recording(VideoWriter):
    """Writes what is made, each frame at its own time, labelled as synthetic."""

    def __init__(self, path: Path, stream: Source, weights: Path, track: Path, target: Track, loaded: Weights) -> None:
        note = synthetic_note(
            "live",
            source=stream.facts,
            target=track_facts(track, target),
            weights=weights_facts(weights, loaded),
        )
        super().__init__(path, loaded.header.size, loaded.header.size, RECORD_FPS, metadata=note)
        self._first: float | None = None

    def __call__(self, _frame: np.ndarray, made: np.ndarray | None, seconds: float) -> bool:
        if made is not None:
            self._first = seconds if self._first is None else self._first
            self.write(made, seconds - self._first)
        return False

    def __exit__(self, kind, value, trace) -> None:
        if kind is None and self.frame_count == 0:
            self.abort()  # said below; an empty video isn't left behind
        super().__exit__(kind, value, trace)


def find_target_track(weights: Path, loaded: Weights, model) -> Path:
    """The track beside the weights that was fitted to the clip they were trained on; the first by name of several."""
    known = loaded.header.target.get("source")
    for path in sorted(weights.absolute().parent.iterdir()):
        with contextlib.suppress(PortraitError):  # one that can't be used isn't the one that is looked for
            if known and is_track(path):
                check_target(path, load_track(path, model), loaded)
                return path
    raise PortraitError(
        f"weights '{weights}': the track that they were trained on isn't beside them; give it with --target-track"
    )


def check_target(path: Path, track: Track, loaded: Weights) -> None:
    """Raises PortraitError where a track can't be that of the weights' clip."""
    h = loaded.header
    if (how := altered(track)) is not None:
        raise PortraitError(f"--target-track '{path}': was {how}; give the target's own, which 'portrait fit' wrote")
    wanted = h.target.get("source") or {}
    if (track.width, track.height) != (h.frame_width, h.frame_height) or (track.facts.get("source") or {}) != wanted:
        raise PortraitError(
            f"--target-track '{path}': of another clip than the weights ({h.frame_width} x {h.frame_height}, "
            f"{wanted.get('file', 'unknown')}); give the track they were trained on"
        )


def check_display() -> None:
    """Raises PortraitError where no window can be opened: the toolkit itself would end the process."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise PortraitError("live: there is no display to open a window on; use --no-window, with --record FILE")
