"""Keeps what libraries' compiled parts print out of the terminal; Python's own stderr stays as it is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """MediaPipe and TensorFlow Lite write notes to file descriptor 2, past any Python setting.

    Within the block that descriptor leads nowhere, while ``sys.stderr`` writes to where it did before. With the
    environment variable ``PORTRAIT_NATIVE_LOG`` set nothing is hidden.
    """
    if os.environ.get("PORTRAIT_NATIVE_LOG") or not _is_descriptor_two(sys.stderr):
        yield
        return
    sys.stderr.flush()
    before, saved = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        os.dup2(saved, 2)
        os.close(saved)


def _is_descriptor_two(stream) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False
