"""The comparison video: driver | target | what the method shows | result, labelled."""

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
    aspects: tuple[float, float] = (1.0, 1.0),
) -> Iterator[np.ndarray]:
    """One picture a frame of the result, (H, W, 3) uint8.

    Args:
        driver: its frames in order.
        target, result: re-iterables of (index, time, frame).
        panels: of the method, by title, one set a frame.
        order: the target's frame behind each; None keeps the target's first where it's a photograph, else its own.
        height: px of a panel.
        aspects: width of a pixel over its height, of the driver, of target and result.
    """
    behind, last = FrameCursor(target), None
    of_driver, aspect = aspects
    for k, (theirs, (_, _, made), more) in enumerate(zip(driver, result, panels)):
        if order is not None or last is None or k < (getattr(target, "frame_count", None) or 0):
            last = behind.at(k if order is None else order[k])
        row = {"driver": fit_height(theirs, height, of_driver), "target": fit_height(last, height, aspect)}
        row |= {title: fit_height(panel, height, aspect) for title, panel in more.items()}
        row["result"] = fit_height(made, height, aspect)
        yield np.hstack([labelled(panel, title) for title, panel in row.items()])
    behind.close()
