"""Tables of things that have a name: face models, formats, detectors, rasterisers, methods, exporters.

Adding one is one file that calls `Registry.add`, in the registry's package if it has one, or an entry point of an
installed package, in the group ``video_portraits.<kind>``: it's found without any file of this project being touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Generic, TypeVar

from foundation.errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Values by name, in the order in which they were added; a value may be imported when it's asked for."""

    def __init__(self, kind: str, package: str | None = None) -> None:
        """``kind``: what the values are, in words, for errors: "landmark detector".

        package: whose files and folders are imported when names are looked for, each of which may add values.
        """
        self.kind, self.package = kind, package
        self._values: dict[str, T | str] = {}
        self._looked = False

    def add(self, name: str, value: T | str) -> T | str:
        """Adds a value, or where it is: "package.module:attribute". A name that's there already is replaced."""
        self._values[name] = value
        return value

    def remove(self, name: str) -> None:
        """Takes a name out again; nothing happens where it isn't there."""
        self._values.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """All names, those of installed packages last."""
        self._look_around()
        return tuple(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> T:
        """PortraitError with the nearest name where there is none such."""
        if name not in self._values:
            self._look_around()
        if name not in self._values:
            raise unknown_name(self.kind, name, self._values)
        value = self._values[name]
        if isinstance(value, str):
            module, _, attribute = value.partition(":")
            value = self._values[name] = getattr(import_module(module), attribute)
        return value

    def _look_around(self) -> None:
        """What the package's files and installed packages offer; it takes a while: only when it's needed, and once."""
        if self._looked:
            return
        self._looked = True
        if self.package is not None:
            given = dict(self._values)  # what a caller put in a name's place stays there
            for found in iter_modules(import_module(self.package).__path__):
                import_module(f"{self.package}.{found.name}")
            self._values.update(given)
        for point in entry_points(group=f"video_portraits.{self.kind.replace(' ', '_')}"):
            self._values.setdefault(point.name, point.value)
