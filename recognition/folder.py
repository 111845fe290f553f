"""A data set in the standard layout: a folder an identity, and metadata.csv beside the folders where there is one.

    root/anna/0001.png  root/anna/0002.png  root/ben/0001.png ...  root/metadata.csv

metadata.csv has a row a picture: ``file`` (relative to the root), ``identity``, and where known ``yaw`` and ``pitch``
in degrees (yaw positive to the subject's left), ``split``, and what a synthetic set was made with (``light``,
``expression``: seeds). Columns that aren't known here are left alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError
from recognition.pictures import ENDINGS

LISTED = 20  # names in an error; the rest is counted


@dataclass(frozen=True)
class FaceFolder:
    """The pictures of a data set, before any is read."""

    root: Path
    files: tuple[str, ...]  # (N) relative to the root, sorted
    labels: np.ndarray  # (N,) int64, rows of ``identities``
    identities: tuple[str, ...]  # sorted
    yaw: np.ndarray  # (N,) float32, degrees; NaN where it isn't known
    splits: tuple[str, ...]  # (N) "" where there is none

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> list[Path]:
        return [self.root / f for f in self.files]

    @property
    def counts(self) -> np.ndarray:
        """(C,) pictures of each identity."""
        return np.bincount(self.labels, minlength=len(self.identities))

    def where(self, keep: np.ndarray) -> FaceFolder:
        """Only the pictures in the (N,) mask; identities left without any are dropped, labels run from 0 again."""
        rows = np.flatnonzero(keep)
        if not len(rows):
            raise PortraitError(f"data '{self.root}': no picture is left; see the settings under [data]")
        left, labels = np.unique(self.labels[rows], return_inverse=True)
        return FaceFolder(
            self.root, tuple(self.files[k] for k in rows), labels.astype(np.int64),
            tuple(self.identities[k] for k in left), self.yaw[rows], tuple(self.splits[k] for k in rows),
        )  # fmt: skip

    def of_split(self, split: str) -> FaceFolder:
        """Only the pictures of this split; all of them for ""."""
        if not split:
            return self
        keep = np.array([s == split for s in self.splits])
        if not keep.any():
            known = sorted(set(self.splits) - {""}) or ["none"]
            raise PortraitError(f"split '{split}': '{self.root / 'metadata.csv'}' has {', '.join(known)}")
        return self.where(keep)

    def at_least(self, pictures: int) -> FaceFolder:
        """Only identities with so many pictures."""
        return self.where(self.counts[self.labels] >= pictures)


def read_folder(root: Path) -> FaceFolder:
    """Lists a data set. PortraitError for a missing or empty folder and for a metadata.csv that doesn't fit it."""
    root = Path(root)
    if not root.is_dir():
        raise PortraitError(f"data '{root}': no such folder; expected a folder of folders, one an identity")
    # ".partial": what a stopped run of 'portrait synthesize-dataset' left of a person
    people = sorted(p for p in root.iterdir() if p.is_dir() and p.name[:1] != "." and p.suffix != ".partial")
    found = {
        f"{person.name}/{file.name}": person.name
        for person in people
        for file in sorted(person.iterdir())
        if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
    }
    if not found:
        loose = any(p.suffix.lower() in ENDINGS for p in root.iterdir())
        what = "pictures lie in the folder itself" if loose else f"no {', '.join(ENDINGS)} in its folders"
        raise PortraitError(f"data '{root}': {what}; expected one folder an identity, with pictures in each")
    rows = _read_metadata(root / "metadata.csv", found)
    files = tuple(sorted(found))
    identities = tuple(sorted(set(found.values())))
    number = {name: k for k, name in enumerate(identities)}
    return FaceFolder(
        root=root,
        files=files,
        labels=np.array([number[found[f]] for f in files], np.int64),
        identities=identities,
        yaw=np.array([rows.get(f, (np.nan, ""))[0] for f in files], np.float32),
        splits=tuple(rows.get(f, (np.nan, ""))[1] for f in files),
    )


def _read_metadata(path: Path, found: dict[str, str]) -> dict[str, tuple[float, str]]:
    """Yaw and split of each file; checks names against the folders."""
    if not path.exists():
        return {}
    rows, missing = {}, []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            absent = {"file", "identity"} - set(reader.fieldnames or [])
            if absent:
                raise PortraitError(
                    f"'{path}': needs the columns file and identity, has {', '.join(reader.fieldnames or ['none'])}"
                )
            for row in reader:
                name, line = row["file"] or "", f"'{path}' line {reader.line_num}"
                if name not in found:
                    missing.append(name)
                    continue
                if name in rows:
                    raise PortraitError(f"{line}: '{name}' stands there twice; leave one row a picture")
                if row["identity"] != found[name]:
                    raise PortraitError(
                        f"{line}: '{name}' lies in the folder '{found[name]}' but its identity says "
                        f"'{row['identity']}'; make them agree"
                    )
                rows[name] = _angle(row.get("yaw"), line), row.get("split") or ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PortraitError(f"'{path}': can't be read ({error}); write it as CSV in UTF-8") from None
    if missing:
        raise PortraitError(
            f"'{path}': {listed(missing, 'picture')} not in the folders; remove the rows, or add the files"
        )
    return rows


def _angle(text: str | None, line: str) -> float:
    if not (text or "").strip():
        return np.nan
    try:
        angle = float(text)
    except ValueError:
        angle = np.nan
    if not -180 <= angle <= 180:
        raise PortraitError(f"{line}: yaw is '{text}', expected degrees from -180 to 180, or nothing")
    return angle


def listed(names: list[str], what: str, most: int = LISTED) -> str:
    """``3 pictures (a, b, c)``; at most the first ``most`` names."""
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''} ({shown})"
