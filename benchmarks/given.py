"""Where the information about a shape ends: pictures fitted alone, with more and more of the truth given.

    python -m benchmarks.given [HEADS --expressions ICT] [--faces 16] [--seed 0] [--set "trust.least_side=(1e9,1e9)"]

Each row gives the fit something that it would have to find, and holds it there: the landmarks, the camera (focal length
and the head's pose), the expression with joints and gaze, the light, the reflectance, then all of these. Drawn people
are those of `benchmarks.recovery`, and so is their error (identity, size taken out). HEADS are the choosing ones of
`benchmarks.heads`, scored as there. Of them less is known: the focal length, the 68 landmarks of iBUG in place of the
detector's 478, and, with ICT-FaceKit's folder, the expression by ARKit's names, whose shapes aren't the same on two
models. Errors are over the mean face's; the last line is one JSON object, ``drawn`` and ``heads`` by what was given.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import facemodel
import fitting
from benchmarks.changes import add_option, settings_of
from benchmarks.heads import CHOSEN_ON, persons, score
from benchmarks.heads_neutral import Expressions
from benchmarks.measures import vertex_distances
from benchmarks.recovery import FACE_SIZE
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, cut_out
from fitting.solver.state import FitState
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from foundation.errors import PortraitError
from portrait.video.images import read_image
from renderer import rotation_matrix
from synthetic import make_scene

CAMERA, EXPRESSION = ("focal", "rotation", "translation"), ("expression", "joints", "gaze")
GIVEN: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "landmarks": ("landmarks",),
    "camera": CAMERA,
    "expression": EXPRESSION,
    "light": ("light",),
    "reflectance": ("reflectance",),
    "all but landmarks": (*CAMERA, *EXPRESSION, "light", "reflectance"),
    "all": ("landmarks", *CAMERA, *EXPRESSION, "light", "reflectance"),
}
OF_HEADS = ("nothing", "landmarks", "camera", "expression", "all")
Errors = tuple[np.ndarray, np.ndarray]  # (n,) mm of the fit, and of the mean face


@dataclass(frozen=True)
class Case:
    """A picture of whose face more is known."""

    picture: np.ndarray
    found: Face  # by the detector
    marked: Face  # where the points truly are
    truth: dict[str, Tensor]  # by the names of `FitState`, of one frame; ``focal`` px
    errors: Callable[[FitState], Errors]


class Informed(Fitter):
    """A fitter that knows a part of the solution."""

    def __init__(self, model, scheme: str, guess: float, settings: fitting.Settings, truth: dict[str, Tensor]):
        super().__init__(model, scheme, guess, float(truth["focal"]) if "focal" in truth else None, settings)
        self.truth = {name: value for name, value in truth.items() if name != "focal"}
        for name in self.truth.keys() - {"reflectance"}:
            self.held_frame[self.layout.own(name)] = True
        if "reflectance" in self.truth:
            lower, upper = self.unknowns.lower.clone(), self.unknowns.upper.clone()
            lower[self.layout.slices["reflectance"]] = upper[self.layout.slices["reflectance"]] = truth["reflectance"]
            self.unknowns = replace(self.unknowns, lower=lower, upper=upper)

    def start(self, seen: Observation, like: FitState | None = None) -> FitState:
        return replace(super().start(seen, like), **self.truth)

    def admissible(self, state: FitState) -> FitState:
        return replace(super().admissible(state), **self.truth)


def fitted(model, case: Case, given: Iterable[str], settings: fitting.Settings) -> FitState:
    """The solution for the one picture, with what is ``given`` of the case's truth."""
    face = case.marked if "landmarks" in given else case.found
    truth = {name: case.truth[name] for name in given if name in case.truth}
    height, width = case.picture.shape[:2]
    fitter = Informed(model, face.scheme, focal_from_frame(width, height), settings, truth)
    crop = cut_out(case.picture, face, max(settings.joint_levels))
    return solve_shared(fitter, Observation.concatenate([crop.observe(settings.joint_levels)])).state


