"""An imported model, with everything that the default one has: carried over, and landmarks found by the detector."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

import facemodel
from facemodel.base import LandmarkEmbedding
from facemodel.bridge.carrying import carry_over
from facemodel.linear import LinearModel
from fitting.landmarks.base import LandmarkDetector
from fitting.landmarks.calibration import calibrate
from fitting.landmarks.registry import make_detector
from foundation.progress import Report, ignore

FEW = 20
"""Landmarks of its own below which a model is registered again with those that the detector found."""
BEFORE = "MediaPipe's landmarks are"
"""How a note starts that is true of a model as it was read."""


def bridge(model: LinearModel, *, report: Report = ignore) -> LinearModel:
    """The model with what it lacks. Where the detector sees no face in its drawings, a note says so."""
    default, detector = facemodel.load(), make_detector()
    try:
        with torch.no_grad():
            whole, found = _attempt(default, model, None, detector, report)
            own = max((int((e.weights > 0.2).sum()) for e in model.embeddings.values()), default=0)
            if found is not None and own < FEW:
                marks = {detector.scheme: (_places(whole, found), found.weights)}
                whole, found = _attempt(default, model, marks, detector, report)
    finally:
        detector.close()
    if found is None:
        return _noted(whole, "the landmark detector saw no face in its drawings: landmarks weren't calibrated")
    whole = _calibrated(whole, detector.scheme)
    tensors = {f"landmark_{part}_{detector.scheme}": value for part, value in vars(found).items()}
    return whole.rebuilt(whole.flatten() | tensors)


def _attempt(
    default: LinearModel, model: LinearModel, marks, detector: LandmarkDetector, report: Report
) -> tuple[LinearModel, LandmarkEmbedding | None]:
    whole = carry_over(default, model, marks, report=report)
    return whole, calibrate(whole, detector, report=report)


def _places(model: LinearModel, embedding: LandmarkEmbedding) -> Tensor:
    """(L, 3) mm on the mean."""
    return (model.mean[model.triangles[embedding.triangles]] * embedding.barycentric[..., None]).sum(1)


def _calibrated(model: LinearModel, scheme: str) -> LinearModel:
    """The model, whose provenance says that a scheme's landmarks are the detector's."""
    if model.provenance is not None:
        others = [c for c in model.provenance.carried if not c.startswith(f"landmarks {scheme}")]
        carried = (*others, f"landmarks {scheme} (found by the detector)")
        notes = tuple(n for n in model.provenance.notes if not n.startswith(BEFORE))
        model.provenance = dataclasses.replace(model.provenance, carried=carried, notes=notes)
    return model


def _noted(model: LinearModel, note: str) -> LinearModel:
    if model.provenance is not None:
        model.provenance = dataclasses.replace(model.provenance, notes=(*model.provenance.notes, note))
    return model
