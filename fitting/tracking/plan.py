"""What the key frames decide about how a clip is fitted: typed, kept in the checkpoint, told in the track's facts."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ClipPlan:
    """Decisions about a clip whose identity is solved."""

    frames: int  # how many the clip has
    key_frames: tuple[int, ...]  # their numbers, in the order of the shared state's frames
    trust: float  # how far colours are trusted, 0 or 1 (`fitting.policy.colour_trust`)
    masked: bool  # a part of the face is hidden or in a cast shadow
    lights: int  # 0: all visible samples count in a frame; 1: those of skin; 2: those of skin in its usual light
    parallax: float  # 0 to 1: how far separate pictures tell of the shape from many sides
    unexplained: float  # colour error that the key frames leave to the samples' own albedo, of 1
    people: int = 1  # seen in the clip
    followed: int = 1  # which of them, from 1: who is shown most

    def as_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, table: dict) -> ClipPlan:
        return cls(**{**table, "key_frames": tuple(table["key_frames"])})

    def facts(self) -> dict:
        """For `Track.facts`, which people read."""
        return {
            "frames": self.frames,
            "key_frames": list(self.key_frames),
            "people": {"of": self.people, "followed": self.followed},
            "unexplained": self.unexplained,
            "colours_trusted": self.trust > 0,
            "masked": self.masked,
        }


@dataclass(frozen=True)
class SharedSpread:
    """Posterior standard deviations of what a clip's frames share, as lists of numbers."""

    identity: list[float]
    reflectance: list[float]
    focal: float  # px

    def as_json(self) -> dict:
        return asdict(self)
