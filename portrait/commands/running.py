"""How a command runs its service: quiet libraries, progress on the terminal, the result's lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from portrait.commands.progress import Progress, tell
from portrait.quiet import quiet_native_stderr

T = TypeVar("T")


def run(service: Callable[..., T], *arguments, listener=None, **options) -> T:
    """Calls a service with a listener, and prints what it made.

    listener: a context manager that is a `foundation.progress.Report`; None is `Progress`.
    """
    with quiet_native_stderr(), listener or Progress() as report:
        result = service(*arguments, report=report, **options)
    if is_main_process():
        tell(result)
    return result


def is_main_process() -> bool:
    """Whether this process speaks: the first of those that torchrun started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0
