"""Expression curves as CSV, as the app Live Link Face writes them, both ways.

`write_curves` takes a track, `apply_curves` gives one. In both, EyeBlink is 1 where the lids meet, whatever coefficient
that takes on this face (`contact`). A model's own expressions and joints, without ARKit names, are columns after the
app's. A track in which a part of the face is hidden adds how far each is seen (``Visibility mouth``, 0 to 1).

One row a frame: ``Timecode`` (hh:mm:ss:ff.fff, frames and thousandths of a frame), ``BlendShapeCount`` (61), the 52
ARKit shapes in the app's order, then nine angles in radians. Angles of the head: yaw to the subject's left, pitch up,
roll counter-clockwise as the viewer sees it, applied in that order (R = R_y(yaw) R_x(-pitch) R_z(roll), model axes).
Angles of the eyes: as ``gaze`` has them, roll 0. Which way another program's angles count isn't written in its file,
so reading takes gaze from the eyeLook columns, which ARKit defines, and the head's angles only when asked to.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel.arkit import ARKIT_NAMES
from facemodel.base import FaceModel
from facemodel.editing.contact import LIDS, Contacts
from facemodel.editing.edits import NAMED, couple_lids
from facemodel.editing.neutral import neutral_expression, neutral_frame
from facemodel.editing.poses import head_angles, head_rotation
from facemodel.gaze import EYE_LOOK_NAMES, eye_look_to_gaze, gaze_to_eye_look
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.atomic import write_csv
from foundation.errors import PortraitError

ANGLES = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
APP_ORDER: tuple[str, ...] = tuple(SWAPPED.get(n, n) for n in ARKIT_NAMES)
"""The app lists the right one of jaw and mouth first, which Apple's own list doesn't."""

STANDARD_RATES = (24, 25, 30, 48, 50, 60, 120, 240)
KNOWN = (*ARKIT_NAMES, *ANGLES)
VISIBILITY = "Visibility "  # starts the names of columns that say how far a part of the face is seen; read by nobody
_TIMECODE = re.compile(r"^(\d+):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)$")  # ; where frame numbers are dropped
HALF_A_DAY = 43200


BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True)
class Curves:
    """Columns of a curves file over time."""

    times: np.ndarray  # (R,) seconds after the first row
    values: dict[str, np.ndarray]  # ARKit name, angle's name or as the file has it -> (R,), empty cells NaN
    skipped: tuple[str, ...] = field(default=())  # columns that hold no numbers and aren't known
    assumed_rate: float | None = None  # frames a second of the timecodes, where nothing in the file says it
    notes: tuple[str, ...] = ()  # what else was done to the file's content

    def at(self, name: str, times: np.ndarray) -> np.ndarray:
        """A column at other times: linear between its known rows, held beyond its ends; angles the short way round."""
        column = self.values[name]
        known = np.isfinite(column)
        column = np.unwrap(column[known]) if name in ANGLES else column[known]
        return np.interp(times, self.times[known], column)

    def unused(self, model: FaceModel) -> tuple[str, ...]:
        """Columns that `apply_curves` leaves alone, since they mean nothing to this model."""
        return (*self.skipped, *(n for n in self.values if n not in ANGLES and _meaning(n, model) is None))


def write_curves(track: Track, model: FaceModel, path: str | os.PathLike) -> Path:
    """Writes a track's expression, joints, gaze and head pose. The file appears whole or not at all.

    The eyeLook columns say where the eyes look, whatever the lids do, as ARKit's do. Shapes that the model lacks
    are 0. Timecodes count the track's own rate, rounded to whole frames a second.
    """
    return _write(curve_columns(track, model) | _visibility(track), track.seconds.tolist(), track.fps, path)


def write_table(curves: Curves, path: str | os.PathLike, rate: float) -> Path:
    """Writes curves that were read, gaps filled; what they lack has no column. rate: frames a second of the timecodes.

    So `apply_curves` leaves alone what another program doesn't know of.
    """
    order = (*APP_ORDER, *ANGLES)
    names = sorted(curves.values, key=lambda n: order.index(n) if n in order else len(order))
    return _write({n: curves.at(n, curves.times) for n in names}, curves.times.tolist(), rate, path)


def _write(columns: dict[str, np.ndarray], times: list[float], fps: float, path: str | os.PathLike) -> Path:
    rate = max(1, round(fps))
    rows = [header_row(columns)]
    rows += [value_row({n: column[k] for n, column in columns.items()}, time, rate) for k, time in enumerate(times)]
    return write_csv(path, rows, "curves")


def header_row(names: Iterable[str]) -> list[str]:
    """The first row of a file with these columns."""
    return ["Timecode", "BlendShapeCount", *(n[0].upper() + n[1:] if n in KNOWN else n for n in names)]


def value_row(values: Mapping[str, float], time: float, rate: int) -> list[str]:
    """The row of a frame, ``time`` seconds after the first; the values are in the header's order."""
    count = sum(name in KNOWN for name in values)
    return [timecode(time, rate), str(count), *(f"{value:.8f}" for value in values.values())]


