"""What a training leaves to look at: TensorBoard's curves and sheets of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EVERY = 10
"""Steps between two points of a curve."""


class Log:
    """Curves in ``folder``/tensorboard and sheets in ``folder``/samples; nothing where ``folder`` is None.

    step: where the training goes on; what a stopped run had logged after it is dropped from the curves.
    """

    def __init__(self, folder: Path | None, step: int) -> None:
        self.folder, self._writer = folder, None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_) -> None:
        if self._writer is not None:
            self._writer.close()

    def values(self, step: int, values: dict[str, float]) -> None:
        """Points of curves."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def event(self, step: int, text: str) -> None:
        """A line of text."""
        if self._writer is not None:
            self._writer.add_text("events", text, step)

    def sheet(self, step: int, picture: np.ndarray | None) -> None:
        """A sheet of samples (H, W, 3) uint8, as a PNG."""
        if self.folder is None or picture is None:
            return
        import cv2

        from neural_render.methods.deep_video_portraits.weights import replace_atomic

        encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        replace_atomic(self.folder / "samples" / f"{step:07d}.png", lambda path: path.write_bytes(encoded))
