"""All methods of reenactment on the same unseen people, after the same time to learn: what works, and how well.

    python -m benchmarks.methods --minutes M [--size 64] [--only NAME ...] [--parts 4] [--corpus FOLDER]
        [--work FOLDER] [--write]

Methods that learn from many are trained on the people of the corpus' split "train" (200 of 240) for M minutes of the
processor's time, one core, and tried on the other 40: everybody is driven by another clip of their own ("same") and by
one of the next person ("across"), in performances that nobody has seen, and every picture is compared with the true
one; see `methods_measures`. Beside them are ``still``, the target's picture unmoved, ``face2face``, which learns
nothing and is given the true tracks, and ``truth``, which is what the measures say of the true picture. A method that
shows only whom it was adapted to is adapted to four of the test people, in M minutes together. Each paper's claims are
in ``benchmarks/claims``. With --parts each training is also measured after so many equal parts of its time, on a few
pairs. Deep Video Portraits learns one person from a clip of theirs, which is what
``benchmarks.reenactment`` measures.

The corpus is drawn where it isn't there. Trainings are kept in --work, a folder a method, and gone on with after a
stop; a method that is measured is not measured again for the same weights. --write puts the figures where `portrait
methods` shows them, and table and contact sheet into docs/methods.md. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console

from benchmarks.claims import claims_of
from benchmarks.methods_measures import Measures, summary
from benchmarks.methods_people import KINDS, SEEN, Pair, Unseen
from benchmarks.methods_report import contact_sheet, markdown, put_into, write_figures
from benchmarks.methods_training import learns_from_many, of_people, train
from facemodel.editing.mixing import mix
from foundation.atomic import write_file
from foundation.progress import Report, counted
from neural_render.corpus import Faces, face_box, gather
from neural_render.corpus.crops import cut_square
from neural_render.methods.base import METHODS, Method
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import to_pixels
from portrait.commands.progress import Progress
from portrait.services.catalogue import FIGURES
from portrait.services.clips_dataset import ClipOptions, synthesize_clips
from portrait.services.corpora import corpus_clips
from portrait.services.setup import Setup
from portrait.video.source import file_hash

CORPUS = ClipOptions(
    identities=240, clips=8, performances=64, frames=24, fps=8.0, seed=20, test=1 / 6, size=96, processes=2
)
BASELINES = ("truth", "still", "face2face")
ADAPTED = 4  # people that a method which shows only whom it was adapted to is adapted to, in M minutes together
ALONG = 10  # pairs of each kind that a curve over the training time is of
SHOWN = 4  # pairs of each kind on the contact sheet
Pictures = list[list[np.ndarray]]
"""Of each pair the measured frames, (size, size, 3) uint8."""
PAGE, SHEET = Path("docs/methods.md"), Path("docs/assets/methods.jpg")


@dataclass
class Bench:
    """People to learn from, people to be tried on, and what is measured with."""

    clips: Sequence[Clip]  # to learn from
    trained: Faces
    unseen: Unseen
    measures: Measures
    size: int
    work: Path
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    still: dict[str, list[dict[str, float]]] = field(default_factory=dict)  # figures a picture, by kind

    @classmethod
    def of(cls, folder: Path, work: Path, size: int, people: int, report: Report) -> Bench:
        setup = Setup(device="cpu").started()
        clips = corpus_clips([str(folder)], setup=setup)
        others = corpus_clips([str(folder)], split="test", setup=setup)
        names = list(dict.fromkeys(clip.person for clip in others))[:people]
        others = [clip for clip in others if clip.person in names]
        trained = gather(clips, work / f"faces-{size}-units", size, action_units=True, report=report)
        unseen = Unseen(of_people(others, work, size, report), others)
        made = cls(clips, trained, unseen, Measures(setup.face_model(), unseen.faces), size, work)
        made.pairs = {kind: unseen.pairs(kind) for kind in KINDS}
        made.still = {kind: made.rows_of(kind, made.still_pictures(kind)) for kind in KINDS}
        return made

    def rows_of(self, kind: str, pictures: Sequence[Sequence[np.ndarray]]) -> list[dict[str, float]]:
        """Figures of each picture of the first pairs, as many as there are pictures of."""
        return [
            self.measures(picture, int(row))
            for pair, made in zip(self.pairs[kind], pictures)
            for picture, row in zip(made, pair.truth, strict=True)
        ]

    def true_pictures(self, kind: str) -> Pictures:
        return [list(to_pixels(self.unseen.faces.pictures(pair.truth))) for pair in self.pairs[kind]]

    def still_pictures(self, kind: str) -> Pictures:
        return [[to_pixels(self.unseen.faces.pictures(np.array(pair.still)))] * len(SEEN) for pair in self.pairs[kind]]

    def made_pictures(
        self, method: Method, weights, kind: str, minutes: float, report: Report, most: int | None = None
    ):
        """The measured frames (size, size, 3) uint8 of each pair, or of those whose target a method is adapted to.

        most: of the first pairs alone.
        """
        adapts = weights is not None and not method.target.pictures
        pairs = self.pairs[kind][: ADAPTED if adapts else most]
        made = []
        for pair in counted(pairs, report, f"{method.name} {kind}", len(pairs), "pairs"):
            own = self.adapted(method, weights, pair, minutes / ADAPTED, report) if adapts else weights
            made.append(list(self.made(method, own, pair)))
        return made

    def adapted(self, method: Method, weights, pair: Pair, minutes: float, report: Report):
        """A method's weights made those of a pair's target, from all of their clips but the one that is asked for."""
        person, asked = pair.target.person, pair.driver.performance
        known = [clip for clip in self.unseen.clips if clip.person == person and clip.performance != asked]
        folder = self.work / method.name / person.replace("/", "-")
        method.clock = time.process_time
        method.adapt(weights, known, folder / "weights.safetensors", method.options(minutes=minutes), work=folder,
                     report=report)  # fmt: skip
        return method.load(folder / "weights.safetensors")

    def made(self, method: Method, weights, pair: Pair) -> Iterator[np.ndarray]:
        """What a method makes of a pair, as crops: whole frames are cut where the face is, or is to be."""
        driver, place = pair.driver, pair.target
        if method.driver.track:
            mixed = mix(driver.track, pair.target.track, driver.model, absolute=True)
            driver = Clip.of_track(mixed, driver.frames, driver.model)
            place = self.unseen.clips[int(self.unseen.faces.clip[pair.truth[0]])]
        crop = face_box(place.landmarks.points)
        for index, picture in enumerate(method.animate(weights, pair.target, driver)):
            if index in SEEN:
                yield picture if picture.shape[:2] == (self.size, self.size) else cut_square(picture, crop, self.size)
            if index >= max(SEEN):
                return

    def figures(self, pictures: dict[str, Pictures]) -> dict:
        """Of pictures by kind."""
        told, over = {}, {}
        for kind, made in pictures.items():
            rows = self.rows_of(kind, made)
            still = self.still[kind][: len(rows)]
            told[kind] = summary(rows, still)
            over[kind] = round(told[kind]["landmarks"] / summary(still, still)["landmarks"], 4)
        return {"pairs": len(made), **told, "over_still": over}

    def curve(self, name: str, minutes: float, parts: int, report: Report) -> list[dict]:
        """The landmark error over the still picture's along a training, before its end; kept, as it's gone by then."""
        path, told = self.work / name / "curve.json", []
        if path.is_file():
            return json.loads(path.read_text())
        for part in range(1, parts):
            method, spent = METHODS[name](), minutes * part / parts
            weights = method.load(train(method, self.clips, self.work, self.size, spent, report=report))
            made = {kind: self.made_pictures(method, weights, kind, 0, report, ALONG) for kind in KINDS}
            told.append({"minutes": round(spent, 2), "steps": weights.header.steps, **self.figures(made)["over_still"]})
        write_file(path, json.dumps(told), "curve")
        return told

    def claims(self, name: str, weights, minutes: float, report: Report) -> dict[str, float]:
        """What the method's claims come to; {} where it has no file."""
        file = claims_of(name)
        if file is None:
            return {}
        given = {
            "weights": weights, "trained": self.trained, "unseen": self.unseen.faces, "clips": self.unseen.clips,
            "work": self.work / name, "method": METHODS[name](),
        }  # fmt: skip
        for variant, values in getattr(file, "VARIANTS", {}).items():
            method = METHODS[name]()
            path = train(method, self.clips, self.work, self.size, minutes, values=values, name=variant, report=report)
            given[variant] = method.load(path)
        found = file.claims(**{parameter: given[parameter] for parameter in inspect.signature(file.claims).parameters})
        return {claim: round(float(value), 4) for claim, value in found.items()}