def curve_columns(track: Track, model: FaceModel) -> dict[str, np.ndarray]:
    """(F,) of every column, by ARKit's names, the angles' and the model's own: what `write_curves` writes."""
    contacts = None
    if track.tracked.any():
        rest = neutral_expression(track, neutral_frame(track, model))
        contacts = Contacts.of(model, track.parameters.expanded().identity[0], rest)
    return frame_columns(track.parameters, model, contacts)


def frame_columns(parameters: FaceParameters, model: FaceModel, contacts: Contacts | None) -> dict[str, np.ndarray]:
    """`curve_columns` of frames (F, ...) of one person, whose EyeBlink is 1 where the contacts say that lids touch."""
    parameters, arkit = parameters.expanded(), model.arkit
    expression = parameters.expression.double().numpy()
    columns = {name: np.zeros(len(expression)) for name in APP_ORDER}
    columns |= {name: expression[:, k] for name, k in arkit.items() if name in columns}
    if contacts is not None:
        looseness = contacts.looseness(parameters.expression, parameters.joints).double().numpy()
        columns |= {name: 1 - looseness[:, k] * (1 - columns[name]) for k, name in zip(LIDS, BLINKS)}
    columns |= {name: value.double().numpy() for name, value in gaze_to_eye_look(parameters.gaze).items()}
    columns |= _angles(parameters.rotation, parameters.gaze)
    for block in NAMED:
        for k, name in enumerate(model.blocks[block].names if model.count(block) else ()):
            if block != "expression" or k not in arkit.values():
                columns[name] = getattr(parameters, block)[:, k].double().numpy()
    return columns


def _visibility(track: Track) -> dict[str, np.ndarray]:
    """Columns of how far each part is seen, of a track in which one is hidden."""
    if not any(bool(track.hidden(part).any()) for part in track.visibility):
        return {}
    return {VISIBILITY + part: seen.nan_to_num(0.0).numpy() for part, seen in track.visibility.items()}


