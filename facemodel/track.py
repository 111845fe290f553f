"""A clip's parameters, and their files: ``track.safetensors`` beside ``track.json`` in one folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields, replace
from enum import IntFlag
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from facemodel.base import FaceModel, check_same_model
from facemodel.parameters import OPTIONAL, SHARED, FaceParameters
from foundation.atomic import write_files
from foundation.errors import PortraitError
from geometry.camera import Camera

FORMAT = "video-portraits track"
VERSION = 1
FILES = ("track.safetensors", "track.json")
HIDDEN = 0.5  # visibility below which a part of a face counts as hidden


class FrameStatus(IntFlag):
    """What happened in a frame. Zero means that no face was found: its parameters are interpolated."""

    NO_FACE = 0
    TRACKED = 1
    CUT = 2  # the first frame of a new shot
    SEVERAL_FACES = 4  # the tracked one is the largest at first, then the same one
    UNCERTAIN = 8  # fitted, but the energy or the detector says: doubtful

    @property
    def label(self) -> str:
        found = [f.name.lower() for f in FrameStatus if f and f in self]
        return "+".join(found if FrameStatus.TRACKED in self else ["no_face", *found])


@dataclass(frozen=True)
class Track:
    """Parameters of every frame of a clip. Nothing is dropped: frame k here is frame k of the video."""

    model: str  # name of the morphable model
    fingerprint: str  # of the model's file
    width: int  # px of the original frame
    height: int
    parameters: FaceParameters  # identity, reflectance, focal once; the rest (F, ...)
    times: Tensor  # (F,) float64 seconds
    status: Tensor  # (F,) int64 FrameStatus
    confidence: Tensor  # (F,) 0 to 1
    landmarks: Tensor | None = None  # (F, L, 2) px of the original frame; NaN where there is no face
    landmark_scheme: str = "mediapipe478"
    energies: dict[str, Tensor] = field(default_factory=dict)  # each (F,), how well a frame fits
    spread: dict[str, Tensor] = field(default_factory=dict)
    """Posterior standard deviations by parameter, shaped as the parameter: what the picture did not determine is as
    wide as its prior. NaN in frames without a face. Those of identity and reflectance are in standard deviations."""
    visibility: dict[str, Tensor] = field(default_factory=dict)
    """How far parts of the face (mouth, nose, left_eye, right_eye) are seen, each (F,): 1 wholly, 0 not at all, behind
    something or beyond the picture's edge. Below 0.5 a part's landmarks took no part, and it's as its priors have it.
    NaN in frames without a face; empty of tracks that were made before there was this, or elsewhere."""
    facts: dict = field(default_factory=dict)  # JSON: source file, its hash, timings, settings, warnings

    def __len__(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        """Mean frame rate; 25 for a single picture."""
        if len(self) < 2:
            return 25.0
        return float((len(self) - 1) / (self.times[-1] - self.times[0]).clamp_min(1e-9))

    @property
    def tracked(self) -> Tensor:
        """(F,) bool: frames in which a face was fitted."""
        return self.where(FrameStatus.TRACKED)

    def where(self, status: FrameStatus) -> Tensor:
        """(F,) bool: frames of this status, whatever else they are."""
        return (self.status & int(status)) != 0

    def hidden(self, part: str) -> Tensor:
        """(F,) bool: frames in which a part of the face (`visibility`) was hidden, and so took no part."""
        return self.visibility[part] < HIDDEN

    def check_frame(self, frame: int, what: str) -> None:
        """PortraitError unless it is a frame with a face. ``what``: it is to be, as the start of the error's line."""
        if not 0 <= frame < len(self):
            raise PortraitError(f"{what}: expected 0 to {len(self) - 1}, got {frame}")
        if not self.tracked[frame]:
            raise PortraitError(f"{what} {frame}: no face was found in it; choose another frame")

    @property
    def seconds(self) -> Tensor:
        """(F,) float64: times after the first frame."""
        return self.times - self.times[0]

    @property
    def camera(self) -> Camera:
        """Of the clip's own frames."""
        return Camera(float(self.parameters.focal.flatten()[0]), self.width, self.height)

    def frames(self, first: int, end: int) -> Track:
        """Frames first to end - 1 as a track of their own; what the clip shares stays whole."""
        rows, p = slice(first, end), self.parameters
        each = {name: value.shape[:1] == (len(self),) and name not in SHARED for name, value in self.spread.items()}
        return replace(
            self, parameters=p[rows], times=self.times[rows], status=self.status[rows],
            confidence=self.confidence[rows], landmarks=None if self.landmarks is None else self.landmarks[rows],
            energies={name: value[rows] for name, value in self.energies.items()},
            spread={name: value[rows] if each[name] else value for name, value in self.spread.items()},
            visibility={name: value[rows] for name, value in self.visibility.items()},
        )  # fmt: skip

    def check(self) -> None:
        """ValueError where parts don't fit each other."""
        frames = (len(self),)
        if not (isinstance(self.facts, dict) and isinstance(self.model, str) and isinstance(self.landmark_scheme, str)):
            raise ValueError("model, landmark_scheme or facts of another kind")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width} x {self.height}")
        if not frames[0]:
            raise ValueError("it has no frames")
        if any(tuple(t.shape) != frames for t in (self.times, self.status, self.confidence)):
            raise ValueError("times, status and confidence of other lengths")
        if any(tuple(v.shape) != frames or not v.is_floating_point() for v in self.visibility.values()):
            raise ValueError("visibility of another length or type")
        numbers = (self.times, self.confidence)
        if self.status.dtype != torch.int64 or not all(t.is_floating_point() for t in numbers):
            raise ValueError("times, status or confidence of another type")
        if tuple(self.parameters.batch_shape) not in (frames, ()):
            raise ValueError(f"parameters of {tuple(self.parameters.batch_shape)} frames, times of {frames[0]}")

    def with_parameters(self, parameters: FaceParameters, **facts) -> Track:
        return replace(self, parameters=parameters, facts={**self.facts, **facts})

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes the two files; each appears whole or not at all."""
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise PortraitError(f"track '{folder}': expected a folder to write to, found a file; choose another name")
        values = {f.name: getattr(self.parameters, f.name) for f in fields(FaceParameters)}
        tensors = {f"parameters.{k}": v for k, v in values.items() if k not in OPTIONAL or v.shape[-1]}
        tensors |= {"times": self.times, "status": self.status, "confidence": self.confidence}
        tensors |= {f"energies.{k}": v for k, v in self.energies.items()}
        tensors |= {f"spread.{k}": v for k, v in self.spread.items()}
        tensors |= {f"visibility.{k}": v for k, v in self.visibility.items()}
        if self.landmarks is not None:
            tensors["landmarks"] = self.landmarks
        tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        table = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "frames": len(self),
            "landmark_scheme": self.landmark_scheme,
            "status": [FrameStatus(int(s)).label for s in self.status],
            "facts": self.facts,
        }
        contents = (save(tensors), json.dumps(table, indent=1))
        write_files({folder / name: content for name, content in zip(FILES, contents)}, "track")
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike, model: FaceModel | None = None) -> Track:
        """Reads a track; with ``model`` given, also checks that it was fitted with that model.

        Raises PortraitError where a file is missing, broken, not to be read, of another version or of another model.
        """
        folder = Path(folder)
        check_permissions(folder)
        data, text = (folder / name for name in FILES)
        for path in (data, text):
            if not path.is_file():
                raise PortraitError(
                    f"track '{folder}': {path.name} is missing; make one with 'portrait fit VIDEO -o {folder}'"
                )
        try:
            table = json.loads(text.read_text())
            tensors = load_file(data)
        except (ValueError, SafetensorError, OSError) as error:
            raise PortraitError(f"track '{folder}': can't be read ({error}); fit the video again") from None
        if not isinstance(table, dict):
            raise PortraitError(f"track '{folder}': track.json isn't a track's; fit the video again")
        if table.get("format") != FORMAT or table.get("version") != VERSION:
            raise PortraitError(
                f"track '{folder}': expected {FORMAT} version {VERSION}, "
                f"found {table.get('format')!r} version {table.get('version')!r}; fit the video again"
            )
        try:
            names = [f.name for f in fields(FaceParameters)]
            wanted = [n for n in names if n not in OPTIONAL or f"parameters.{n}" in tensors]
            parameters = FaceParameters(**{n: tensors[f"parameters.{n}"] for n in wanted})
            track = cls(
                model=table["model"],
                fingerprint=table["fingerprint"],
                width=int(table["width"]),
                height=int(table["height"]),
                parameters=parameters,
                times=tensors["times"],
                status=tensors["status"],
                confidence=tensors["confidence"],
                landmarks=tensors.get("landmarks"),
                landmark_scheme=table["landmark_scheme"],
                energies=_group(tensors, "energies."),
                spread=_group(tensors, "spread."),
                visibility=_group(tensors, "visibility."),
                facts=table["facts"],
            )
            track.check()
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise PortraitError(f"track '{folder}': incomplete ({error}); fit the video again") from None
        if model is not None:
            own = "" if track.model == "default" else " --model ITS_OWN"
            over = f"portrait model convert {folder}{own} --to MODEL -o TRACK2"
            again = f"give its own by --model, or carry it over: {over}"
            check_same_model(f"track '{folder}': fitted", track, model, again)
        return track


def check_permissions(folder: Path) -> None:
    """Raises PortraitError where a track is there but may not be read: safetensors itself would say it is missing."""
    for path, mode in ((folder, os.R_OK | os.X_OK), *((folder / name, os.R_OK) for name in FILES)):
        if os.path.exists(path) and not os.access(path, mode):
            raise PortraitError(
                f"track '{folder}': {path.name} may not be read (permissions); its owner lets you by "
                f"'chmod -R a+rX {folder}'"
            )


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fill_gaps(parameters: FaceParameters, tracked: Tensor) -> FaceParameters:
    """Interpolates the frames without a face linearly in time; beyond the ends the nearest frame is kept.

    ``tracked`` is (F,) bool. With no tracked frame at all the parameters come back as they are.
    """
    known = torch.nonzero(tracked).flatten().numpy()
    if len(known) in (0, len(tracked)):
        return parameters
    frames = np.arange(len(tracked))
    right = np.clip(np.searchsorted(known, frames), 0, len(known) - 1)
    left = np.clip(np.searchsorted(known, frames, side="right") - 1, 0, len(known) - 1)
    a, b = known[left], known[right]
    weight = torch.from_numpy(np.where(b > a, (frames - a) / np.maximum(b - a, 1), 0.0)).float()

    def fill(value: Tensor) -> Tensor:
        w = weight.to(value).view(-1, *[1] * (value.dim() - 1))
        return value[a] * (1 - w) + value[b] * w

    frames_of = {f.name: getattr(parameters, f.name) for f in fields(FaceParameters) if f.name not in SHARED}
    return parameters.replace(**{k: fill(v) for k, v in frames_of.items() if k not in OPTIONAL or v.shape[-1]})
