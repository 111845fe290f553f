"""How long a frame takes until its packets are sent: ``python -m benchmarks.stream [CLIP]``.

The clip at 640 x 480, there and back again, plays as a camera into the session of ``portrait live``, with receivers on
loopback that decode nothing. ``latency_ms`` is from a frame's arrival to its last packet (median, frames with a face),
waiting included; ``latency_95_ms`` the 95th percentile. How busy the machine is counts in these, so that the same
frames are also tracked and sent one after the other: ``latency_cpu_ms`` is CPU time a frame of the whole process until
its packets are sent, ``latency_thread_ms`` of the thread that works on it; ``latency_load`` is the load a core.

What was sent then is held against a fit of the same frames as a clip, with all key frames and nothing left for later:
``curves_off`` is the mean absolute difference of ARKit's 52 curves (0 to 1), ``curves_follow`` the correlation of those
that move (standard deviation above `MOVES`), median.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

import facemodel
from facemodel.arkit import ARKIT_NAMES
from facemodel.base import FaceModel
from facemodel.editing.curves import curve_columns
from fitting import fit_video, make_detector
from fitting.tracking.online import OnlineTracker
from foundation.threads import threads
from portrait.services.calibrating import Calibrator
from portrait.services.live import LiveOptions, LiveSession
from portrait.services.outlet import Outlet
from portrait.services.setup import Setup
from portrait.video import VideoReader
from portrait.video.newest_frame import Source, Timed
from portrait.video.sample import carphone

SIZE = 640, 480  # px
SECONDS = 10.0  # that are played once identity is known
MOST = 60.0  # seconds in all: on a busy machine it takes long until then
WARM_UP = 10  # frames that aren't counted in CPU time
MOST_FRAMES = 250  # that are tracked one after the other
MOVES = 0.03


def scaled(path: Path) -> tuple[list[np.ndarray], float]:
    """A clip's frames at `SIZE`, (480, 640, 3) uint8 each, and its frames a second."""
    reader = VideoReader(path)
    return [cv2.resize(picture, SIZE, interpolation=cv2.INTER_CUBIC) for _, _, picture in reader], reader.fps


def camera(frames: list[np.ndarray], fps: float, known: Callable[[], bool]) -> Iterator[Timed]:
    """The frames at their own rate, there and back so that nothing jumps, for `SECONDS` after identity is known."""
    began, until = time.monotonic(), MOST
    for k, picture in enumerate(cycle([*frames, *frames[-2:0:-1]])):
        seconds = k / fps
        if until == MOST and known():
            until = min(MOST, seconds + SECONDS)
        if seconds > until:
            return
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        yield k, seconds, picture


def receivers(stack: ExitStack) -> list[tuple[str, str]]:
    """Sockets that take packets and leave them, for both protocols."""
    wanted = []
    for name in ("live-link", "vmc"):
        found = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        found.bind(("127.0.0.1", 0))
        wanted.append((name, f"127.0.0.1:{found.getsockname()[1]}"))
    return wanted


def played(clip: Path, frames: list[np.ndarray], fps: float) -> dict[str, float | int]:
    """The session's latencies, with the clip as a camera."""
    with ExitStack() as stack:
        session = LiveSession(LiveOptions(str(clip), streams=receivers(stack)), Setup(device="cpu"))
        latencies = session.outlet.latencies
        session.stream = Source("camera", {}, *SIZE, camera(frames, fps, lambda: bool(latencies.seconds)))
        with session:
            for _ in session:
                pass
        counts = session.finish()
    if not latencies.seconds:
        return {"latency_frames": 0}
    return {
        "latency_ms": round(latencies.percentile(50), 1),
        "latency_95_ms": round(latencies.percentile(95), 1),
        "latency_frames": len(latencies.seconds),
        "latency_fps": round(counts.fps, 1),
    }


@dataclass(frozen=True)
class Scaled:
    """A clip's frames, as `fit_video` reads them."""

    frames: list[np.ndarray]
    fps: float
    width, height = SIZE

    @property
    def frame_count(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Timed]:
        return ((k, k / self.fps, picture) for k, picture in enumerate(self.frames))


def one_by_one(clip: Scaled) -> dict[str, float]:
    """Milliseconds a frame of the whole process and of the one thread, and what was sent against a fit of the clip."""
    model, whole, own, sent = facemodel.load(), [], [], {}
    with ExitStack() as stack:
        stack.enter_context(threads(1))
        tracker = OnlineTracker(model, stack.enter_context(closing(make_detector("mediapipe", "cpu"))), *SIZE)
        outlet = stack.enter_context(Outlet(receivers(stack), model, Calibrator()))
        for k, seconds, picture in clip:
            begun = time.process_time(), time.thread_time()
            found = tracker.fit(tracker.look(picture), seconds)
            outlet(k, seconds, time.perf_counter(), found, tracker)
            if found.parameters is not None:
                whole.append(1000 * (time.process_time() - begun[0]))
                own.append(1000 * (time.thread_time() - begun[1]))
                sent[k] = outlet.last
            tracker.look_around()
    middle = lambda found: round(float(np.median(found[WARM_UP:])), 1)  # noqa: E731
    return {"latency_cpu_ms": middle(whole), "latency_thread_ms": middle(own)} | against(sent, clip, model)


def against(sent: dict[int, dict[str, float]], clip: Scaled, model: FaceModel) -> dict[str, float]:
    """See this module; ``sent``: a frame's curves by its number."""
    fitted = curve_columns(fit_video(clip, model=model), model)
    frames = list(sent)
    live = np.array([[sent[k][name] for name in ARKIT_NAMES] for k in frames])
    offline = np.stack([fitted[name][frames] for name in ARKIT_NAMES], 1)
    moving = np.minimum(live.std(0), offline.std(0)) > MOVES
    follow = [np.corrcoef(a, b)[0, 1] for a, b in zip(live.T[moving], offline.T[moving])]
    return {
        "curves_off": round(float(np.abs(live - offline).mean()), 4),
        "curves_follow": round(float(np.median(follow)), 3) if follow else float("nan"),
    }


def stream_figures(path: Path | None = None) -> dict[str, float | int]:
    """All of it, of a clip or of the demo's."""
    path = path or carphone()
    frames, fps = scaled(path)
    figures = played(path, frames, fps) | one_by_one(Scaled(frames[:MOST_FRAMES], fps))
    return figures | {"latency_load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?", help="default: the demo's")
    print(json.dumps(stream_figures(parser.parse_args().clip)))


if __name__ == "__main__":
    main()
