"""What ``benchmarks.methods`` leaves: the file that `portrait methods` shows, a table for the docs, a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.claims.bars import judged
from foundation.atomic import write_file

BEGIN, END = "<!-- benchmarks.methods -->", "<!-- end -->"
HEADS = {
    "psnr": "PSNR, dB", "ssim": "SSIM", "landmarks": "landmarks, %", "identity": "identity", "pose": "pose, deg",
    "expression": "expression, %",
}  # fmt: skip
BORDER, LINE = 150, 20  # px beside and above a contact sheet's pictures


def write_figures(path: Path, settings: Mapping, methods: Mapping[str, Mapping]) -> None:
    """Adds methods to the file, or begins it anew where it is of other settings."""
    told = json.loads(path.read_text()) if path.is_file() else {}
    known = told.get("methods", {}) if told.get("settings") == dict(settings) else {}
    table = {"settings": dict(settings), "methods": dict(sorted((known | dict(methods)).items()))}
    write_file(path, json.dumps(table, indent=1) + "\n", "figures")


def markdown(settings: Mapping, methods: Mapping[str, Mapping]) -> str:
    """A table: a row a method, each figure of the same person and across persons."""
    rows = [["", "minutes", "steps", "landmarks over still", *HEADS.values()]]
    for method, figures in methods.items():
        over = figures["over_still"]
        cells = [
            cell(figures["same"].get(m), figures["across"].get(m), 100 if HEADS[m].endswith("%") else 1) for m in HEADS
        ]
        learnt = ("" if what not in figures else f"{figures[what]:g}" for what in ("minutes", "steps"))
        rows.append([method, *learnt, cell(over["same"], over["across"]), *cells])
    what = (
        f"{settings['people']} unseen people, {settings['size']} px; each learnt from {settings['learnt_from']} others "
        "for so many minutes of one CPU core's time. Two figures: a person driven by their own other clip, and by "
        "somebody else's."
    )
    return "\n".join([what, "", *table(rows), *claims(methods), *curves(methods), *on_videos(methods)])


def claims(methods: Mapping[str, Mapping]) -> list[str]:
    """Lines: the papers' claims, and what they come to."""
    rows = list(judged(methods))
    return ["", *table([("", "claim", "bar", "measured", "met", "after fewer steps"), *rows])] if rows else []


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; the first row is its head."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"| --- |{' --- |' * (len(rows[0]) - 1)}", *rest]


def on_videos(methods: Mapping[str, Mapping]) -> list[str]:
    """Lines: what was measured on real clips."""
    told = {name: figures["real"] for name, figures in methods.items() if "real" in figures}
    heads = {name: head for name, head in HEADS.items() if name != "identity"}  # of two or three people it says little
    rows = [["", "landmarks over still", *heads.values()]]
    for name, figures in told.items():
        cells = [single(figures["real"].get(m), 100 if heads[m].endswith("%") else 1) for m in heads]
        rows.append([name, single(figures["over_still"]["real"]), *cells])
    if not told:
        return []
    pairs = next(iter(told.values()))["pairs"]
    return ["", f"Real people, driven by a later stretch of their own video ({pairs} pairs).", "", *table(rows)]


def curves(methods: Mapping[str, Mapping]) -> list[str]:
    """Lines: the landmark error over the still picture's along each training that was measured on its way."""
    told = []
    for name, figures in methods.items():
        for point in figures.get("curve", ()):
            told.append(
                f"| {name} | {point['minutes']:g} | {point['steps']} | {cell(point['same'], point['across'])} |"
            )
    head = ["", "| | minutes | steps | landmarks over still |", "| --- | --- | --- | --- |"]
    return [*head, *told] if told else []


def cell(same: float | None, across: float | None, times: float = 1) -> str:
    return f"{single(same, times)} / {single(across, times)}"


def single(value: float | None, times: float = 1) -> str:
    return "-" if value is None else f"{times * value:.3g}"


def put_into(path: Path, text: str) -> None:
    """Puts a text between the marks of a page."""
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_file(path, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "page")


def strips(methods: Sequence[str], folder: Path, page: Path, heads: Sequence[str]) -> list[str]:
    """Lines: a table of pictures, a row a strip that is there, those that everything is compared with first."""
    names = dict.fromkeys(["driver", "target", "truth", *methods])
    names = [name for name in names if (folder / f"{name}.jpg").is_file()]
    where = folder.relative_to(page.parent)
    rows = [[name, f"![{name}]({where / f'{name}.jpg'})"] for name in names]
    return ["", *table([["", ", ".join(heads)], *rows])] if rows else []


def write_strip(path: Path, pictures: Sequence[np.ndarray], side: int = 96) -> None:
    """Pictures (S, S, 3) uint8 side by side, as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    strip = np.concatenate([cv2.resize(p, (side, side), interpolation=cv2.INTER_CUBIC) for p in pictures], 1)
    encoded = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    write_file(path, encoded.tobytes(), "strip of pictures")


def contact_sheet(path: Path, rows: Mapping[str, Sequence[np.ndarray]], heads: Sequence[str], side: int = 96) -> None:
    """Rows of pictures (S, S, 3) uint8 by name, with the columns' heads above, as a JPEG."""
    width = BORDER + side * len(heads)
    sheet = np.full((LINE + side * len(rows), width, 3), 255, np.uint8)
    text = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX, "fontScale": 0.38, "color": (0, 0, 0), "lineType": cv2.LINE_AA}
    for k, head in enumerate(heads):
        cv2.putText(sheet, head, (BORDER + side * k + 3, LINE - 6), **text)
    for r, (name, pictures) in enumerate(rows.items()):
        top = LINE + side * r
        cv2.putText(sheet, name, (3, top + side // 2), **text)
        for k, picture in enumerate(pictures):
            left = BORDER + side * k
            shown = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
            sheet[top : top + side, left : left + side] = shown
    encoded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    write_file(path, encoded.tobytes(), "contact sheet")
