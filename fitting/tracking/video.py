"""From a clip or a picture to a `Track`: landmarks, key frames, then frame after frame."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Event as Flag
from threading import Thread

import numpy as np
import torch

import facemodel
from facemodel.base import FaceModel
from facemodel.track import FrameStatus, Track
from fitting.energy.pairs import eye_openness
from fitting.landmarks.base import Face, LandmarkDetector
from fitting.landmarks.registry import make_detector
from fitting.observation.crop import Observation, observe
from fitting.occlusion.regions import Visibility, jumped, without_hidden
from fitting.policy.settings import Settings
from fitting.solver.state import FitState
from fitting.tracking.assembly import VISIBILITY, as_track
from fitting.tracking.checkpoint import Checkpoint, FitProgress, Rows, Shared
from fitting.tracking.confidence import confidence, face_brightness
from fitting.tracking.follow import FaceFollower, FollowerState, FollowPolicy
from fitting.tracking.frame import Fitter
from fitting.tracking.keyframes import choose, survey
from fitting.tracking.people import Candidate, Memory, people, pick, pictures
from fitting.tracking.plan import ClipPlan, SharedSpread
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from fitting.tracking.stills import Stills
from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from geometry.rotation import axis_angle

SOLVER = 11  # counts up where a checkpoint of before can't be gone on from


@dataclass(frozen=True)
class Pace:
    """How a fit goes on; what comes of it doesn't depend on that."""

    ahead: int = 8  # frames that decoding and landmarks run ahead of the solver
    save_every: float = 10.0  # seconds between two checkpoints


@dataclass
class _Frame:
    index: int
    time: float
    status: FrameStatus
    face: Face | None
    seen: Observation | None
    follower: FollowerState


def fit_images(pictures: Sequence[np.ndarray], **options) -> Track:
    """Fits several pictures of one person together: one identity, reflectance and focal length, poses of their own.

    ``pictures``: see `Stills`; the options are `fit_video`'s. A track with a frame a picture.
    """
    return fit_video(Stills(pictures), **options)


def fit_image(picture: np.ndarray, **options) -> Track:
    """Fits one (H, W, 3) uint8 RGB picture; the options are `fit_video`'s. A track of one frame.

    Raises PortraitError where no face is found.
    """
    return fit_images([picture], **options)


def fit_video(
    frames,
    *,
    model: FaceModel | None = None,
    detector: str | LandmarkDetector = "mediapipe",
    device: str = "cpu",
    focal: float | None = None,
    settings: Settings | None = None,
    report: Report = ignore,
    checkpoint: str | Path | None = None,
    person: int | np.ndarray | None = None,
    pace: Pace = Pace(),
) -> Track:
    """Fits every frame of a clip.

    Args:
        frames: re-iterable of (index, seconds, (H, W, 3) uint8 RGB), with ``width``, ``height``, ``frame_count``
            (None where unknown). It's read twice: once quickly for key frames, once to track. Where it has
            ``ordered = False``, nothing moves from one frame to the next and there are no cuts (`Stills`). A
            ``source``, a dictionary that names the file, becomes a fact of the track (`portrait`'s readers have it).
        model: None loads the default one. It's used where ``device`` says, a copy of it if it lies elsewhere.
        detector: "mediapipe", "face-alignment", or a detector of your own, which stays open.
        focal: px of the original frame; None has it solved for.
        checkpoint: a folder in which the work done so far is kept, so that a stopped run goes on where it was. It
            stays there when the fit is done: remove it once the track is saved, since a full disk or a kill in between
            would lose the fit otherwise.
        person: who is followed where several people are seen: a number from 1, who is shown most; or a picture of them,
            (H, W, 3) uint8 RGB; None is the first.

    Returns:
        A Track, on the CPU, with one row for every frame of the clip. Frames without a face have status NO_FACE,
        confidence 0 and interpolated parameters.

    Raises:
        PortraitError: no face in any frame, no frames at all, or bad arguments.
    """
    started = time.perf_counter()
    if focal is not None and not 0 < focal < float("inf"):
        raise PortraitError(f"focal: expected a length in pixels above 0, got {focal}")
    if isinstance(detector, str):
        with contextlib.closing(make_detector(detector, device)) as finder:
            return fit_video(
                frames, model=model, detector=finder, device=device, focal=focal, settings=settings,
                report=report, checkpoint=checkpoint, person=person, pace=pace,
            )  # fmt: skip
    settings = settings or Settings()
    model = facemodel.load(device=device) if model is None else model.on(device)
    guess = focal_from_frame(frames.width, frames.height, settings.start)
    fitter = Fitter(model, detector.scheme, guess, focal, settings)
    ordered, timings = getattr(frames, "ordered", True), {"solver": 0.0}
    signature = {
        "model": model.fingerprint,
        "detector": detector.name,
        "focal": focal,
        "settings": asdict(settings),
        "frames": [frames.width, frames.height, getattr(frames, "signature", None)],
        "ordered": ordered,
        "person": hashlib.sha256(person.tobytes()).hexdigest() if isinstance(person, np.ndarray) else person,
    }
    store = Checkpoint(checkpoint, SOLVER, signature) if checkpoint is not None else None
    progress = store.load(device) if store else FitProgress(Rows())
    with torch.inference_mode(), _one_thread():
        if progress.shared is None:
            progress = _solve_shared(frames, fitter, detector, device, report, timings, person)
            if store:  # of a long clip that is the longest wait without anything to show
                store.save(progress)
        shared = progress.shared
        plan = shared.plan
        few = len(plan.key_frames) <= settings.joint.few
        fitter.adapt(plan.trust, plan.lights, few, plan.parallax, clip=ordered and not few)
        begun = time.perf_counter()
        follower = FaceFollower(detector, progress.follower, ordered, progress.memory, shared.plan.people == 1)
        ahead = _look_ahead(frames, follower, len(progress.rows), settings, device, timings, pace)
        with contextlib.closing(ahead):
            rows, previous, saved = progress.rows, progress.previous, time.perf_counter()
            last_time = rows.times[-1] if rows.times else 0.0
            for item in ahead:
                solving = time.perf_counter()
                previous = _solve_frame(rows, item, fitter, shared, previous if ordered else None, last_time)
                last_time = item.time
                progress = replace(progress, follower=item.follower, previous=previous)
                timings["solver"] += time.perf_counter() - solving
                report(Event("tracking", len(rows), shared.plan.frames))
                if store and time.perf_counter() - saved > pace.save_every:
                    store.save(progress)
                    saved = time.perf_counter()
        if store:
            store.save(progress)
        timings["tracking"] = time.perf_counter() - begun
    timings["total"] = time.perf_counter() - started
    return as_track(rows, shared, fitter, frames, detector.scheme, timings)


