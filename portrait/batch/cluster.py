"""Clips over the machines of a Ray cluster: a task each, with the same work as in a process here."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from facemodel import PortraitError
from foundation.progress import Event
from portrait.batch.work import ATTEMPTS, Clip, News, Row, Work, failed

LOOK_EVERY = 0.5  # seconds between two looks at what the tasks tell
STORE = 80 << 20  # bytes of shared memory for Ray's objects, of which there are only small ones


def run_on_ray(
    clips: Sequence[Clip], work: Work, output: Path, address: str, *, count: int, gpus: int = 0
) -> Iterator[News]:
    """Does the clips in Ray tasks; yields what they tell, and a `Row` for every clip.

    address: of a cluster as ``ray.init`` takes it, or "local", which starts Ray here with ``count`` workers. A task
    takes a core and ``gpus`` GPUs. One whose worker dies is tried again, `ATTEMPTS` times in all.
    output: absolute; the folder that every machine must see.

    Raises PortraitError where Ray isn't installed or can't be reached.
    """
    ray = _connect(address, count)
    try:
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        task = ray.remote(_work_there).options(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1)
        pending = {task.remote(clip, work, output, board): clip for clip in clips}
        while pending:
            done, _ = ray.wait(list(pending), timeout=LOOK_EVERY)
            running = set(pending.values())
            for clip, news in ray.get(board.take.remote()).items():
                if clip in running:
                    yield clip, news
            for task_done in done:
                clip = pending.pop(task_done)
                try:
                    row = ray.get(task_done)
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines() or [type(error).__name__]
                    row = failed(clip, f"Ray could not do it: {reason[-1]}")
                yield clip, row
    finally:
        ray.shutdown()


class Board:
    """An actor on which tasks write how far they are, for the one who shows it."""

    def __init__(self) -> None:
        self._news: dict[Clip, Event] = {}

    def put(self, clip: Clip, news: Event) -> None:
        self._news[clip] = news

    def take(self) -> dict[Clip, Event]:
        news, self._news = self._news, {}
        return news


def _work_there(clip: Clip, work: Work, output: Path, board) -> Row:
    if not output.is_dir():
        return failed(clip, f"machine {socket.gethostname()} doesn't see '{output}': use storage that all machines see")
    return work(clip, lambda news: board.put.remote(clip, news))


def _connect(address: str, count: int):
    """The module ``ray``, connected."""
    if address not in ("local", "auto"):
        _check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports its use over the network
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise PortraitError("--ray: the package 'ray' isn't installed; run: pip install 'ray>=2.40'") from None
    start = {"num_cpus": count, "object_store_memory": STORE, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **start)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise PortraitError(
            f"--ray '{address}': can't be reached ({reason}); see 'ray status' there; "
            "a cluster that is guarded by a token needs RAY_AUTH_MODE=token here too"
        ) from None
    return ray


def _check_address(address: str) -> None:
    """Raises PortraitError at once where nothing listens: Ray itself keeps trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise PortraitError(f"--ray: expected local, auto, HOST:PORT or ray://HOST:PORT, got '{address}'")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PortraitError(f"--ray '{address}': can't be reached ({reason}); start it there: 'ray start'") from None