def read_curves(
    path: str | os.PathLike,
    *,
    rate: float | None = None,
    default_rate: float = 60.0,
    default_rows: int | None = None,
) -> Curves:
    """Reads a curves file; names may begin with a capital or not, and any columns may be missing or be others.

    rate: frames a second that the timecodes count. None: what the step from one second to the next says. Where the
    file has none, it is assumed (`Curves.assumed_rate`): a whole second that begins with frame 0 has as many rows as a
    standard rate, unless these are the ``default_rows`` that a file of ``default_rate`` would have; others have
    ``default_rate``, or the lowest standard rate that holds the frame numbers found.
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
    for number, row in body:
        if len(row) != len(names):
            raise PortraitError(f"curves '{path}', row {number}: expected {len(names)} cells, got {len(row)}")
    codes, values, skipped = [], {}, []
    for position, name in enumerate(names):
        cells = [(number, row[position]) for number, row in body]
        if name == "Timecode":
            codes = [_timecode(path, number, cell) for number, cell in cells]
        elif name in KNOWN:
            values[name] = np.array([_number(path, number, rows[0][position].strip(), cell) for number, cell in cells])
        elif name != "BlendShapeCount" and not name.startswith(VISIBILITY):
            try:
                values[name] = np.array([_number(path, number, name, cell) for number, cell in cells])
            except PortraitError:
                skipped.append(name)
    values = {name: column for name, column in values.items() if np.isfinite(column).any()}
    assumed = None
    if rate is None:
        rate = _rate(codes)
        rate = assumed = _assumed_rate(codes, default_rate, default_rows) if rate is None else rate
        assumed = None if len(body) == 1 else assumed
    times = _times(path, codes, [n for n, _ in body], rate)
    return Curves(times, values, tuple(skipped), assumed)


def apply_curves(track: Track, model: FaceModel, curves: Curves, *, head: bool = False) -> Track:
    """The track with these curves, placed by their times; the first row falls on the first frame.

    Shapes without a column keep their values; after the last row its values are held. Columns that mean nothing to the
    model (`Curves.unused`) are left alone. The eyeLook columns turn the eyes as well as the lids; where EyeBlink says
    that lids touch, this face's do. head: take HeadYaw, HeadPitch and HeadRoll too (see this module's conventions).
    """
    times = track.seconds.double().numpy()
    parameters = track.parameters.expanded()
    changes = {name: getattr(parameters, name).clone() for name in (*NAMED, "gaze", "rotation")}
    for name in curves.values:
        found = _meaning(name, model)
        if found is not None and name not in EYE_LOOK_NAMES:
            block, k = found
            changes[block][:, k] = torch.from_numpy(curves.at(name, times)).to(changes[block])
    for block in NAMED:
        if model.count(block):
            changes[block] = model.blocks[block].clamp(changes[block])
    if any(name in curves.values for name in EYE_LOOK_NAMES):
        look = gaze_to_eye_look(changes["gaze"])
        look |= {n: torch.from_numpy(curves.at(n, times)).to(look[n]) for n in EYE_LOOK_NAMES if n in curves.values}
        changes["gaze"] = eye_look_to_gaze({n: v.clamp(0.0, 1.0) for n, v in look.items()})
        changes["expression"] = couple_lids(changes["expression"], changes["gaze"], model)
    changes["expression"] = _close_lids(changes["expression"], changes["joints"], curves, times, model, parameters)
    if head:
        angles = [curves.at(n, times) if n in curves.values else np.zeros(len(times)) for n in ANGLES[:3]]
        changes["rotation"] = head_rotation(np.stack(angles, -1)).to(changes["rotation"])
    return track.with_parameters(track.parameters.replace(**changes))


def _close_lids(
    expression: Tensor, joints: Tensor, curves: Curves, times: np.ndarray, model: FaceModel, person: FaceParameters
) -> Tensor:
    """Expression (F, E) whose lids touch where the curves' EyeBlink says so."""
    blinks = [curves.at(n, times) if n in curves.values else np.zeros(len(times)) for n in BLINKS]
    contacts = Contacts.of(model, person.identity[0]) if any(n in curves.values for n in BLINKS) else None
    if contacts is None:
        return expression
    openness = torch.from_numpy(np.stack([*(1 - b for b in blinks), np.ones(len(times))], -1)).to(expression)
    return contacts.close(expression, joints, contacts.loosened(openness))


