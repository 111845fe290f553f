"""An imported model, with everything that the default one has: carried over, and landmarks found by the detector."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import torch
from torch import Tensor

import facemodel
from facemodel.base import LandmarkEmbedding
from facemodel.bridge import surfaces
from facemodel.bridge.carrying import carry_over
from facemodel.bridge.registration import register
from facemodel.linear import LinearModel
from fitting.landmarks.base import LandmarkDetector
from fitting.landmarks.calibration import POLICY, calibrate
from fitting.landmarks.registry import make_detector
from foundation.progress import Report, ignore

FEW = 20
"""Landmarks of its own below which a model is registered by those that the detector finds on it."""
WIDE = replace(POLICY, reach=14.0, grain=1.5, stay=0.0)
"""Looking for landmarks from a first guess that may be a centimetre off."""
BEFORE = "MediaPipe's landmarks are"
"""How a note starts that is true of a model as it was read."""


def bridge(model: LinearModel, *, report: Report = ignore) -> LinearModel:
    """The model with what it lacks. Where the detector sees no face in its drawings, a note says so."""
    default, detector = facemodel.load(), make_detector()
    try:
        with torch.no_grad():
            own = max((int((e.weights > 0.2).sum()) for e in model.embeddings.values()), default=0)
            marks = _seen_bare(default, model, detector, report) if own < FEW else None
            whole = carry_over(default, model, marks, report=report)
            found = calibrate(whole, detector, report=report)
    finally:
        detector.close()
    if found is None:
        return _noted(whole, "the landmark detector saw no face in its drawings: landmarks weren't calibrated")
    whole = _calibrated(whole, detector.scheme)
    tensors = {f"landmark_{part}_{detector.scheme}": value for part, value in vars(found).items()}
    return whole.rebuilt(whole.flatten() | tensors)


def _seen_bare(
    default: LinearModel, model: LinearModel, detector: LandmarkDetector, report: Report
) -> dict[str, tuple[Tensor, Tensor]] | None:
    """Landmarks that the detector finds on the model as it is: colours and eyes that may be misplaced would mislead it.

    As `facemodel.bridge.alignment.find_guides` takes them; None where it sees no face.
    """
    first = register(default, model, report=report)
    bare = model.rebuilt(model.flatten() | surfaces.landmarks(default, model, first, detector.scheme))
    found = calibrate(bare, detector, WIDE, report)
    return None if found is None else {detector.scheme: (_places(bare, found), found.weights)}


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
