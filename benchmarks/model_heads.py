"""What one picture tells of heads of ICT-FaceKit's own making, and what it would tell if more were known of it.

`benchmarks.models` prints the table. The truth of a head is given in turn, to the same fit: the focal length, the
expression, its 68 landmarks in place of the detector's; last all coefficients, which are those nearest to the scan, as
the heads have 100 identities and 20 are at hand. What is left then is what those 20 can't be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import fitting
from benchmarks.changes import changed
from benchmarks.heads import CHOSEN_ON, score
from benchmarks.heads_neutral import Expressions, expression_of
from facemodel.base import Block
from facemodel.linear import LinearModel
from fitting.landmarks import Face
from portrait.video.images import read_image

EXACT = 300.0  # measurements that landmarks without errors count as


@dataclass(frozen=True)
class Given:
    """What a fit is told beside the picture."""

    focal: bool = False
    expression: bool = False
    landmarks: bool = False


PLAIN, EXACTLY, NEAREST = "the picture", "68 landmarks", "all coefficients"
GIVEN = {
    PLAIN: Given(),
    "focal length": Given(focal=True),
    "focal length, expression": Given(focal=True, expression=True),
    EXACTLY: Given(landmarks=True),
    "68 landmarks, focal length, expression": Given(True, True, True),
}


class TrueLandmarks:
    """See `fitting.landmarks.LandmarkDetector`: where a head's landmarks are, of one picture with known geometry."""

    name, scheme = "true", "ibug68"

    def __init__(self, truth: Mapping[str, np.ndarray]) -> None:
        seen = (truth["landmarks"] @ truth["R"].T + truth["t"]) @ truth["K"].T
        self.face = Face(seen[:, :2] / seen[:, 2:], self.scheme, 1.0)

    def detect(self, picture: np.ndarray) -> list[Face]:
        return [self.face]

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        return self.face

    def close(self) -> None:
        pass


def single_ratios(model: LinearModel, heads: Path, of: Expressions) -> dict[str, float]:
    """By what is given: median distance to the scans of the heads that nothing was chosen on, over that of the model's
    mean shape."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*GIVEN, NEAREST)}
    mean = []
    with torch.inference_mode():
        for path in sorted((heads / "single").glob("*.png"))[CHOSEN_ON[0] :]:
            truth, picture = np.load(path.with_suffix(".npz")), read_image(path)
            expression = expression_of(model, of.names, truth["expression"])
            for name, given in GIVEN.items():
                found[name].append(_score(model, picture, truth, given, expression))
            identity = torch.zeros(model.count("identity"))
            own = of.identity(truth)
            identity[: len(own)] = torch.from_numpy(own).float()
            found[NEAREST].append(score(model, identity, expression, truth))
            mean.append(score(model, None, None, truth))
    whole = np.median(np.concatenate(mean))
    return {name: float(np.median(np.concatenate(d)) / whole) for name, d in found.items()}


def _score(
    model: LinearModel, picture: np.ndarray, truth: Mapping, given: Given, expression: torch.Tensor
) -> np.ndarray:
    settings, told = fitting.Settings(), with_expression(model, expression) if given.expression else model
    if given.landmarks:
        settings = changed(settings, [f"joint.{w}.landmarks={EXACT}" for w in ("few_weights", "few_still")])
    track = fitting.fit_image(
        picture,
        model=told,
        settings=settings,
        detector=TrueLandmarks(truth) if given.landmarks else "mediapipe",
        focal=float(truth["K"][0, 0]) if given.focal else None,
    )
    return score(model, track.parameters.identity, track.parameters.expression[0], truth)


def with_expression(model: LinearModel, values: torch.Tensor) -> LinearModel:
    """The model of a face whose expression (E,) is known: its bounds leave nothing else."""
    old = model.blocks["expression"]
    return model.rebuilt(model.flatten(), expression=Block(old.names, values, values, values, old.std))
