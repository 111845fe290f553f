"""What enters a method: somebody's frames, and what is found in them when a method asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from facemodel.action_units import STRONGEST, intensities, unit_name
from facemodel.base import FaceModel
from facemodel.editing.curves import curve_columns
from facemodel.track import Track
from foundation.errors import PortraitError

Frame = tuple[int, float, np.ndarray]
"""Index, time in seconds, (H, W, 3) uint8."""


@dataclass(frozen=True)
class Landmarks:
    """A clip's landmarks."""

    scheme: str  # of `facemodel.landmark_schemes`
    points: np.ndarray  # (F, L, 2) float32, px of the clip's frames; NaN where there is no face


@dataclass(frozen=True)
class ActionUnits:
    """How strongly a clip's face shows each action unit, as `facemodel.action_units` has them."""

    names: tuple[str, ...]  # "AU01", ...
    values: np.ndarray  # (F, K) float32, 0 to 5; NaN where there is no face


def landmarks_of_track(clip: Clip) -> Landmarks:
    """Those that the clip was fitted to. PortraitError where its track has none, as mixed ones don't."""
    track = clip.track
    if track.landmarks is None:
        raise PortraitError(f"{clip}: expected landmarks in its track, found none; give the track of a fitted clip")
    return Landmarks(track.landmark_scheme, track.landmarks.cpu().numpy().astype(np.float32))


def action_units_of_track(clip: Clip) -> ActionUnits:
    """Of its track's expressions, a blink being 5 where the lids meet. PortraitError without ARKit's names."""
    track, model = clip.track, clip.model
    if model is None:
        raise PortraitError(f"{clip}: expected its face model, to tell action units by, got none")
    model.require("arkit", "telling action units")
    columns = curve_columns(track, model)
    found = intensities({name: columns[name] for name in model.arkit if name in columns})
    values = np.stack(list(found.values()), -1).clip(0, STRONGEST).astype(np.float32)
    values[~track.tracked.cpu().numpy()] = np.nan
    return ActionUnits(tuple(map(unit_name, found)), values)


@dataclass
class Clip:
    """Somebody's frames in their order; a photograph is a clip of one frame, and a performance one without pictures.

    What is found in the frames (`track`, `landmarks`, `action_units`) is made by the functions that the caller passes,
    when it's asked for the first time, and kept until `release`; frames are never kept.
    """

    frames: Iterable[Frame] | None  # re-iterable, in the order of their indices 0, 1, ...; None without pictures
    width: int  # px of each frame
    height: int
    fps: float = 25.0
    person: str = ""  # whose they are: clips of one person have one label
    source: Mapping = field(default_factory=dict)  # facts of the file: its name, hash, ...
    model: FaceModel | None = None  # that the track is, or will be, fitted with
    find_track: Callable[[Clip], Track] | None = None
    find_landmarks: Callable[[Clip], Landmarks] = landmarks_of_track
    find_action_units: Callable[[Clip], ActionUnits] = action_units_of_track
    performance: str = ""  # what they do: clips of one performance have one label, and the same frames; "" unknown
    weight: float = 1.0  # how often a method of many clips draws from it, beside others

    @classmethod
    def of_track(
        cls, track: Track, frames: Iterable[Frame] | None = None, model: FaceModel | None = None, **others
    ) -> Clip:
        """The clip of a track that is there already. others: further fields."""
        source = {**(track.facts.get("source") or {})}
        clip = cls(frames, track.width, track.height, track.fps, source=source, model=model, **others)
        clip.track = track
        return clip

    def __str__(self) -> str:
        return f"clip '{self.source.get('file') or self.person or 'without a name'}'"

    @cached_property
    def track(self) -> Track:
        """Its parameters, frame by frame. PortraitError where nobody said how to find them."""
        if self.find_track is None:
            raise PortraitError(f"{self}: expected a track with it, got none; fit it first with 'portrait fit'")
        return self.find_track(self)

    @cached_property
    def landmarks(self) -> Landmarks:
        return self.find_landmarks(self)

    @cached_property
    def action_units(self) -> ActionUnits:
        return self.find_action_units(self)

    def has(self, what: str) -> bool:
        """Whether "track", "landmarks" or "action_units" are there or can be found; finds nothing."""
        default = {"landmarks": landmarks_of_track, "action_units": action_units_of_track}.get(what)
        finder = getattr(self, f"find_{what}")
        return what in self.__dict__ or (self.has("track") if default and finder is default else finder is not None)

    @property
    def count(self) -> int | None:
        """How many frames it has; None where that isn't known before they are read."""
        if "track" in self.__dict__:
            return len(self.track)
        known = getattr(self.frames, "frame_count", None)
        return known if known or not hasattr(self.frames, "__len__") else len(self.frames)

    def release(self) -> None:
        """Forgets what was found and can be found again: for a method that goes through many clips."""
        for name in ("landmarks", "action_units", *(["track"] if self.find_track else [])):
            self.__dict__.pop(name, None)