def fit_people(frames, *, checkpoint: str | Path | None = None, **options) -> list[Track]:
    """A track of each person of a clip, who is shown most first; see `fit_video`, whose options these are."""
    tracks: list[Track] = []
    while not tracks or len(tracks) < tracks[0].facts.get("people", {"of": 1})["of"]:
        number = len(tracks) + 1
        work = None if checkpoint is None else Path(checkpoint) / f"person_{number}"
        tracks.append(fit_video(frames, checkpoint=work, person=number, **options))
    return tracks


def _solve_frame(
    rows: Rows, item: _Frame, fitter: Fitter, shared: Shared, previous: FitState | None, last_time: float
) -> FitState | None:
    """Fits one frame and adds its row; returns the state to go on from, None where there is no face."""
    if item.face is None:
        rows.append_empty(item.time, int(item.status))
        return None
    if item.status & FrameStatus.CUT:
        previous = None
    keys = shared.plan.key_frames
    seen, visibility = _seen_parts(rows, item, fitter, previous is not None)
    solved = previous is None and item.index in keys
    if previous is not None:
        start = previous
    elif solved:
        start = shared.state.frame(keys.index(item.index))
    else:
        start = fitter.start(seen, shared.state)
    result = fitter.track(seen, previous, start, item.time - last_time, near=solved)
    result.energies.update(brightness=face_brightness(item.seen), detector=item.face.confidence)
    result.energies.update({VISIBILITY + name: value for name, value in visibility.items()})
    policy = fitter.settings.confidence
    rows.append(item, result, confidence(result.energies, policy), policy.doubtful)
    return result.state


def _seen_parts(rows: Rows, item: _Frame, fitter: Fitter, goes_on: bool) -> tuple[Observation, Visibility]:
    """`without_hidden` of a frame; of one that goes on from one in which all was seen, only now and then.

    The network takes a fifth of a frame's time. What comes before a face makes the detector's landmarks jump.
    """
    policy = fitter.settings.hidden_parts
    before = {r.name: rows.energies[-1][VISIBILITY + r.name] for r in fitter.regions} if goes_on else None
    look = not before or min(before.values()) < 1 or item.index % policy.every == 0
    if look or jumped(item.seen.landmarks[0], torch.from_numpy(rows.points[-1]), fitter.regions, policy):
        return without_hidden(item.seen, fitter.regions, policy, before)
    return item.seen, before


