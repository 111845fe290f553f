"""Processes that others start: they leave when those are gone. Imports nothing heavy, workers begin here."""

from __future__ import annotations

import multiprocessing
import os
import threading


def leave_with_parent() -> None:
    """From now on this process ends at once when the one that started it ends: by a kill, say, which tells nobody.

    Else it would wait for ever for more work, or the next run of the same command would meet it at the same work.
    For processes that `multiprocessing` started; nothing happens in others.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent,), daemon=True).start()


def _leave_after(parent) -> None:
    parent.join()
    os._exit(1)
