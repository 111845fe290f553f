"""What the readers of other people's formats have in common: a `Format` that looks at content, and its extra files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from facemodel.formats._assemble import Parts, assemble, refused
from facemodel.formats._containers import Summary, summarize
from facemodel.formats.strangers import describe
from facemodel.linear import LinearModel
from foundation.errors import PortraitError


class Extras:
    """Files that belong to a model and lie apart from it, told apart by what is in them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [Path(p) for p in paths]
        self.used: list[Path] = []

    def take(self, fits: Callable[[Path, Summary], bool]) -> Path | None:
        """The first that fits and isn't taken yet, or None."""
        for path in self.paths:
            if path not in self.used and fits(path, summarize(path)):
                self.used.append(path)
                return path
        return None

    def all_used(self, title: str) -> None:
        """PortraitError where one is left over."""
        for path in self.paths:
            if path not in self.used:
                said = describe(path).partition(";")[0]  # what to give instead is for models
                raise PortraitError(f"extra file '{path}': {said}; a model of {title} has no use for it")


class ForeignFormat(ABC):
    """See `facemodel.registry.Format`. Subclasses say what they know by its content, and what is in it."""

    name: ClassVar[str]
    title: ClassVar[str]
    """In words, as its authors call it."""
    extras: ClassVar[str] = ""
    """What files may come with it, in words."""

    @abstractmethod
    def knows(self, path: Path, summary: Summary) -> bool:
        """Whether a file or folder is of this format."""

    @abstractmethod
    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        """What is in it, and which files were read, the extras left out. May raise whatever garbled content raises."""

    def sniff(self, path: Path) -> bool:
        """See `facemodel.registry.Format`."""
        try:
            return self.knows(Path(path), summarize(path))
        except Exception:  # noqa: BLE001 (a file that can't even be looked at isn't of this format)
            return False

    def read(self, path: Path, extras: Sequence[Path] = ()) -> LinearModel:
        """The model. ``extras``: files that lie apart from it, in any order (`extras` in words).

        Raises:
            PortraitError: it is broken, or an extra file isn't one of this format's.
        """
        path, found = Path(path), Extras(extras)
        try:
            with np.errstate(all="ignore"):  # what isn't finite is said by its name later on
                parts, files = self.parts(path, found)
        except PortraitError:
            raise
        except Exception as error:  # whatever garbled content does to the arithmetic
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise refused(path, f"it is a garbled file of {self.title} ({reason})") from None
        found.all_used(self.title)
        with np.errstate(all="ignore"):
            return assemble(parts, path, [*files, *found.used])
