"""What a training leaves to look at: curves, as a table and for TensorBoard, and sheets of samples."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from foundation.atomic import write_file


class Log:
    """Curves in ``folder``/log.csv and ``folder``/tensorboard, sheets in ``folder``/samples; nothing for None.

    step: where the training goes on; what a stopped run had logged after it is dropped from the curves.
    """

    def __init__(self, folder: Path | None, step: int) -> None:
        self.folder, self.rows, self._writer = folder, [], None
        if folder is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        if step and self.table.is_file():
            self.rows = _rows(self.table, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_) -> None:
        self.write()
        if self._writer is not None:
            self._writer.close()

    @property
    def table(self) -> Path:
        return self.folder / "log.csv"

    def values(self, step: int, values: dict[str, float]) -> None:
        """Points of curves."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            if not self.rows or int(self.rows[-1]["step"]) != step:
                self.rows.append({"step": step})
            self.rows[-1] |= values

    def event(self, step: int, text: str) -> None:
        """A line of text."""
        if self._writer is not None:
            self._writer.add_text("events", text, step)

    def write(self) -> None:
        """Writes the table; points of curves go to TensorBoard by themselves."""
        if self.folder is not None and self.rows:
            text = io.StringIO()
            table = csv.DictWriter(text, dict.fromkeys(k for row in self.rows for k in row), lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)
            write_file(self.table, text.getvalue(), "log")

    def sheet(self, step: int, picture: np.ndarray | None) -> None:
        """A sheet of samples (H, W, 3) uint8, as a PNG."""
        if self.folder is not None and picture is not None:
            import cv2

            encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
            write_file(self.folder / "samples" / f"{step:07d}.png", encoded, "samples")


def _rows(table: Path, step: int) -> list[dict]:
    """The rows of a table up to a step; none of one that somebody has spoilt: a log isn't worth a training."""
    try:
        with open(table, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [row for row in rows if None not in row and int(row["step"]) <= step]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
