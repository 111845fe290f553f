"""Live Link Face's csv, a row for each frame with a face as it comes; `facemodel.editing.curves` reads it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from facemodel.editing.curves import header_row, value_row
from foundation.atomic import partial_of
from foundation.errors import PortraitError, write_error
from portrait.services.checks import check_output
from portrait.services.streams.base import STREAMS, Performed

RATE = 60  # frames a second that timecodes count, as the app's do; a row's own time is in the fraction


class ArkitCsv:
    """Writes beside its place, ``<name>.partial``, and takes it in the end: what was recorded outlives a crash.

    Timecodes count from the source's first frame. A frame without a face has no row: readers go from one to the next.
    """

    def __init__(self, where: str) -> None:
        self.path, self.rows, self.absent = Path(where), 0, 0
        if self.path.suffix.lower() != ".csv":
            raise PortraitError(f"--csv '{where}': expected a name ending in .csv")
        check_output(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(partial_of(self.path), "w", newline="", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise write_error("--csv", where, error) from None
        self._writer = csv.writer(self._file, lineterminator="\n")

    def send(self, frame: Performed) -> None:
        if not frame.tracked:
            self.absent += 1
            return
        if self._file.closed:  # the tracker's thread may have been at a last frame
            return
        try:
            if not self.rows:
                self._writer.writerow(header_row(frame.curves))
            self._writer.writerow(value_row(frame.curves, frame.seconds, RATE))
        except OSError as error:
            raise write_error("--csv", self.path, error) from None
        self.rows += 1

    def close(self) -> None:
        try:
            self._file.close()
            if self.rows:
                os.replace(partial_of(self.path), self.path)
            else:
                partial_of(self.path).unlink(missing_ok=True)
        except OSError as error:
            raise write_error("--csv", self.path, error) from None

    def lines(self) -> list[str]:
        """How much there is of it."""
        absent = f"; {self.absent} frames without a face have none" if self.absent else ""
        return [
            f"{self.path}: {self.rows} rows{absent}" if self.rows else f"--csv: no file, no frame had a face{absent}"
        ]


STREAMS.add("csv", ArkitCsv)
