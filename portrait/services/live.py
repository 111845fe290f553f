"""``portrait live``: tracking, mixing and synthesis of each newest frame, for whoever shows, keeps or receives them.

Each stage is on a thread of its own and takes the newest frame: the source, the search for the face, the fit with what
it sends (`portrait.services.outlet`), the driven target (`portrait.services.driving`), if there is one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import PortraitError, Track
from fitting import make_detector
from fitting.landmarks import DETECTORS
from fitting.tracking.online import OnlineTracker
from foundation.progress import Report, ignore
from foundation.threads import threads
from neural_render.methods.base import method_of
from neural_render.methods.weights import WeightsHeader
from portrait.files import synthetic_note, track_facts
from portrait.services.calibrating import SAVED, Calibrator, open_calibration
from portrait.services.checks import MOST, check_names, check_number, check_video_output
from portrait.services.driving import Driver, TargetMixer, check_target, find_target_track, target_clip
from portrait.services.events import Notes
from portrait.services.methods import find
from portrait.services.outlet import Outlet, Wanted
from portrait.services.setup import Setup
from portrait.services.synthesis import weights_facts
from portrait.tracks import load_track
from portrait.video import VideoWriter
from portrait.video.newest_frame import NewestFrame, Source, Timed, open_source

RECORD_FPS = 25.0  # nominal; each frame keeps its own time


@dataclass(frozen=True)
class LiveOptions:
    """What drives whom, and what is sent where."""

    source: str  # a camera's number or device file, or a video file, which plays at its own rate
    weights: Path | None = None  # what 'portrait train' or 'portrait export' wrote; None for a method without
    target_track: Path | None = None  # that they were trained on; None looks for it beside them
    target: Path | None = None  # the target's video or picture, for methods that look at it
    frames: int | None = None  # stop after so many of the source were taken
    record: Path | None = None  # a video of what is made
    detector: str = "mediapipe"
    method: str | None = None  # one that has no weights
    streams: Wanted = ()  # (name, where) of `portrait.services.streams`
    calibrate: Path | None = None  # a saved calibration, where one is saved, or a clip to measure it in

    @property
    def drives(self) -> bool:
        """Whether somebody is shown; without, what is tracked is sent alone."""
        return self.weights is not None or self.method is not None

    def check(self) -> None:
        """Raises PortraitError for what can't be."""
        check_number("frames", self.frames, 1, MOST)
        check_names("landmark detector", [self.detector], DETECTORS)
        if not self.source:
            raise PortraitError("--source: expected a camera's number or a video, got nothing")
        if self.weights is not None and self.method is not None:
            raise PortraitError("live: expected either --weights, or a --method that needs none, got both")
        if self.calibrate is not None and not self.streams:
            raise PortraitError("--calibrate: changes what is sent; add --live-link, --vmc or --csv")
        if not self.drives:
            self._check_alone()
        if self.method is not None and find(self.method).training is not None:
            raise PortraitError(f"--method {self.method}: needs weights; train them with 'portrait train'")
        if self.method is not None and find(self.method).target.track and self.target_track is None:
            raise PortraitError(f"--method {self.method}: needs --target-track, which 'portrait fit' writes")
        if self.record is not None:
            check_video_output(self.record, *([] if self.weights is None else [self.weights]))

    def _check_alone(self) -> None:
        if not self.streams:
            raise PortraitError(
                "live: expected --weights, a --method that needs none, or where to send what is tracked: "
                "--live-link, --vmc or --csv"
            )
        if self.record is not None or self.target is not None or self.target_track is not None:
            raise PortraitError("live: --record, --target and --target-track need --weights or --method")


@dataclass(frozen=True)
class LiveFrame:
    """A frame of the source, and what was made of it."""

    picture: np.ndarray  # (H, W, 3) uint8, the driver's
    made: np.ndarray | None  # (h, w, 3) uint8; None without a face, or before identity is known
    seconds: float  # of the source
    tracked: bool = True  # whether a face was found and fitted, where faces are


