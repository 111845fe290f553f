"""Calibration of whoever is tracked: a moment at rest, then a short script of grimaces, or a clip of both.

`portrait.services.outlet` gives each tracked frame to a `Calibrator`; ``portrait live`` begins it by a key and shows
its prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facemodel import FaceModel, FaceParameters, PortraitError
from facemodel.editing.calibration import Calibration
from facemodel.editing.contact import Contacts
from facemodel.editing.neutral import activity
from facemodel.editing.online_mixing import Reference
from fitting import make_detector
from fitting.tracking.online import OnlineTracker
from portrait.video import open_frames

SAVED = ".json"
CALM = 0.1  # share of a clip's frames, the calmest, that are taken for rest


@dataclass(frozen=True)
class Prompt:
    """What to do, and for how long."""

    text: str
    seconds: float


REST = Prompt("look straight into the camera, face at rest", 1.5)
GRIMACES = (
    Prompt("open your mouth as wide as you can", 1.5),
    Prompt("smile, teeth shown", 1.5),
    Prompt("pucker your lips", 1.5),
    Prompt("press and pull down the corners of your mouth", 1.5),
    Prompt("raise your brows, eyes wide", 1.5),
    Prompt("frown, nose wrinkled, eyes narrow", 1.5),
)


class Calibrator:
    """Goes through a script with the frames that come, and has the calibration.

    Args:
        path: where it's saved once it is measured; None doesn't.
        tell: hears each prompt, and what came of it.
    """

    def __init__(
        self,
        calibration: Calibration | None = None,
        path: Path | None = None,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.calibration, self.path, self._tell = calibration, path, tell
        self.prompt: Prompt | None = None
        """What the person is asked for now."""
        self._script: list[Prompt] = []
        self._until = 0.0
        self._rest: list[FaceParameters] = []
        self._performed: list[FaceParameters] = []

    def begin(self, grimaces: bool) -> None:
        """Asks for a face at rest, and for grimaces after it."""
        self._rest, self._performed = [], []
        self._script, self.prompt = [REST, *(GRIMACES if grimaces else ())], None

    def __call__(self, frame: FaceParameters, seconds: float, model: FaceModel, contacts: Contacts | None) -> None:
        """A tracked frame, without leading dimensions, of the source's ``seconds``."""
        if not self._script:
            return
        if self.prompt is None:
            self._ask(seconds)
        elif seconds >= self._until:
            self._script.pop(0)
            if not self._script:
                self._finish(model, contacts)
                return
            self._ask(seconds)
        (self._rest if self.prompt is REST else self._performed).append(frame)

    def _ask(self, seconds: float) -> None:
        self.prompt = self._script[0]
        self._until = seconds + self.prompt.seconds
        self._tell(f"calibration: {self.prompt.text}")

    def _finish(self, model: FaceModel, contacts: Contacts | None) -> None:
        performed = FaceParameters.stack(self._performed) if self._performed else None
        self.prompt = None
        self.calibration = Calibration.measured(FaceParameters.stack(self._rest), model, contacts, performed)
        saved = ""
        if self.path is not None:
            saved = f", saved as {self.calibration.save(self.path)}"
        self._tell(f"calibration: done{saved}")


def calibrate_from_clip(path: Path, model: FaceModel, detector: str, device: str) -> Calibration:
    """Of a clip in which the person rests, then grimaces. PortraitError where no face is tracked in it."""
    frames, found = open_frames(path), []
    finder = make_detector(detector, device)
    try:
        tracker = OnlineTracker(model, finder, frames.width, frames.height)
        for _, seconds, picture in frames:
            found.append(tracker(picture, seconds).parameters)
    finally:
        finder.close()
    found = [frame for frame in found if frame is not None]
    if not found:
        raise PortraitError(
            f"--calibrate '{path}': no face was tracked in it; give a clip of more than {tracker.collect:g} s with one"
        )
    p = FaceParameters.stack(found)
    calm = activity(p, model).argsort()[: max(3, round(CALM * len(found)))]
    contacts = Reference.of_frames(tracker.first, model).contacts
    return Calibration.measured(p[calm], model, contacts, p)


def open_calibration(path: Path | None, model: FaceModel, detector: str, device: str) -> Calibration | None:
    """Of a saved one, or of a clip; None where there is none, or it's to be saved there."""
    if path is None:
        return None
    if path.suffix.lower() != SAVED:
        return calibrate_from_clip(path, model, detector, device)
    return Calibration.load(path) if path.exists() else None
