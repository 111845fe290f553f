"""``portrait methods``: what methods of reenactment there are, what they need, and how well they did in the bench."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import neural_render.methods
from foundation.progress import Report, ignore
from neural_render.methods.base import METHODS, Method, Needs

COLUMNS = ("method", "paper", "learns", "target", "driver", "expression", "identity", "bench")
FIGURES = Path(neural_render.methods.__file__).with_name("figures.json")
"""What ``python -m benchmarks.methods --write`` measured."""


@dataclass(frozen=True)
class Entry:
    """A method, for people."""

    name: str
    title: str
    learns: str  # "a person", "many people", "nothing"
    trained_on: str
    target: str
    driver: str
    expression: str
    identity: str
    figures: Mapping | None = None  # of the bench: "over_still" and others

    def cells(self) -> tuple[str, ...]:
        """A row under `COLUMNS`."""
        learns = f"{self.learns}: {self.trained_on}" if self.trained_on else self.learns
        cells = (self.name, self.title, learns, self.target, self.driver, self.expression, self.identity)
        if self.figures is None:
            return (*cells, "")
        over, across = self.figures["over_still"], self.figures["across"]
        return (*cells, f"{over['same']:.2f}, {over['across']:.2f}; {across['psnr']:.1f} dB")


@dataclass(frozen=True)
class Catalogue:
    """All methods."""

    entries: tuple[Entry, ...]
    settings: Mapping | None  # of the bench that figures are of

    @property
    def note(self) -> str:
        """What figures are of; "" where there are none."""
        if self.settings is None:
            return ""
        s = self.settings
        return (
            f"Bench: landmark error over the still picture's, of one person and across persons; PSNR across persons. "
            f"{s['people']} unseen people, {s['size']} px; docs/methods.md has how long each learnt."
        )


def catalogue(*, report: Report = ignore) -> Catalogue:
    """All methods there are, by name."""
    found = figures()
    measured = found.get("methods", {})
    return Catalogue(tuple(entry(METHODS[name], measured.get(name)) for name in METHODS), found.get("settings"))


def figures() -> dict:
    """The bench's file; {} where there is none."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}


def entry(method: type[Method], measured: Mapping | None = None) -> Entry:
    """What a method says of itself."""
    training = method.training
    learns = "nothing" if training is None else "many people" if training.several else "a person"
    return Entry(
        method.name, method.title, learns, "" if training is None else needs(training), needs(method.target),
        needs(method.driver, "pictures or a track"), method.expression, method.identity, measured,
    )  # fmt: skip


def needs(what: Needs, otherwise: str = "nothing") -> str:
    """In words: "pictures, landmarks"; ``otherwise`` where nothing is a must."""
    things = [] if not what.pictures else ["pictures"]
    things += [name.replace("_", " ") for name in ("track", "landmarks", "action_units") if getattr(what, name)]
    frames = f", {what.frames} frames or more" if what.frames > 1 else ""
    return (", ".join(things) or otherwise) + frames