@dataclass
class Counts:
    """What happened to the frames."""

    source: str = ""  # its name
    taken: int = 0
    made: int = 0  # pictures; where nobody is driven, frames that were tracked
    dropped: int = 0  # that came while others were worked on
    began: float = 0.0  # when the first picture was made
    ended: float = 0.0
    verb: str = "made"
    sent: tuple[str, ...] = ()  # what went to streams, in words
    notes: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Of those made a second, from the first to the last."""
        return (self.made - 1) / (self.ended - self.began) if self.made > 1 else 0.0

    def lines(self) -> list[str]:
        """What there is to say of it."""
        made = f"{self.made} {self.verb} of {self.taken} taken, {self.dropped} dropped"
        return [f"{self.source}: {self.fps:.1f} frames a second, {made}", *self.sent]


class LiveSession:
    """Drives a person by a camera or a video, or sends what it tracks: a context manager, whose frames are iterated.

    What isn't kept up with is dropped. Iterating ends with the source, after ``options.frames``, or when who iterates
    stops; then `counts` say what happened.

    Raises:
        PortraitError: weights, track or source that can't be used.
    """

    def __init__(self, options: LiveOptions, setup: Setup = Setup(), report: Report = ignore) -> None:
        options.check()
        self.options, self.setup, self.notes = options, setup.started(), Notes(report)
        model = self.setup.face_model()
        method = loaded = target = None
        self.track_path: Path | None = None
        """The track that the weights were trained on, for methods with tracks."""
        if options.drives:
            method = find(options.method) if options.weights is None else method_of(options.weights)
            loaded = None if options.weights is None else method.load(options.weights, model)
        if method is not None and (method.driver.track or method.target.track):
            self.track_path = options.target_track or find_target_track(options.weights, loaded.header, model)
            target = load_track(self.track_path, model)
            check_target(self.track_path, target, None if loaded is None else loaded.header)
        self.stream = open_source(options.source)
        self.counts = Counts(self.stream.name, verb="made" if options.drives else "tracked")
        self.calibrator = Calibrator(tell=self.notes.add)
        self._stack, self._tracker, self.outlet = contextlib.ExitStack(), None, None
        self._parts = method, loaded, target, model
        if options.streams:
            self.outlet = Outlet(options.streams, model, self.calibrator)

    @property
    def collect(self) -> float | None:
        """Seconds with a face over which the driver's identity is solved first; None where the method needs none."""
        return self._tracker.collect if self._tracker else None

    def __enter__(self) -> LiveSession:
        method, loaded, target, model = self._parts
        options, device = self.options, self.setup.device
        with contextlib.ExitStack() as stack:
            # A frame's work is too little for a second thread: tracker and network have one each.
            stack.enter_context(threads(1))
            if self.outlet is not None:
                stack.enter_context(self.outlet)
                if options.calibrate is not None and saved_calibration(options.calibrate) is None:
                    self.notes.add(f"calibrating by '{options.calibrate}', frame by frame")
                self.calibrator.calibration = open_calibration(options.calibrate, model, options.detector, device)
                self.calibrator.path = saved_calibration(options.calibrate)
            synthesizer = mix = None
            if method is not None:
                synthesizer = method.live(loaded, target_clip(method, target, options.target, model), device=device)
            if self.outlet is not None or method.driver.track:
                finder = make_detector(options.detector, device)
                stack.callback(finder.close)
                self._tracker = OnlineTracker(model, finder, self.stream.width, self.stream.height)
            self._queues = [stack.enter_context(NewestFrame(stamped(self.stream.frames)))]  # from here on frames come
            if self._tracker is not None:
                looked_at = look_at(self._queues[0], self._tracker)
                self._queues.append(stack.enter_context(NewestFrame(looked_at)))
                tracked = track_frames(self._queues[1], self._tracker, self.outlet)
                self._queues.append(stack.enter_context(NewestFrame(tracked)))
                mix = TargetMixer(model, target, self._tracker) if method is not None and method.driver.track else None
            self.driver = None if method is None else Driver(synthesizer, mix)
            self._recording = None
            if options.record is not None:
                header = None if loaded is None else loaded.header
                note = recording_note(self.stream, options, self.track_path, target, header, method.name)
                self._recording = stack.enter_context(Recording(options.record, synthesizer.size, note))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *trouble) -> None:
        self._stack.__exit__(*trouble)

    def __iter__(self) -> Iterator[LiveFrame]:
        counts = self.counts
        for _, seconds, what in self._queues[-1]:
            picture, found = what if self._tracker else (what[0], None)
            made = None if self.driver is None else self.driver(picture, found)
            tracked = found is None or found.parameters is not None
            counts.taken += 1
            if made is not None or (self.driver is None and tracked):
                counts.made, counts.ended = counts.made + 1, time.perf_counter()
                counts.began = counts.began or counts.ended
            counts.dropped = sum(queue.dropped for queue in self._queues)
            if self._recording is not None:
                self._recording(made, seconds)
            yield LiveFrame(picture, made, seconds, tracked)
            if counts.taken == self.options.frames:
                break

    def finish(self) -> Counts:
        """What happened, with a note where nothing was made."""
        counts = self.counts
        counts.dropped = sum(queue.dropped for queue in self._queues)
        if counts.made == 0 and self._tracker:
            self.notes.add(f"nothing was {counts.verb}: {why_nothing(self._tracker, counts.taken)}")
        counts.sent = tuple(self.outlet.lines()) if self.outlet is not None else ()
        counts.notes = tuple(self.notes)
        return counts