def measured(bench: Bench, name: str, minutes: float, parts: int, report: Report) -> tuple[dict, dict[str, Pictures]]:
    """A method's figures, and the pictures by kind; both are kept for its weights."""
    if name in ("truth", "still"):
        of_kind = bench.true_pictures if name == "truth" else bench.still_pictures
        made = {kind: of_kind(kind) for kind in KINDS}
        return bench.figures(made), made
    method, weights, facts = METHODS[name](), None, {}
    kept = bench.work / name
    kept.mkdir(parents=True, exist_ok=True)
    if learns_from_many(name):
        curve = bench.curve(name, minutes, parts, report) if parts > 1 and method.target.pictures else []
        path = train(method, bench.clips, bench.work, bench.size, minutes, report=report)
        weights = method.load(path)
        facts = {"steps": weights.header.steps, "minutes": round(weights.header.seconds / 60, 2)}
        facts |= {"curve": curve} if curve else {}
    digest = {
        "weights": file_hash(path) if weights else "", "people": len(bench.unseen.faces.people), "seen": list(SEEN)
    }  # fmt: skip
    told, shown = kept / "figures.json", kept / "pictures.npz"
    if told.is_file() and (found := json.loads(told.read_text()))["of"] == digest:
        with np.load(shown) as file:
            return found["figures"], {kind: [list(pair) for pair in file[kind]] for kind in KINDS}
    made = {kind: bench.made_pictures(method, weights, kind, minutes, report) for kind in KINDS}
    figures = facts | bench.figures(made)
    np.savez(shown, **{kind: np.array(pictures) for kind, pictures in made.items()})
    if weights is not None:
        figures["claims"] = bench.claims(name, weights, minutes, report)
    write_file(told, json.dumps({"of": digest, "figures": figures}, indent=1), "figures")
    return figures, made


