"""Expression curves as CSV, as the app Live Link Face writes them, both ways.

One row a frame: ``Timecode`` (hh:mm:ss:ff.fff, frames and thousandths of a frame), ``BlendShapeCount`` (61), the 52
ARKit shapes in the app's order, then nine angles in radians. Angles of the head: yaw to the subject's left, pitch up,
roll counter-clockwise as the viewer sees it, applied in that order (R = R_y(yaw) R_x(-pitch) R_z(roll), model axes).
Angles of the eyes: as ``gaze`` has them, roll 0. Which way another program's angles count isn't written in its file,
so reading takes gaze from the eyeLook columns, which ARKit defines, and the head's angles only when asked to.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.edits import couple_lids
from facemodel.gaze import EYE_LOOK_NAMES, eye_look_to_gaze, gaze_to_eye_look
from facemodel.track import Track
from foundation.atomic import write_file
from foundation.errors import PortraitError, unknown_name

ANGLES = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
_SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
APP_ORDER: tuple[str, ...] = tuple(_SWAPPED.get(n, n) for n in ARKIT_NAMES)
"""The app lists the right one of jaw and mouth first, which Apple's own list doesn't."""

HEADER: tuple[str, ...] = ("Timecode", "BlendShapeCount", *(n[0].upper() + n[1:] for n in APP_ORDER), *ANGLES)
STANDARD_RATES = (24, 25, 30, 48, 50, 60, 120, 240)
_TIMECODE = re.compile(r"^(\d+):(\d{1,2}):(\d{1,2}):(\d{1,3}(?:\.\d+)?)$")


@dataclass(frozen=True)
class Curves:
    """Columns of a curves file over time."""

    times: np.ndarray  # (R,) seconds after the first row
    values: dict[str, np.ndarray]  # ARKit name or angle name -> (R,), empty cells NaN

    def at(self, name: str, times: np.ndarray) -> np.ndarray:
        """A column at other times: linear between its known rows, held beyond its ends."""
        column = self.values[name]
        known = np.isfinite(column)
        return np.interp(times, self.times[known], column[known])


def write_curves(track: Track, model, path: str | os.PathLike) -> Path:
    """Writes a track's expression, gaze and head pose. The file appears whole or not at all.

    The eyeLook columns say where the eyes look, whatever the lids do, as ARKit's do. Shapes that the model lacks
    are 0. Timecodes count the track's own rate, rounded to whole frames a second.
    """
    parameters = track.parameters.expanded()
    columns = {name: np.zeros(len(track)) for name in APP_ORDER}
    for k, name in enumerate(model.expression_names):
        if name in columns:
            columns[name] = parameters.expression[:, k].double().numpy()
    columns |= {name: value.double().numpy() for name, value in gaze_to_eye_look(parameters.gaze).items()}
    columns |= _angles(parameters.rotation, parameters.gaze)
    rate = max(1, round(track.fps))
    times = (track.times - track.times[0]).double().numpy()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for k, time in enumerate(times):
        row = [f"{columns[name][k]:.8f}" for name in (*APP_ORDER, *ANGLES)]
        writer.writerow([timecode(time, rate), len(row), *row])
    return write_file(path, text.getvalue(), "curves")


def read_curves(path: str | os.PathLike, *, rate: float | None = None, default_rate: float = 60.0) -> Curves:
    """Reads a curves file; names may begin with a capital or not, and any columns may be missing.

    rate: frames a second that the timecodes count. None: the lowest standard rate that holds the frame numbers
    found, where the file is a second or longer, else ``default_rate``.
    Raises PortraitError with row and column for what isn't as it should be. Row 1 is the header.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file)]
    except FileNotFoundError:
        raise PortraitError(f"curves '{path}': no such file; check the name") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PortraitError(f"curves '{path}': can't be read as CSV ({error}); export it again") from None
    if not rows or not rows[0]:
        raise PortraitError(f"curves '{path}': is empty; expected a header with Timecode and ARKit names")
    names = _columns(path, [cell.strip() for cell in rows[0]])
    body = [(number, row) for number, row in enumerate(rows[1:], start=2) if any(cell.strip() for cell in row)]
    if not body:
        raise PortraitError(f"curves '{path}': holds a header but no rows; export it again")
    table = {name: np.full(len(body), math.nan) for name in names if name not in ("Timecode", "BlendShapeCount")}
    codes = []
    for k, (number, row) in enumerate(body):
        if len(row) != len(names):
            raise PortraitError(f"curves '{path}', row {number}: expected {len(names)} cells, got {len(row)}")
        for name, title, cell in zip(names, rows[0], row):
            if name == "Timecode":
                codes.append(_timecode(path, number, cell))
            elif name != "BlendShapeCount":
                table[name][k] = _number(path, number, title.strip(), cell)
    empty = [name for name, column in table.items() if not np.isfinite(column).any()]
    return Curves(_times(path, codes, [n for n, _ in body], rate, default_rate), {
        name: column for name, column in table.items() if name not in empty
    })  # fmt: skip