def why_nothing(tracker: OnlineTracker, taken: int) -> str:
    """Why a source gave no picture, or none with a face."""
    if tracker.collected is None:
        return f"no face was found in the {taken} frames taken"
    return (
        f"{tracker.collect:g} s from the first face on go into identity, then pictures follow; there were "
        f"{tracker.collected:.1f} s; give a longer source, or more --frames"
    )


def stamped(frames: Iterable[Timed]) -> Iterator[Timed]:
    """Each frame together with when it came: (frame, seconds of `time.perf_counter`)."""
    for index, seconds, frame in frames:
        yield index, seconds, (frame, time.perf_counter())


def look_at(frames: Iterable[Timed], tracker: OnlineTracker) -> Iterator[Timed]:
    """Each of `stamped` frames together with what is seen in it: (frame, when it came, Look)."""
    for index, seconds, (frame, arrived) in frames:
        yield index, seconds, (frame, arrived, tracker.look(frame))
        tracker.look_around()


def track_frames(frames: Iterable[Timed], tracker: OnlineTracker, outlet: Outlet | None = None) -> Iterator[Timed]:
    """Each frame of `look_at` together with what the tracker says of it, which is sent: (frame, OnlineFrame)."""
    for index, seconds, (frame, arrived, look) in frames:
        found = tracker.fit(look, seconds)
        if outlet is not None:
            outlet(index, seconds, arrived, found, tracker)
        yield index, seconds, (frame, found)


def saved_calibration(path: Path | None) -> Path | None:
    """Where a calibration is saved; a clip isn't a place for it."""
    return path if path is not None and path.suffix.lower() == SAVED else None


class Recording(VideoWriter):
    """Writes what is made, each frame at its own time, labelled as synthetic."""

    def __init__(self, path: Path, size: tuple[int, int], note: dict) -> None:
        super().__init__(path, *size, RECORD_FPS, metadata=note)
        self._first: float | None = None

    def __call__(self, made: np.ndarray | None, seconds: float) -> None:
        if made is not None:
            self._first = seconds if self._first is None else self._first
            self.write(made, seconds - self._first)

    def __exit__(self, kind, value, trace) -> None:
        if kind is None and self.frame_count == 0:
            self.abort()  # told in the counts; an empty video isn't left behind
        super().__exit__(kind, value, trace)


def recording_note(
    stream: Source, options: LiveOptions, path: Path | None, target: Track | None, header: WeightsHeader | None,
    method: str,
) -> dict:  # fmt: skip
    """What a recording says of itself."""
    made = {"method": method} if header is None else {"weights": weights_facts(options.weights, header)}
    facts = {"source": stream.facts} | made
    if target is not None:
        facts["target"] = track_facts(path, target)
    return synthetic_note("live", **facts)
