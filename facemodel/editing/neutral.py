"""A clip's neutral expression, which is where its expressions are counted from.

A fit explains part of who someone is by expression: a face at rest has a little of some shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError

MAX_LID_GAIN = 1.5


def neutral_frame(track: Track, model, frame: int | None = None, role: str = "track") -> int:
    """The tracked frame with the least expression (sum of all shapes but eyeLook), or ``frame`` checked.

    Doubtful frames are passed over where there are others.
    """
    if frame is not None:
        if not 0 <= frame < len(track):
            raise PortraitError(f"{role} neutral frame: expected 0 to {len(track) - 1}, got {frame}")
        if not track.tracked[frame]:
            raise PortraitError(f"{role} neutral frame {frame}: no face was found in it; choose another frame")
        return frame
    usable = track.tracked & ((track.status & int(FrameStatus.UNCERTAIN)) == 0)
    frames = torch.nonzero(usable if usable.any() else track.tracked).flatten()
    counted = [k for k, name in enumerate(model.expression_names) if not name.startswith("eyeLook")]
    activity = track.parameters.expanded().expression[frames][:, counted].sum(-1)
    return int(frames[int(activity.argmin())])


def neutral_expression(track: Track, frame: int, reach: int = 2) -> Tensor:
    """(E,) expression of a neutral frame: the median with its tracked neighbours of the same shot, against jitter."""
    frames = [frame]
    for step in (-1, 1):
        k = frame
        for _ in range(reach):
            cut = k if step < 0 else k + 1  # a cut lies before the frame that has the flag
            if cut < len(track) and track.status[cut] & int(FrameStatus.CUT):
                break
            k += step
            if not 0 <= k < len(track) or not track.tracked[k]:
                break
            frames.append(k)
    return track.parameters.expanded().expression[sorted(frames)].median(0).values


def relative_expression(expression: Tensor, of_source: Tensor, of_target: Tensor, names: tuple[str, ...]) -> Tensor:
    """clamp(of_target + expression - of_source, 0, 1), with the lids' way to closed kept whole.

    expression: (F, E); of_source, of_target: (E,) neutral ones. eyeBlink above the source's neutral is scaled so
    that 1 stays 1, by at most ``MAX_LID_GAIN``.
    """
    change = expression - of_source
    gain = torch.ones_like(of_source)
    for k, name in enumerate(names):
        if name.startswith("eyeBlink"):
            gain[k] = ((1 - of_target[k]) / (1 - of_source[k]).clamp_min(1e-6)).clamp(0, MAX_LID_GAIN)
    change = torch.where(change > 0, change * gain, change)
    return (of_target + change).clamp(0.0, 1.0)
