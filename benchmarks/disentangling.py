"""How well an expression is read of each way to express it, and how much of the person is left in that; and of persons.

    python -m benchmarks.disentangling [--work bench.methods] [--people 24] [--clips 4] [--picture FILE]

Draws people that no training has, each in performances of their own, and again under another light and with the head
turned otherwise. Each way makes a code of every picture. Then, of linear probes: R2 of the 52 expressions and of the
head's angles, on people whom the probe never saw; how often it names the person, of all of them, in performances that
it never saw; and how much of a code stays where light or pose alone change (1 all, 0 none).

Methods' weights are what `benchmarks.methods` left in its --work; ways whose weights aren't there are left out, and
said. What is measured is kept there, and not measured again for the same people and weights. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.disentangling_people import VERSIONS, Shown, draw_people
from benchmarks.disentangling_ways import Way, plain_ways, ways_of_methods
from benchmarks.probes import explained, recognized, stability
from foundation.atomic import write_file

COLUMNS = {
    "numbers": "{:.0f}", "expression_r2": "{:.2f}", "pose_r2": "{:.2f}", "person": "{:.2f}", "light": "{:.2f}",
    "turned": "{:.2f}", "ms": "{:.1f}",
}  # fmt: skip
FEWEST = 4
SIDE, MARGIN = 640, 70  # px of the picture
PANELS = {
    "expression_r2": "R2 of the 52 expressions, of people never seen",
    "pose_r2": "R2 of the head's angles, of people never seen",
}
COLOURS = {"expression": (200, 90, 20), "identity": (30, 110, 200)}


def score(way: Way, shown: Mapping[str, Shown], clips: int) -> dict[str, float]:
    """What the module's first lines say, of one way. clips: of each person."""
    plain, light, turned = (shown[version] for version in VERSIONS)
    before = way.fits.seconds(plain) if way.fits else 0.0  # whoever is asked first has them made; all need them
    began = time.process_time()
    codes = way.codes(plain).astype(np.float64)
    spent = before + time.process_time() - began
    return {
        "numbers": codes.shape[1],
        "expression_r2": explained(codes, plain.expression, plain.person),
        "pose_r2": explained(codes, plain.pose, plain.person),
        "person": recognized(codes, plain.person, plain.clip % clips),
        "light": stability(codes, way.codes(light)),
        "turned": stability(codes, way.codes(turned)),
        "ms": 1000 * spent / len(plain),
    }


@dataclass(frozen=True)
class Kept:
    """Scores of ways in a file, of people of the same settings."""

    path: Path
    settings: Mapping[str, int]

    def read(self, ways: Sequence[Way]) -> dict[str, dict[str, float]]:
        """By name, of those ways that were measured with the weights they have now."""
        told = json.loads(self.path.read_text()) if self.path.is_file() else {}
        known = told.get("ways", {}) if told.get("settings") == self.settings else {}
        return {way.name: known[way.name]["scores"] for way in ways if known.get(way.name, {}).get("of") == way.of}

    def write(self, ways: Sequence[Way], scores: Mapping[str, Mapping[str, float]]) -> None:
        told = {way.name: {"of": way.of, "scores": scores[way.name]} for way in ways if way.name in scores}
        write_file(self.path, json.dumps({"settings": self.settings, "ways": told}, indent=1), "scores")


def draw(scores: Mapping[str, Mapping[str, float]], holds: Mapping[str, str]) -> np.ndarray:
    """(H, W, 3) uint8: each way where its expression, and beside it the pose, is read, and its person named (up)."""
    return np.concatenate([panel(scores, holds, column, title) for column, title in PANELS.items()], 1)


def panel(scores: Mapping[str, Mapping[str, float]], holds: Mapping[str, str], column: str, title: str) -> np.ndarray:
    """(H, W, 3) uint8, of one column."""
    picture = np.full((SIDE, SIDE + 200, 3), 255, np.uint8)
    inner = SIDE - 2 * MARGIN

    def at(x: float, y: float) -> tuple[int, int]:
        return round(MARGIN + inner * min(max(x, 0.0), 1.0)), round(SIDE - MARGIN - inner * min(max(y, 0.0), 1.0))

    def text(words: str, place: tuple[int, int], colour=(60, 60, 60)) -> None:
        cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)

    for tick in np.linspace(0, 1, 6):
        cv2.line(picture, at(tick, 0), at(tick, 1), (225, 225, 225))
        cv2.line(picture, at(0, tick), at(1, tick), (225, 225, 225))
        text(f"{tick:.1f}", (at(tick, 0)[0] - 10, SIDE - MARGIN + 18))
        text(f"{tick:.1f}", (MARGIN - 32, at(0, tick)[1] + 5))
    text(title, (MARGIN + 90, SIDE - 24))
    text("share of pictures whose person is named", (MARGIN, 40))
    taken: list[tuple[int, int]] = []
    for name, values in sorted(scores.items(), key=lambda item: -item[1]["person"]):
        x, y = at(values[column], values["person"])
        cv2.circle(picture, (x, y), 5, COLOURS[holds[name]], -1, cv2.LINE_AA)
        label = y + 4
        while any(abs(label - other) < 13 and abs(x - there) < 190 for there, other in taken):
            label += 13
        taken.append((x, label))
        text(name, (x + 9, label), COLOURS[holds[name]])
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("bench.methods"), help="of benchmarks.methods")
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--clips", type=int, default=4, help="of each person")
    parser.add_argument("--frames", type=int, default=6, help="of each clip")
    parser.add_argument("--size", type=int, default=128, help="px of the pictures")
    parser.add_argument("--picture", type=Path, help="where to draw the ways, a PNG")
    given = parser.parse_args()
    for name in ("people", "clips"):
        if getattr(given, name) < FEWEST:
            parser.error(f"--{name}: expected at least {FEWEST}, as probes leave out halves, and parts of these")
    learnt, missing = ways_of_methods(sorted(given.work.glob("*/weights/weights.safetensors")))
    console = Console(stderr=True)
    for name in missing:
        console.print(f"{name}: no weights, its ways are left out")
    settings = {name: getattr(given, name) for name in ("people", "clips", "frames", "size")}
    ways, kept = [*plain_ways(), *learnt], Kept(given.work / "ways.json", settings)
    scores = kept.read(ways)
    if missed := [way for way in ways if way.name not in scores]:
        shown, seconds = draw_people(**settings)
        console.print(f"drawn in {seconds:.0f} s of the processor")
        for way in missed:
            scores[way.name] = score(way, shown, given.clips)
            kept.write(ways, scores)
            console.print(f"{way.name}: " + ", ".join(f"{k} {v:.3g}" for k, v in scores[way.name].items()))
    holds = {way.name: way.holds for way in ways}
    table = Table("way", "to hold", *COLUMNS)
    scores = {way.name: scores[way.name] for way in ways}
    for name, values in scores.items():
        table.add_row(name, holds[name], *(shape.format(values[k]) for k, shape in COLUMNS.items()))
    Console().print(table)
    if given.picture:
        cv2.imwrite(str(given.picture), draw(scores, holds)[..., ::-1])
    pictures = given.people * given.clips * given.frames
    facts = {"people": given.people, "pictures": pictures, "chance": 1 / given.people}
    print(json.dumps({"ways": scores, "left_out": missing, **facts}))


if __name__ == "__main__":
    main()