def apply_curves(track: Track, model, curves: Curves, *, head: bool = False) -> Track:
    """The track with these curves, resampled to its times; the first row falls on the first frame.

    Shapes without a column keep their values; after the last row its values are held. The eyeLook columns turn the
    eyes as well as the lids. head: take HeadYaw, HeadPitch and HeadRoll too (see this module's conventions).
    """
    times = (track.times - track.times[0]).double().numpy()
    parameters = track.parameters.expanded()
    expression, gaze, rotation = parameters.expression.clone(), parameters.gaze, parameters.rotation
    names = model.expression_names
    for name in curves.values:
        if name in names and name not in EYE_LOOK_NAMES:
            value = torch.from_numpy(curves.at(name, times)).to(expression)
            expression[:, names.index(name)] = value.clamp(0.0, 1.0)
    if any(name in curves.values for name in EYE_LOOK_NAMES):
        look = gaze_to_eye_look(gaze)
        look |= {n: torch.from_numpy(curves.at(n, times)).to(gaze) for n in EYE_LOOK_NAMES if n in curves.values}
        gaze = eye_look_to_gaze({n: v.clamp(0.0, 1.0) for n, v in look.items()})
        expression = couple_lids(expression, gaze, names)
    if head:
        angles = [curves.at(n, times) if n in curves.values else np.zeros(len(times)) for n in ANGLES[:3]]
        turned = Rotation.from_euler("YXZ", np.stack([angles[0], -angles[1], angles[2]], -1)).as_rotvec()
        rotation = torch.from_numpy(turned).to(rotation)
    changes = {"expression": expression, "gaze": gaze, "rotation": rotation}
    return track.with_parameters(track.parameters.replace(**changes))


def timecode(time: float, rate: int) -> str:
    """Seconds as hh:mm:ss:ff.fff with ``rate`` frames a second."""
    thousandths = round(time * rate * 1000)
    seconds, rest = divmod(thousandths, rate * 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _angles(rotation: Tensor, gaze: Tensor) -> dict[str, np.ndarray]:
    yaw, pitch, roll = Rotation.from_rotvec(rotation.double().numpy()).as_euler("YXZ").T
    eyes = gaze.double().numpy()
    zero = np.zeros(len(yaw))
    columns = (yaw, -pitch, roll, eyes[:, 0, 0], eyes[:, 0, 1], zero, eyes[:, 1, 0], eyes[:, 1, 1], zero)
    return dict(zip(ANGLES, columns))


def _columns(path: Path, header: list[str]) -> list[str]:
    """The header in this project's spelling."""
    known = {n.lower(): n for n in (*ARKIT_NAMES, *ANGLES, "Timecode", "BlendShapeCount")}
    names = []
    for position, cell in enumerate(header, start=1):
        if cell.lower() not in known:
            hint = unknown_name("name", cell, known.values())
            raise PortraitError(f"curves '{path}', row 1, column {position}: {hint}")
        name = known[cell.lower()]
        if name in names:
            raise PortraitError(f"curves '{path}', row 1, column {position}: '{cell}' comes twice")
        names.append(name)
    if "Timecode" not in names:
        raise PortraitError(f"curves '{path}', row 1: expected a column 'Timecode', found {', '.join(header[:3])}...")
    return names


def _number(path: Path, row: int, name: str, cell: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PortraitError(f"curves '{path}', row {row}, column {name}: expected a number, got '{cell.strip()}'")
    return value


def _timecode(path: Path, row: int, cell: str) -> tuple[int, float]:
    """Whole seconds and frames."""
    match = _TIMECODE.match(cell.strip())
    if match is None or int(match[2]) > 59 or int(match[3]) > 59:
        raise PortraitError(
            f"curves '{path}', row {row}, column Timecode: expected hh:mm:ss:ff.fff, got '{cell.strip()}'"
        )
    return 3600 * int(match[1]) + 60 * int(match[2]) + int(match[3]), float(match[4])


def _times(path: Path, codes: list, numbers: list[int], rate: float | None, default_rate: float) -> np.ndarray:
    highest = max(frames for _, frames in codes)
    if rate is None:
        fitting = [r for r in STANDARD_RATES if r > int(highest)]
        whole_second = codes[-1][0] - codes[0][0] >= 2  # so that every frame number occurs
        rate = default_rate if not whole_second and default_rate > highest else (fitting or [highest + 1])[0]
    elif int(highest) >= round(rate):
        raise PortraitError(f"curves '{path}': frame number {highest:g} in a timecode, but the rate is {rate:g}")
    seconds = np.array([second + frames / rate for second, frames in codes])
    if codes[-1][0] < codes[0][0]:  # over midnight
        seconds[seconds < seconds[0]] += 86400
    late = np.flatnonzero(np.diff(seconds) <= 0)
    if len(late):
        raise PortraitError(
            f"curves '{path}', row {numbers[late[0] + 1]}, column Timecode: expected a later time than the row "
            "before; sort the rows by time"
        )
    return seconds - seconds[0]
