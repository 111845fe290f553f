"""Where a face model came from, and what was done to it on the way: what `portrait model info` says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Of a model that was read from somebody else's file."""

    format: str  # in words: "FLAME", "Basel Face Model 2009"
    files: tuple[str, ...]  # their names
    sha256: str  # of all of them
    unit: str  # what was done to lengths: "metres, times 1000"
    notes: tuple[str, ...] = ()  # what else was changed, dropped, or isn't known, a sentence each
    carried: tuple[str, ...] = ()  # capabilities, regions, landmark schemes of the default model's
    own_vertices: int | None = None  # how many of the vertices are its own: the first; None is all
    own_expressions: int | None = None  # the same of its expressions
    own_identities: int | None = None  # the same of its identity's coefficients
