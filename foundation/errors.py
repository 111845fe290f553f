"""The one exception that means "your input, not our bug"."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class PortraitError(ValueError):
    """An input from outside that can't be used.

    The message is one line: which argument, what was expected, what came, what to do next.
    The command line prints it and exits with code 2, without a traceback.
    """

    def __init__(self, message: str) -> None:
        """A break of lines in it, as a quoted cell of a file may have one, becomes a space."""
        super().__init__(" ".join(message.splitlines()))


def unknown_name(what: str, name: str, known: Iterable[str]) -> PortraitError:
    """The error for a name that isn't in a table, with the nearest one that is."""
    known = list(known)
    lowered = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.4)
    hint = f"did you mean '{lowered[near[0]]}'?" if near else f"known: {', '.join(known[:12])}"
    return PortraitError(f"unknown {what} '{name}': {hint}")


def write_error(what: str, path: object, error: Exception) -> PortraitError:
    """The one-line error for a failed write; a full disk has its own (some libraries say it only in words)."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
        return PortraitError(f"{what} '{path}': the disk is full; free some space and run the same command again")
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return PortraitError(f"{what} '{path}': can't be written ({reason}); choose another place")
