"""Clips over the cores of this machine: a process each, which takes the next clip when it's done."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

from foundation.processes import leave_with_parent
from portrait.batch.work import ATTEMPTS, Clip, News, Row, Work, failed


def run_on_cores(clips: Sequence[Clip], work: Work, count: int) -> Iterator[News]:
    """Does the clips in ``count`` processes; yields what they tell, and a `Row` for every clip.

    A clip whose process dies (out of memory, say) is tried again in a new one, `ATTEMPTS` times in all.
    """
    waiting, attempts = deque(clips), Counter()
    workers = [_Worker(work) for _ in range(min(count, len(clips)))]
    try:
        for worker in workers:
            worker.take(waiting)
        while busy := {w.pipe: w for w in workers if w.clip}:
            for pipe in wait(list(busy)):
                worker, clip = busy[pipe], busy[pipe].clip
                try:
                    news = pipe.recv()
                except (EOFError, OSError):  # its process is gone, or about to go
                    worker.process.join(10)
                    code = worker.stop()
                    workers[workers.index(worker)] = worker = _Worker(work)
                    attempts[clip] += 1
                    if attempts[clip] < ATTEMPTS:
                        waiting.appendleft(clip)
                    else:
                        yield clip, failed(clip, f"its process died {ATTEMPTS} times, {_cause(code)}")
                    worker.take(waiting)
                    continue
                yield clip, news
                if isinstance(news, Row):
                    worker.take(waiting)
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process and the clip that it has."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA and OpenMP don't survive a fork
        self.pipe, theirs = context.Pipe()
        self.clip: Clip | None = None
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self._send(work)

    def take(self, waiting: deque[Clip]) -> None:
        self.clip = waiting.popleft() if waiting else None
        if self.clip:
            self._send(self.clip)

    def _send(self, what: Work | Clip) -> None:
        with contextlib.suppress(OSError):  # a process that died just now: its pipe tells the reader so
            self.pipe.send(what)

    def stop(self) -> int | None:
        """Ends the process; its exit code, negative for a signal."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def _serve(pipe: Connection) -> None:
    """What a process does until it's told to stop, or until the one that started it is gone."""
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")})
    leave_with_parent()
    with contextlib.suppress(EOFError, OSError):  # the other end is closed
        work = pipe.recv()  # imports what it needs, only now: libraries read these variables when they are loaded
        while True:
            pipe.send(work(pipe.recv(), pipe.send))


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process started in here isn't reached by Ctrl-C, which a terminal sends to the whole group."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may change that
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cause(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "at last killed from outside, perhaps for want of memory: give it a smaller clip or more memory"
    return f"at last with exit code {code}: 'portrait fit' on this clip alone shows more"
