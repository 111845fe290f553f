"""The comparison video: driver | target | what methods show | result, labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from neural_render import FrameCursor
from portrait.pictures import fit_height, labelled


def comparison_frames(
    driver: Iterator[np.ndarray],
    target: Iterable,
    result: Iterable,
    panels: Iterator[Mapping[str, np.ndarray]],
    *,
    order: Sequence[int] | None = None,
    height: int,
) -> Iterator[np.ndarray]:
    """One picture a frame of the result, (H, W, 3) uint8.

    Args:
        driver: its frames in order.
        target, result: re-iterables of (index, time, frame).
        panels: of the method, by title, one set a frame.
        order: the target's frame behind each; None keeps the target's first where it's a photograph, else its own.
        height: px of a panel.
    """
    behind, last = FrameCursor(target), None
    for k, (theirs, (_, _, made), more) in enumerate(zip(driver, result, panels)):
        if order is not None or last is None or k < (getattr(target, "frame_count", None) or 0):
            last = behind.at(k if order is None else order[k])
        row = {"driver": fit_height(theirs, height), "target": fit_height(last, height)}
        row |= {title: fit_height(panel, height) for title, panel in more.items()}
        row["result"] = fit_height(made, height)
        yield np.hstack([labelled(panel, title) for title, panel in row.items()])
    behind.close()
