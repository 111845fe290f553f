"""How far landmarks are from the true ones: in their place, and as a shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from neural_render.corpus import Faces

CLIPS = 60  # pairs of people that a figure is the mean of, at most


def error(found: Tensor, true: Tensor) -> float:
    """Mean distance of points (N, P, 2), in units of half a crop's side."""
    return float((found - true).norm(dim=-1).mean())


def shape_error(found: Tensor, true: Tensor) -> float:
    """The same once each face is moved, turned and scaled onto the true one, by least squares: of the shape alone."""
    centred, wanted = (p - p.mean(1, keepdim=True) for p in (found, true))
    a, b = (torch.view_as_complex(p.contiguous()) for p in (centred, wanted))
    turn = (a.conj() * b).sum(1, keepdim=True) / a.abs().square().sum(1, keepdim=True)
    return error(torch.view_as_real(a * turn), wanted)


def crossings(faces: Faces) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of a driver's clip, of the truth, which is another person doing the same, and of that person's other clip.

    Evenly spread over the clips, each with the next person who did the same and has another clip.
    """
    people = len(faces.people)
    for clip in np.linspace(0, faces.clip.max(), min(CLIPS, int(faces.clip.max()) + 1)).round().astype(int):
        driver = np.flatnonzero(faces.clip == clip)
        for step in range(1, people):
            person = (faces.person[driver[0]] + step) % people
            true = faces.counterpart(driver, person)
            target = np.flatnonzero((faces.person == person) & (faces.clip != faces.clip[true[0]]))
            if (true >= 0).all() and len(target):
                yield driver, true, target[faces.clip[target] == faces.clip[target[0]]]
                break
