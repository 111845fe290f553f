"""``portrait recognize align``: a data set cropped as face recognition has it, in the same folders."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from facemodel import PortraitError
from facemodel.errors import write_error
from fitting.landmarks import make_detector
from recognition.alignment import YawEstimate, align, centre_crop, five_points, middle_face
from recognition.files import write_text
from recognition.pictures import ENDINGS, read_picture

from ..progress import Progress, say
from ..tracks import default_model

UNFOUND, UNREADABLE = "no face: middle of the picture", "can't be decoded"


def align_folder(folder: Path, output: Path) -> None:
    """Writes a crop of every picture, copies what isn't a picture, and lists yaws and what had no face.

    Goes on after a stop: pictures that yaw.csv or unaligned.csv has already are left.
    """
    files = _pictures(folder, output)
    yaws, troubles = (_read(output / name) for name in ("yaw.csv", "unaligned.csv"))
    detector, estimate = make_detector("mediapipe"), YawEstimate(default_model("cpu"))
    with Progress() as progress:
        for number, name in enumerate(progress.over(files, len(files), "align")):
            if name in yaws or name in troubles:
                continue
            picture = read_picture(folder / name)
            if picture is None:
                troubles[name] = UNREADABLE
                continue
            face = middle_face(detector.detect(picture), picture.shape)
            if face is None:
                troubles[name] = UNFOUND
                _write_picture(output / name, centre_crop(picture))
            else:
                _write_picture(output / name, align(picture, five_points(face)))
                yaws[name] = f"{estimate(face):.1f}"
            if number % 500 == 499:
                _write(output, yaws, troubles)
    _write(output, yaws, troubles)
    unreadable = sum(t == UNREADABLE for t in troubles.values())
    say(
        f"{output}: {len(yaws)} of {len(files)} pictures aligned; {len(troubles) - unreadable} without a face, cropped "
        f"in the middle; {unreadable} can't be decoded"
    )
    if troubles:
        say(f"  note: they are named in '{output / 'unaligned.csv'}'")


def _pictures(folder: Path, output: Path) -> list[str]:
    """All pictures, relative; everything else is copied."""
    if not folder.is_dir():
        raise PortraitError(f"folder '{folder}': no such folder; expected a data set's")
    if output.resolve() == folder.resolve() or folder.resolve() in output.resolve().parents:
        raise PortraitError(f"output '{output}': lies in the folder that is read; choose another place")
    everything = sorted(p for p in folder.rglob("*") if p.is_file())
    pictures = [p.relative_to(folder).as_posix() for p in everything if p.suffix.lower() in ENDINGS]
    if not pictures:
        raise PortraitError(f"folder '{folder}': no pictures in it ({', '.join(ENDINGS)})")
    for path in everything:
        if path.suffix.lower() not in ENDINGS:
            place = output / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return pictures


def _write_picture(path: Path, crop: np.ndarray) -> None:
    """Writes a crop in the format of its name; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    if not ok:
        raise PortraitError(f"picture '{path}': OpenCV can't write this format; convert it to PNG or JPEG")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(data.tobytes())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_error("picture", path, error) from None


def _read(path: Path) -> dict[str, str]:
    """The second column of a table that ``_write`` wrote, by file."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return dict(list(csv.reader(file))[1:])


def _write(output: Path, yaws: dict[str, str], troubles: dict[str, str]) -> None:
    for name, column, table in (("yaw.csv", "yaw", yaws), ("unaligned.csv", "why", troubles)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("file", column), *table.items()])
        write_text(output / name, text.getvalue())
