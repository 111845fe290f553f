"""One person's own zero and full range of the ARKit curves: a face at rest sends zeros, a full grimace ones.

`Calibration.measured` takes frames of the person, `Calibration.relative` and `Calibration.scaled` change what
`curves.frame_columns` makes of a later frame. ``portrait live`` calls this, and keeps it in a small JSON file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facemodel.arkit import ARKIT_NAMES
from facemodel.base import FaceModel
from facemodel.editing.contact import Contacts
from facemodel.editing.curves import BLINKS, frame_columns
from facemodel.gaze import EYE_LOOK_NAMES
from facemodel.parameters import FaceParameters
from foundation.atomic import write_file
from foundation.errors import PortraitError

SHAPES = tuple(name for name in ARKIT_NAMES if name not in EYE_LOOK_NAMES)
"""What is calibrated as a shape; the eyeLook curves follow from gaze."""
FORMAT = "video-portraits calibration"


@dataclass(frozen=True)
class CalibrationPolicy:
    """How far a calibration may go."""

    most_rest: float = 0.8  # of a shape at rest: something of it has to be left
    performed: float = 0.3  # above rest, from which on a shape was performed, so that its range is known
    full: float = 95.0  # percentile of the performed frames that is a shape's full range


@dataclass(frozen=True)
class Calibration:
    """A person's rest and range."""

    rest: Mapping[str, float]  # ARKit shape -> its value in a face at rest
    full: Mapping[str, float]  # ARKit shape -> the value that is sent as 1
    gaze: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # rad, left yaw and pitch, right: straight ahead
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)  # axis-angle of a head that looks straight ahead

    @classmethod
    def measured(
        cls,
        rest: FaceParameters,
        model: FaceModel,
        contacts: Contacts | None,
        performed: FaceParameters | None = None,
        policy: CalibrationPolicy = CalibrationPolicy(),
    ) -> Calibration:
        """Of frames (F, ...) at rest, and of others in which the face goes as far as it can: without them 1 stays 1.

        A shape that wasn't performed keeps its range. Closed lids are 1 in any case, which the contacts say.
        """
        still = frame_columns(rest, model, contacts)
        low = {name: float(np.clip(np.median(still[name]), 0, policy.most_rest)) for name in SHAPES}
        full = dict.fromkeys(SHAPES, 1.0)
        if performed is not None:
            moved = frame_columns(performed, model, contacts)
            reached = {n: float(np.percentile(moved[n], policy.full)) for n in SHAPES if n not in BLINKS}
            full |= {n: min(v, 1.0) for n, v in reached.items() if v - low[n] >= policy.performed}
        p = rest.expanded()
        mean = Rotation.from_rotvec(p.rotation.double().numpy()).mean().as_rotvec()
        gaze = p.gaze.double().flatten(1).median(0).values
        return cls(low, full, tuple(gaze.tolist()), tuple(mean.tolist()))

    def relative(self, frame: FaceParameters) -> FaceParameters:
        """The frame (F, ...) with head and eyes counted from the ones that look straight ahead."""
        ahead = Rotation.from_rotvec(self.rotation).inv()
        turned = (Rotation.from_rotvec(frame.rotation.double().numpy()) * ahead).as_rotvec()
        gaze = frame.gaze - torch.tensor(self.gaze).to(frame.gaze).view(2, 2)
        return frame.replace(rotation=torch.from_numpy(turned).to(frame.rotation), gaze=gaze)

    def scaled(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns whose shapes are 0 at rest and 1 at full range, between 0 and 1."""
        changed = {
            name: np.clip((columns[name] - low) / (self.full[name] - low), 0.0, 1.0)
            for name, low in self.rest.items()
            if name in columns
        }
        return {**columns, **changed}

    def save(self, path: str | os.PathLike) -> Path:
        """Writes it as JSON. The file appears whole or not at all."""
        return write_file(path, json.dumps({"format": FORMAT, "version": 1, **asdict(self)}, indent=1), "calibration")

    @classmethod
    def load(cls, path: str | os.PathLike) -> Calibration:
        """PortraitError for what `save` can't have written."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            if found["format"] != FORMAT or found["version"] != 1:
                raise ValueError("of another format or version")
            rest, full = ({n: float(v) for n, v in found[part].items()} for part in ("rest", "full"))
            gaze, rotation = (tuple(map(float, found[part])) for part in ("gaze", "rotation"))
            numbers = (*rest.values(), *full.values(), *gaze, *rotation)
            if set(rest) != set(SHAPES) or set(full) != set(SHAPES) or len(gaze) != 4 or len(rotation) != 3:
                raise ValueError("names or counts aren't those of a calibration")
            if not all(map(math.isfinite, numbers)) or any(not 0 <= rest[n] < full[n] <= 1 for n in rest):
                raise ValueError("a shape's rest isn't below its full range, from 0 to 1")
        except FileNotFoundError:
            raise PortraitError(f"--calibrate '{path}': no such file; check the name") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise PortraitError(
                f"--calibrate '{path}': expected a calibration that 'portrait live' saved ({reason}); make it again"
            ) from None
        return cls(rest, full, gaze, rotation)
