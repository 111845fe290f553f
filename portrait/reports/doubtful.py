"""Which frames of a track are doubtful, and why: a section of the reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from facemodel import FrameStatus, Track
from fitting.tracking.confidence import frame_doubts
from portrait.pictures import fit_height
from portrait.reports.page import FAR_OFF, around, colour_errors, figure, with_model
from portrait.video import open_frames

SHOWN = 12
HEIGHT = 180  # px of the pictures


@dataclass(frozen=True)
class Run:
    """Neighbouring frames that are doubtful, or that have no face, within one shot."""

    first: int
    last: int
    worst: int  # the frame with the lowest confidence
    lost: float  # sum of what the confidences lack


def doubtful_runs(track: Track) -> list[Run]:
    """All runs in the order of the clip."""
    return list(_runs(track))


def _runs(track: Track) -> Iterator[Run]:
    status, confidence = track.status.numpy(), track.confidence.numpy()
    kind = np.where(status & int(FrameStatus.TRACKED), np.where(status & int(FrameStatus.UNCERTAIN), 1, 0), 2)
    starts = (np.diff(kind, prepend=-1) != 0) | ((status & int(FrameStatus.CUT)) != 0)
    for frames in np.split(np.arange(len(track)), np.flatnonzero(starts)[1:]):
        if kind[frames[0]]:
            worst = int(frames[confidence[frames].argmin()])
            yield Run(int(frames[0]), int(frames[-1]), worst, float((1 - confidence[frames]).sum()))


def doubtful_section(model, track: Track, video: Path) -> str:
    """The weightiest runs with the reasons and the picture of their worst frame: alone, with the model over it, and
    where the colours are off.
    """
    runs = doubtful_runs(track)
    if not runs:
        return "<p>None.</p>"
    shown = sorted(sorted(runs, key=lambda r: -r.lost)[:SHOWN], key=lambda r: r.first)
    frames = sum(r.last - r.first + 1 for r in runs)
    which = "each" if len(shown) == len(runs) else f"the {len(shown)} weightiest"
    text = (
        f"{frames} of {len(track)} frames, in {len(runs)} stretches; below is the worst frame of {which}, the fit over "
        f"it, and where its colours are off (blue 0, red {FAR_OFF:.0f} of 255 and more)."
    )
    pictures, worst = {}, {r.worst for r in shown}
    for index, _, frame in open_frames(video):
        if index in worst:
            pictures[index] = _pictures(model, track, index, frame)
            if len(pictures) == len(worst):
                break
    rows = [f"<tr><td>{pictures[r.worst]}<td>{_words(track, r)}" for r in shown if r.worst in pictures]
    return f"<p>{text}</p><table class=doubts>{''.join(rows)}</table>"


def _pictures(model, track: Track, index: int, frame: np.ndarray) -> str:
    if not track.tracked[index]:
        return figure(fit_height(frame, HEIGHT), "")
    row = frame, with_model(model, track, index, frame), colour_errors(model, track, index, frame)
    return figure(np.hstack([fit_height(around(p, track, index), HEIGHT) for p in row]), "")


def _words(track: Track, run: Run) -> str:
    time = float(track.times[run.worst] - track.times[0])
    reasons = "".join(f"<li>{escape(reason)}" for reason in frame_doubts(track, run.worst))
    frames = f"frames {run.first} to {run.last}" if run.last > run.first else f"frame {run.first}"
    return (
        f"<b>{time:.1f} s</b>, frame {run.worst}, confidence {float(track.confidence[run.worst]):.2f}"
        f"<ul>{reasons}</ul><span class=note>{frames}</span>"
    )
