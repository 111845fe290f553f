"""Settings of a fit with some of their values changed, for ablations: ``--set trust.first=0.0`` of a benchmark."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from fitting import Settings
from foundation.errors import PortraitError


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--set``, any number of times."""
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of fitting.Settings")


def settings_of(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Settings:
    """The usual settings with what ``--set`` changes."""
    try:
        return changed(Settings(), options.set)
    except PortraitError as error:
        parser.error(str(error))


def changed(settings: Any, changes: Iterable[str]) -> Any:
    """A frozen dataclass with other values: ``name=value``, or ``part.name=value`` of a dataclass in it.

    Raises PortraitError for a name that isn't there, or a value that Python can't read.
    """
    for change in changes:
        name, _, text = change.partition("=")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise PortraitError(f"--set: expected NAME=VALUE as Python writes it, got '{change}'") from None
        settings = _with(settings, name.split("."), value, change)
    return settings


def _with(part: Any, names: list[str], value: Any, change: str) -> Any:
    known = [f.name for f in fields(part)] if is_dataclass(part) else []
    if names[0] not in known:
        there = ", ".join(known) or "nothing below that"
        raise PortraitError(f"--set: no '{names[0]}' in '{change}'; there is {there}")
    below = names[1:]
    return replace(part, **{names[0]: _with(getattr(part, names[0]), below, value, change) if below else value})
