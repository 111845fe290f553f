"""What methods are tried with in ``benchmarks.methods``: pairs of people, the truth, and what is measured."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.claims import claims_of
from benchmarks.methods_measures import Measures, summary
from benchmarks.methods_people import KINDS, SEEN, Pair, Unseen, joined
from benchmarks.methods_real import REAL, real_pairs, stretches
from benchmarks.methods_training import of_people, shows_one, train
from facemodel.editing.mixing import mix
from foundation.atomic import write_file
from foundation.progress import Report, counted
from neural_render.corpus import Faces, face_box, gather
from neural_render.corpus.crops import cut_square
from neural_render.methods.base import METHODS, Method
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import to_pixels
from portrait.services.corpora import corpus_clips
from portrait.services.setup import Setup

ADAPTED = 4  # people that a method which shows only whom it has learnt learns, in M minutes together
ALONG = 10  # pairs of each kind that a curve over the training time is of
Pictures = list[list[np.ndarray]]
"""Of each pair the measured frames, (size, size, 3) uint8."""


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
        return made.trying({kind: unseen.pairs(kind) for kind in KINDS})

    @classmethod
    def of_videos(cls, videos: Sequence[Path], work: Path, size: int, report: Report) -> Bench:
        """There is nobody to learn from."""
        setup = Setup(device="cpu").started()
        clips = list(stretches(videos, setup))
        faces = gather(clips, work / f"real-{size}", size, report=report)
        made = cls([], faces, Unseen(faces, clips), Measures(setup.face_model(), faces), size, work)
        return made.trying({REAL: real_pairs(made.unseen)})

    def trying(self, pairs: dict[str, list[Pair]]) -> Bench:
        """With these pairs by kind."""
        self.pairs = pairs
        self.still = {kind: self.rows_of(kind, self.still_pictures(kind)) for kind in pairs}
        return self

    def rows_of(self, kind: str, pictures: Sequence[Sequence[np.ndarray]]) -> list[dict[str, float]]:
        """Figures of each picture of the first pairs, as many as there are pictures of."""
        return [
            self.measures(picture, int(row))
            for pair, made in zip(self.pairs[kind], pictures)
            for picture, row in zip(made, pair.truth, strict=True)
        ]

    def baseline(self, name: str, kind: str) -> Pictures:
        """Of ``truth`` or ``still``."""
        if name == "still":
            return self.still_pictures(kind)
        return [list(to_pixels(self.unseen.faces.pictures(pair.truth))) for pair in self.pairs[kind]]

    def still_pictures(self, kind: str) -> Pictures:
        return [[to_pixels(self.unseen.faces.pictures(np.array(pair.still)))] * len(SEEN) for pair in self.pairs[kind]]

    def made_pictures(
        self, method: Method, weights, kind: str, minutes: float, report: Report, most: int | None = None
    ):
        """The measured frames (size, size, 3) uint8 of each pair, or of those whose target a method learns.

        most: of the first pairs alone.
        """
        one = shows_one(method)
        pairs = self.pairs[kind][: ADAPTED if one else most]
        made = []
        for pair in counted(pairs, report, f"{method.name} {kind}", len(pairs), "pairs"):
            own = self.learnt(method, weights, pair, minutes / ADAPTED, report) if one else weights
            if one and weights is None:  # a method that asks again for the clip that it learnt
                made.append(list(self.made(method, own, replace(pair, target=joined(self.known(pair))))))
            else:
                made.append(list(self.made(method, own, pair)))
        return made

    def known(self, pair: Pair) -> list[Clip]:
        """Clips of a pair's target, all but the one that is asked for."""
        person, asked = pair.target.person, pair.driver.performance
        return [clip for clip in self.unseen.clips if clip.person == person and clip.performance != asked]

    def learnt(self, method: Method, weights, pair: Pair, minutes: float, report: Report):
        """Weights of a pair's target, from the clips that are known of them.

        weights: those of many people that are adapted, anew where they have learnt more since; None where the method
        has none.
        """
        name = pair.target.person.replace("/", "-") + ("" if weights is None else f"-{weights.header.steps}")
        known, folder = self.known(pair), self.work / method.name / name
        out = folder / "weights.safetensors"
        method.clock = time.process_time
        if weights is None:
            options = method.options(minutes=minutes, size=self.size)
            method.train([joined(known)], out, options, work=folder, report=report)
            return method.load(out, known[0].model)
        method.adapt(weights, known, out, method.options(minutes=minutes), work=folder, report=report)
        return method.load(out)

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
