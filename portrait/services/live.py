"""``portrait live``: tracking, mixing and synthesis of each newest frame, for whoever shows or keeps them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import FrameStatus, PortraitError, Track
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from fitting import make_detector
from fitting.landmarks import DETECTORS
from fitting.tracking.online import OnlineFrame, OnlineTracker
from foundation.progress import Report, ignore
from foundation.threads import threads
from neural_render.methods.base import LiveSynthesizer, Method, method_of
from neural_render.methods.clip import Clip
from neural_render.methods.weights import WeightsHeader
from portrait.files import synthetic_note, track_facts
from portrait.services.checks import MOST, check_names, check_number, check_video_output
from portrait.services.events import Notes
from portrait.services.methods import find
from portrait.services.setup import Setup
from portrait.services.synthesis import weights_facts
from portrait.tracks import altered, check_video, is_track, load_track
from portrait.video import VideoWriter, open_frames
from portrait.video.newest_frame import NewestFrame, Source, Timed, open_source

RECORD_FPS = 25.0  # nominal; each frame keeps its own time


@dataclass(frozen=True)
class LiveOptions:
    """What drives whom."""

    source: str  # a camera's number or device file, or a video file, which plays at its own rate
    weights: Path | None = None  # what 'portrait train' or 'portrait export' wrote; None for a method without
    target_track: Path | None = None  # that they were trained on; None looks for it beside them
    target: Path | None = None  # the target's video or picture, for methods that look at it
    frames: int | None = None  # stop after so many of the source were taken
    record: Path | None = None  # a video of what is made
    detector: str = "mediapipe"
    method: str | None = None  # one that has no weights

    def check(self) -> None:
        """Raises PortraitError for what can't be."""
        check_number("frames", self.frames, 1, MOST)
        check_names("landmark detector", [self.detector], DETECTORS)
        if not self.source:
            raise PortraitError("--source: expected a camera's number or a video, got nothing")
        if (self.weights is None) == (self.method is None):
            raise PortraitError("live: expected either --weights, or a --method that needs none")
        if self.method is not None and find(self.method).training is not None:
            raise PortraitError(f"--method {self.method}: needs weights; train them with 'portrait train'")
        if self.method is not None and find(self.method).target.track and self.target_track is None:
            raise PortraitError(f"--method {self.method}: needs --target-track, which 'portrait fit' writes")
        if self.record is not None:
            check_video_output(self.record, *([] if self.weights is None else [self.weights]))


@dataclass(frozen=True)
class LiveFrame:
    """A frame of the source, and what was made of it."""

    picture: np.ndarray  # (H, W, 3) uint8, the driver's
    made: np.ndarray | None  # (h, w, 3) uint8; None without a face, or before identity is known
    seconds: float  # of the source


@dataclass
class Counts:
    """What happened to the frames."""

    source: str = ""  # its name
    taken: int = 0
    made: int = 0
    dropped: int = 0  # that came while others were worked on
    began: float = 0.0  # when the first picture was made
    ended: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Pictures a second, from the first to the last."""
        return (self.made - 1) / (self.ended - self.began) if self.made > 1 else 0.0

    def lines(self) -> list[str]:
        """What there is to say of it."""
        made = f"{self.made} made of {self.taken} taken, {self.dropped} dropped"
        return [f"{self.source}: {self.fps:.1f} frames a second, {made}"]


class LiveSession:
    """Drives the person of the weights by a camera or a video: a context manager, whose frames are iterated.

    What isn't kept up with is dropped. Iterating ends with the source, after ``options.frames``, or when who iterates
    stops; then `counts` say what happened.

    Raises:
        PortraitError: weights, track or source that can't be used.
    """

    def __init__(self, options: LiveOptions, setup: Setup = Setup(), report: Report = ignore) -> None:
        options.check()
        self.options, self.setup, self.notes = options, setup.started(), Notes(report)
        model = self.setup.face_model()
        method = find(options.method) if options.weights is None else method_of(options.weights)
        loaded = None if options.weights is None else method.load(options.weights, model)
        self.track_path: Path | None = None
        """The track that the weights were trained on, for methods with tracks."""
        target = None
        if method.driver.track or method.target.track:
            self.track_path = options.target_track or find_target_track(options.weights, loaded.header, model)
            target = load_track(self.track_path, model)
            check_target(self.track_path, target, None if loaded is None else loaded.header)
        self.stream = open_source(options.source)
        self.counts = Counts(self.stream.name)
        self._stack = contextlib.ExitStack()
        self._parts = method, loaded, target, model

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
            synthesizer = method.live(loaded, target_clip(method, target, options.target, model), device=device)
            self._tracker = mix = None
            self._queues = [stack.enter_context(NewestFrame(self.stream.frames))]
            if method.driver.track:
                finder = make_detector(options.detector, device)
                stack.callback(finder.close)
                self._tracker = OnlineTracker(model, finder, self.stream.width, self.stream.height)
                self._queues.append(stack.enter_context(NewestFrame(track_frames(self._queues[0], self._tracker))))
                mix = TargetMixer(model, target, self._tracker)
            self.driver = Driver(synthesizer, mix)
            self._recording = None
            if options.record is not None:
                note = recording_note(
                    self.stream,
                    options,
                    self.track_path,
                    target,
                    None if loaded is None else loaded.header,
                    method.name,
                )
                self._recording = stack.enter_context(Recording(options.record, synthesizer.size, note))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *trouble) -> None:
        self._stack.__exit__(*trouble)

    def __iter__(self) -> Iterator[LiveFrame]:
        counts = self.counts
        for _, seconds, what in self._queues[-1]:
            picture, found = what if self._tracker else (what, None)
            made = self.driver(picture, found)
            counts.taken += 1
            if made is not None:
                counts.made, counts.ended = counts.made + 1, time.perf_counter()
                counts.began = counts.began or counts.ended
            counts.dropped = sum(queue.dropped for queue in self._queues)
            if self._recording is not None:
                self._recording(made, seconds)
            yield LiveFrame(picture, made, seconds)
            if counts.taken == self.options.frames:
                break

    def finish(self) -> Counts:
        """What happened, with a note where nothing was made."""
        counts = self.counts
        counts.dropped = sum(queue.dropped for queue in self._queues)
        if counts.made == 0 and self._tracker:
            self.notes.add(f"nothing was made: {why_nothing(self._tracker, counts.taken)}")
        counts.notes = tuple(self.notes)
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