def sheet_rows(bench: Bench, made: dict[str, dict[str, Pictures]]) -> dict[str, list[np.ndarray]]:
    """Rows of the contact sheet: who is driven, by whom, the truth, and each method."""
    pairs = [(kind, k) for kind in KINDS for k in range(min(SHOWN, len(bench.pairs[kind])))]
    pictures = bench.unseen.faces.pictures
    drivers = [to_pixels(pictures(bench.pairs[kind][k].driven[-1:]))[0] for kind, k in pairs]
    order = ("still", "truth", *(name for name in made if name not in ("still", "truth")))
    rows = {"driver": drivers} | {
        name: [made[name][kind][k][-1] for kind, k in pairs] for name in order if name in made
    }
    return {"target" if name == "still" else name: shown for name, shown in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--people", type=int, default=40, help="of the test people, so many")
    parser.add_argument("--work", type=Path, default=Path("bench.methods"))
    parser.add_argument("--corpus", type=Path, help="default: people240 in --work")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    names = args.only or [*BASELINES, *(name for name in METHODS if learns_from_many(name))]
    with Progress() as report:
        folder = args.corpus or args.work / "people240"
        synthesize_clips(folder, CORPUS, report=report)
        bench = Bench.of(folder, args.work, args.size, args.people, report)
        found, made = {}, {}
        for name in names:
            found[name], made[name] = measured(bench, name, args.minutes, args.parts, report)
            print(json.dumps({name: found[name]}), flush=True)
    settings = {
        "minutes": args.minutes, "size": args.size, "people": len(bench.unseen.faces.people),
        "learnt_from": len(bench.trained.people),
    }  # fmt: skip
    sheet = sheet_rows(bench, made)
    heads = [f"{kind} {k + 1}" for kind in KINDS for k in range(min(SHOWN, args.people))]
    contact_sheet(args.work / "sheet.jpg", sheet, heads)
    Console().print(markdown(settings, found))
    if args.write:
        write_figures(FIGURES, settings, found)
        told = json.loads(FIGURES.read_text())
        put_into(PAGE, markdown(told["settings"], told["methods"]))
        contact_sheet(SHEET, sheet, heads)
    print(json.dumps({"settings": settings, "methods": found}))


if __name__ == "__main__":
    main()