@contextlib.contextmanager
def _one_thread():
    """Else sums are taken in another order, and a fit beside others isn't bit for bit the one that ran alone.

    The solver's products are too small to gain by a second thread: on a busy machine two wait for each other, and the
    landmarks' thread needs the other core.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _solve_shared(
    frames,
    fitter: Fitter,
    detector: LandmarkDetector,
    device: str,
    report: Report,
    timings: dict[str, float],
    person: int | np.ndarray | None,
) -> FitProgress:
    begun, settings = time.perf_counter(), fitter.settings
    count, ordered = getattr(frames, "frame_count", None), getattr(frames, "ordered", True)
    size = max(settings.joint_levels or (64,))
    found = survey(frames, detector, size, count, ordered, settings.looked_at, report)
    if not found.frames:
        raise PortraitError("video: expected at least one frame, found none; check the file with another player")
    if not found.candidates:
        raise PortraitError(
            f"video: no face found in any of {found.looked_at} frames looked at, {found.searched} of them searched for "
            f"faces from {_least(detector, frames):.0f} pixels on; a face must be visible and nearly upright"
        )
    seen_people = people(found.candidates, found.stride, ordered)
    place, faces = pick(seen_people, person, detector)
    timings["survey"] = time.perf_counter() - begun
    begun = time.perf_counter()
    chosen = _key_frames(faces, fitter, device)
    seen = Observation.concatenate([c.crop.observe(settings.joint_levels, device) for c in chosen])
    result = solve_shared(fitter, seen, report, ordered)
    timings["identity"] = time.perf_counter() - begun
    # Over a clip, what the network takes for a shadow comes and goes: one light for all skin is steadier.
    lights = 2 if result.trusted or len(chosen) <= settings.joint.few else 1
    plan = ClipPlan(
        frames=found.frames,
        key_frames=tuple(c.index for c in chosen),
        trust=float(result.trusted),
        masked=result.masked,
        lights=lights if result.masked else 0,
        parallax=result.parallax,
        unexplained=result.unexplained,
        people=len(seen_people),
        followed=place + 1,
    )
    std, focal = result.spread, float(result.state.log_focal.exp())
    # A change of the logarithm is a relative change.
    spread = SharedSpread(std["identity"].tolist(), std["reflectance"].tolist(), float(std["log_focal"][0]) * focal)
    # A small face isn't found again by looking at the whole picture.
    first, small = faces[0].face, FollowPolicy().small * max(frames.width, frames.height)
    follower = FollowerState(tuple(first.centre.tolist()), first.size) if first.size < small else FollowerState()
    return FitProgress(Rows(), Shared(result.state, spread, plan), follower, None, Memory(pictures(chosen)))


def _least(finder, frames) -> float:
    """Size in px of the smallest faces that were searched for."""
    size = frames.width, frames.height
    return finder.least(*size) if hasattr(finder, "least") else max(size) / 20


def _key_frames(faces: list[Candidate], fitter: Fitter, device: str) -> list[Candidate]:
    seen = Observation.concatenate([c.crop.observe((), device) for c in faces])
    start = fitter.start(seen)
    turn = axis_angle(start.rotation)
    a, b = fitter.marks.on_lips.unbind(1)
    mouth = (seen.landmarks[:, a] - seen.landmarks[:, b]).norm(dim=-1).mean(-1) / seen.face_size
    eyes = eye_openness(seen.landmarks, fitter.marks).mean(-1)
    features = torch.stack([turn[:, 1] / 0.2, turn[:, 0] / 0.2, mouth / 0.1, eyes / 0.3], -1)
    return choose(faces, features.cpu().numpy(), fitter.settings.key_frames)


def _look_ahead(
    frames,
    follower: FaceFollower,
    skip: int,
    settings: Settings,
    device: str,
    timings: dict[str, float],
    pace: Pace,
) -> Iterator[_Frame]:
    """Decodes, follows the face and builds the pyramid on a thread of its own, a few frames ahead of who asks.

    Adds to ``timings`` the seconds that each of them takes. The first ``skip`` frames are left out.
    """
    queue: Queue = Queue(pace.ahead)
    stop = Flag()

    def work() -> None:
        begun = time.perf_counter()

        def spent(stage: str) -> None:
            nonlocal begun
            now = time.perf_counter()
            timings[stage], begun = timings.get(stage, 0.0) + now - begun, now

        try:
            for index, seconds, picture in frames:
                spent("decoding")
                if stop.is_set():
                    return
                if index < skip:
                    continue
                face, status = follower(picture)
                spent("landmarks")
                seen = None if face is None else observe(picture, face, settings.levels, device, settings.eyes)
                spent("pyramid")
                queue.put(_Frame(index, float(seconds), status, face, seen, replace(follower.state)))
                begun = time.perf_counter()  # there may have been no room
            queue.put(None)
        except BaseException as error:  # handed to the thread that waits
            queue.put(error)

    worker = Thread(target=work, daemon=True)
    worker.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        while worker.is_alive():  # it may wait for room in the queue
            with contextlib.suppress(Empty):
                queue.get_nowait()
            worker.join(0.01)
