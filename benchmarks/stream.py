"""How long a frame takes until its packets are sent: ``python -m benchmarks.stream [CLIP]``.

The clip at 640 x 480, there and back again, plays as a camera into the session of ``portrait live``, with receivers on
loopback that decode nothing. ``latency_ms`` is from a frame's arrival to its last packet (median, frames with a face),
waiting included; ``latency_95_ms`` the 95th percentile. How busy the machine is counts in these, so that the same
frames are also tracked and sent one after the other: ``latency_cpu_ms`` is CPU time a frame of the whole process,
``latency_thread_ms`` of the tracker's thread; ``latency_load`` is the load a core.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

import facemodel
from fitting import make_detector
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


def cpu_time(frames: list[np.ndarray], fps: float) -> dict[str, float]:
    """Milliseconds a frame of the whole process and of the tracker's thread, without waiting for anything."""
    model, whole, own = facemodel.load(), [], []
    with ExitStack() as stack:
        stack.enter_context(threads(1))
        tracker = OnlineTracker(model, stack.enter_context(closing(make_detector("mediapipe", "cpu"))), *SIZE)
        outlet = stack.enter_context(Outlet(receivers(stack), model, Calibrator()))
        for k, picture in enumerate(frames):
            begun = time.process_time(), time.thread_time()
            found = tracker(picture, k / fps)
            outlet(k, k / fps, time.perf_counter(), found, tracker)
            if found.parameters is not None:
                whole.append(1000 * (time.process_time() - begun[0]))
                own.append(1000 * (time.thread_time() - begun[1]))
    middle = lambda found: round(float(np.median(found[WARM_UP:])), 1)  # noqa: E731
    return {"latency_cpu_ms": middle(whole), "latency_thread_ms": middle(own)}


def stream_figures(clip: Path | None = None) -> dict[str, float | int]:
    """All of it, of a clip or of the demo's."""
    clip = clip or carphone()
    frames, fps = scaled(clip)
    figures = played(clip, frames, fps)
    return figures | cpu_time(frames, fps) | {"latency_load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?", help="default: the demo's")
    print(json.dumps(stream_figures(parser.parse_args().clip)))


if __name__ == "__main__":
    main()