def ratio(model, cases: list[Case], given: Iterable[str], settings: fitting.Settings) -> float:
    """Median error of all points alike, over the mean face's."""
    errors = [case.errors(fitted(model, case, given, settings)) for case in cases]
    of_fit, of_mean = (np.median(np.concatenate(e)) for e in zip(*errors))
    return float(of_fit / of_mean)


def drawn(model, detector, count: int, seed: int) -> list[Case]:
    """Of `benchmarks.recovery`'s people those whose faces the detector finds."""
    cases, region = [], model.regions["face"]
    for k in range(count):
        scene = make_scene(model, 1000 * seed + k, 1, FACE_SIZE)
        faces = detector.detect(scene.pictures[0])
        marked = Face(scene.landmarks[0], "mediapipe478", 1.0)
        near = [f for f in faces if np.abs(f.centre - marked.centre).max() < marked.size / 4]
        if not near:
            continue
        p = scene.truth
        truth = {
            "focal": p.focal,
            "rotation": rotation_matrix(p.rotation),
            "translation": p.translation,
            "expression": p.expression,
            "joints": p.joints,
            "gaze": p.gaze,
            "light": p.illumination,
            "reflectance": p.reflectance,
        }
        true = model.vertices(p.identity)[region]
        of_mean = vertex_distances(model.mean[region], true, enlarge=True)

        def errors(state: FitState, true=true, of_mean=of_mean) -> Errors:
            return vertex_distances(model.vertices(state.identity)[region], true, enlarge=True), of_mean

        cases.append(Case(scene.pictures[0], near[0], marked, truth, errors))
    return cases


def heads(model, detector, folder: Path, expressions: Expressions | None) -> list[Case]:
    """The choosing heads of one picture each."""
    cases, people = [], persons(folder)["single"]
    for paths in list(people.values())[: CHOSEN_ON[0]]:
        path, picture = paths[0], read_image(paths[0])
        known = dict(np.load(path.with_suffix(".npz")))
        seen = known["landmarks"] @ known["R"].T + known["t"]
        points = seen @ known["K"].T
        marked = Face(points[:, :2] / points[:, 2:], "ibug68", 1.0)
        truth = {"focal": torch.tensor(float(known["K"][0, 0]))}
        if expressions is not None:
            truth["expression"] = torch.zeros(1, model.count("expression"))
            for name, weight in expressions.by_arkit(known["expression"]).items():
                if name in model.arkit:
                    truth["expression"][0, model.arkit[name]] = weight
        of_mean = score(model, None, None, known)

        def errors(state: FitState, known=known, of_mean=of_mean) -> Errors:
            return score(model, state.identity, state.expression[0], known), of_mean

        cases.append(Case(picture, detector.detect(picture)[0], marked, truth, errors))
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("heads", type=Path, nargs="?", help="the folder of `benchmarks.heads`")
    parser.add_argument("--expressions", type=Path, metavar="ICT", help="ICT-FaceKit's folder, for the heads'")
    parser.add_argument("--faces", type=int, default=16, help="drawn people; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    add_option(parser)
    options = parser.parse_args()
    model, settings, line = facemodel.load(), settings_of(parser, options), {}
    with torch.inference_mode(), contextlib.closing(fitting.make_detector()) as detector:
        try:
            kinds = {"drawn": (GIVEN, drawn(model, detector, options.faces, options.seed))}
            if options.heads:
                known = Expressions.read(options.expressions) if options.expressions else None
                kinds["heads"] = (OF_HEADS, heads(model, detector, options.heads, known))
        except PortraitError as error:
            parser.error(str(error))
        for kind, (names, cases) in kinds.items():
            if cases:
                line[kind] = {n: round(ratio(model, cases, GIVEN[n], settings), 4) for n in names}
                table = Table("given", "error over the mean face's", title=f"{kind}, {len(cases)} pictures")
                for name, value in line[kind].items():
                    table.add_row(name, f"{value:.3f}")
                Console().print(table)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
