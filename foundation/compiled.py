"""Functions compiled by Numba. Imported only where they are used, since Numba takes a while to import."""

from __future__ import annotations

import numba


def jit(function):
    """Compiles for any thread; on disk where there is a folder to write to, else anew in each process."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "no locator available"
        return numba.njit(**options)(function)
