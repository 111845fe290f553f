"""``portrait recognize align``: a data set cropped as face recognition has it, in the same folders."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facemodel import PortraitError
from fitting import make_detector
from foundation.atomic import write_csv, write_file
from foundation.progress import Report, counted, ignore
from portrait.services.checks import check_folder
from portrait.services.events import Notes
from portrait.services.frontalizing import Frontalizer
from portrait.services.setup import Setup
from portrait.services.uv import MIRROR, TextureOptions, load_completer
from portrait.video.source import file_hash
from recognition.alignment import YawEstimate, align_face, centre_crop, middle_face
from recognition.pictures import ENDINGS, read_picture

UNFOUND, UNREADABLE = "no face: middle of the picture", "can't be decoded"


@dataclass(frozen=True)
class Aligned:
    """A folder of crops."""

    path: Path
    pictures: int  # all that there are
    aligned: int
    faceless: int  # cropped in the middle
    unreadable: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [
            f"{self.path}: {self.aligned} of {self.pictures} pictures aligned; {self.faceless} without a face, "
            f"cropped in the middle; {self.unreadable} can't be decoded"
        ]


def align_folder(
    folder: Path,
    output: Path,
    *,
    frontalize: str | None = None,
    setup: Setup = Setup(device="cpu"),
    report: Report = ignore,
) -> Aligned:
    """Writes a crop of every picture, copies what isn't a picture, and lists yaws and what had no face.

    frontalize: what completes textures (weights, or "mirror"); crops then show faces turned to the front.

    Goes on after a stop: pictures that yaw.csv or unaligned.csv has already are left.
    Raises PortraitError for what can't be used, before anything is written.
    """
    TextureOptions(complete=frontalize).check()
    files = _pictures(folder, output)
    setup, notes = setup.started(), Notes(report)
    model = setup.face_model("cpu")
    crop = Frontalizer(model, load_completer(frontalize, model, "cpu")).crop if frontalize else align_face
    found, estimate = make_detector("mediapipe"), YawEstimate(model)
    _settle(output, frontalize, setup)
    _copy_others(folder, output)
    yaws, troubles = (_read(output / name) for name in ("yaw.csv", "unaligned.csv"))
    for number, name in enumerate(counted(files, report, "align", len(files), "pictures")):
        if name in yaws or name in troubles:
            continue
        picture = read_picture(folder / name)
        if picture is None:
            troubles[name] = UNREADABLE
            continue
        face = middle_face(found.detect(picture), picture.shape)
        if face is None:
            troubles[name] = UNFOUND
            _write_picture(output / name, centre_crop(picture))
        else:
            _write_picture(output / name, crop(picture, face))
            yaws[name] = f"{estimate(face):.1f}"
        if number % 500 == 499:
            _write(output, yaws, troubles)
    found.close()
    _write(output, yaws, troubles)
    unreadable = sum(t == UNREADABLE for t in troubles.values())
    if troubles:
        notes.add(f"those without a crop of a face are named in '{output / 'unaligned.csv'}'")
    return Aligned(output, len(files), len(yaws), len(troubles) - unreadable, unreadable, tuple(notes))


def _pictures(folder: Path, output: Path) -> list[str]:
    """All pictures, relative. Raises PortraitError where there is none, or the output lies among them."""
    if not folder.is_dir():
        raise PortraitError(f"folder '{folder}': no such folder; expected a data set's")
    if output.resolve() == folder.resolve() or folder.resolve() in output.resolve().parents:
        raise PortraitError(f"output '{output}': lies in the folder that is read; choose another place")
    everything = sorted(p for p in folder.rglob("*") if p.is_file())
    pictures = [p.relative_to(folder).as_posix() for p in everything if p.suffix.lower() in ENDINGS]
    if not pictures:
        raise PortraitError(f"folder '{folder}': no pictures in it ({', '.join(ENDINGS)})")
    check_folder(output, "yaw.csv")
    return pictures


def _copy_others(folder: Path, output: Path) -> None:
    """Copies what isn't a picture, lists for instance."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() not in ENDINGS):
        place = output / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _settle(output: Path, frontalize: str | None, setup: Setup) -> None:
    """Notes how faces are cropped. PortraitError where the pictures there were cropped in another way."""
    path = output / "align.json"
    weights = frontalize if frontalize in (None, MIRROR) else file_hash(frontalize)
    wanted = {"frontalize": weights} | ({} if setup.model is None else {"model": setup.face_model("cpu").fingerprint})
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else wanted
    except (OSError, ValueError) as error:
        raise PortraitError(f"'{path}': can't be read ({error}); choose another output folder") from None
    if found != wanted:
        other = next(name for name in ("frontalize", "model") if found.get(name) != wanted.get(name))
        raise PortraitError(
            f"output '{output}': its crops were made with another --{other} ({found.get(other)}, not "
            f"{wanted.get(other)}); choose another folder"
        )
    write_file(path, json.dumps(wanted))


def _write_picture(path: Path, crop: np.ndarray) -> None:
    """Writes a crop in the format of its name; whole or not at all."""
    ok, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    if not ok:
        raise PortraitError(f"picture '{path}': OpenCV can't write this format; convert it to PNG or JPEG")
    write_file(path, data.tobytes(), "picture")


def _read(path: Path) -> dict[str, str]:
    """The second column of a table that ``_write`` wrote, by file."""
    if not path.exists():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return dict(list(csv.reader(file))[1:])
    except (OSError, ValueError, csv.Error) as error:
        raise PortraitError(f"'{path}': can't be read ({error}); delete it to crop its pictures anew") from None


def _write(output: Path, yaws: dict[str, str], troubles: dict[str, str]) -> None:
    for name, column, table in (("yaw.csv", "yaw", yaws), ("unaligned.csv", "why", troubles)):
        write_csv(output / name, [("file", column), *table.items()])