def _meaning(name: str, model: FaceModel) -> tuple[str, int] | None:
    """The block and the index of a column, by ARKit's names, then by the model's own; None where it has neither."""
    if name in model.arkit:
        return "expression", model.arkit[name]
    for block in NAMED:
        names = [n.lower() for n in model.blocks[block].names] if model.count(block) else []
        if name.lower() in names:
            return block, names.index(name.lower())
    return None


def timecode(time: float, rate: int) -> str:
    """Seconds as hh:mm:ss:ff.fff with ``rate`` frames a second."""
    thousandths = round(time * rate * 1000)
    seconds, rest = divmod(thousandths, rate * 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _angles(rotation: Tensor, gaze: Tensor) -> dict[str, np.ndarray]:
    yaw, pitch, roll = head_angles(rotation).T
    eyes = gaze.double().numpy()
    zero = np.zeros(len(yaw))
    columns = (yaw, pitch, roll, eyes[:, 0, 0], eyes[:, 0, 1], zero, eyes[:, 1, 0], eyes[:, 1, 1], zero)
    return dict(zip(ANGLES, columns))


def _columns(path: Path, header: list[str]) -> list[str]:
    """The header in this project's spelling; names that it doesn't know as they are."""
    known = {n.lower(): n for n in (*KNOWN, "Timecode", "BlendShapeCount")}
    names = []
    for position, cell in enumerate(header, start=1):
        name = known.get(cell.lower(), cell or f"column {position}")
        if name in names:
            raise PortraitError(f"curves '{path}', row 1, column {position}: '{cell}' comes twice")
        names.append(name)
    if "Timecode" not in names:
        raise PortraitError(f"curves '{path}', row 1: expected a column 'Timecode', found {', '.join(header[:3])}...")
    if not any(name not in ("Timecode", "BlendShapeCount") for name in names):
        raise PortraitError(f"curves '{path}', row 1: expected columns of curves beside 'Timecode', found none")
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


def _times(path: Path, codes: list, numbers: list[int], rate: float) -> np.ndarray:
    """(R,) seconds after the first row, of whole seconds and frames."""
    highest = max(frames for _, frames in codes)
    if int(highest) >= round(rate):
        raise PortraitError(f"curves '{path}': frame number {highest:g} in a timecode, but the rate is {rate:g}")
    seconds = np.array([second + frames / rate for second, frames in codes])
    if codes[-1][0] < codes[0][0] - HALF_A_DAY:  # over midnight
        seconds[seconds < seconds[0]] += 86400
    late = np.flatnonzero(np.diff(seconds) <= 0)
    if len(late):
        raise PortraitError(
            f"curves '{path}', row {numbers[late[0] + 1]}, column Timecode: expected a later time than the row "
            "before; sort the rows by time"
        )
    return seconds - seconds[0]


def _rate(codes: list[tuple[int, float]]) -> float | None:
    """Frames a second, by where frame numbers begin again as the second goes up; None where they never do."""
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in zip(codes, codes[1:])]
    within = [frames for seconds, frames in steps if seconds == 0 and frames > 0]
    step = float(np.median(within)) if within else 1.0
    wraps = [step - frames for seconds, frames in steps if seconds == 1 and frames < 0]
    # Rows that are missing at a wrap make the rate look lower; thousandths of a frame, a little higher.
    return _standard(max(_count(codes), math.ceil(max(wraps) - 1))) if wraps else None


def _assumed_rate(codes: list[tuple[int, float]], default: float, rows: int | None) -> float:
    """See `read_curves`."""
    whole = int(codes[0][1]) == 0 and len(codes) == _count(codes) in STANDARD_RATES
    if whole and len(codes) != rows:
        return len(codes)
    return default if default >= _count(codes) else _standard(_count(codes))


def _count(codes: list[tuple[int, float]]) -> int:
    """How many frames a second has at least."""
    return int(max(frames for _, frames in codes)) + 1


def _standard(rate: int) -> float:
    """The lowest standard rate that is at least this one; else itself."""
    return next((r for r in STANDARD_RATES if r >= rate), rate)
