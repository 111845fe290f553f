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
from facemodel.bridge.eyes import lid_edge
from facemodel.bridge.registration import correspond, outer_skin
from facemodel.bridge.surface import Surface
from facemodel.linear import LinearModel
from fitting.landmarks.base import LandmarkDetector
from fitting.landmarks.calibration import POLICY, calibrate
from fitting.landmarks.registry import make_detector
from foundation.progress import Report, ignore

FEW = 20
"""Landmarks of its own below which a model is registered by those that the detector finds on it."""
WIDE = replace(POLICY, reach=14.0, grain=1.5, stay=0.0)
"""Looking for landmarks from a first guess that may be a centimetre off."""
COVERED = 3.0
"""mm from the middle of an eye's opening to skin that lies over it; an open eye's lids are further."""
BEFORE = "MediaPipe's landmarks are"
"""How a note starts that is true of a model as it was read."""


def bridge(model: LinearModel, *, report: Report = ignore) -> LinearModel:
    """The model with what it lacks. Where the detector sees no face in its drawings, a note says so."""
    default, detector = facemodel.load(), make_detector()
    try:
        with torch.no_grad():
            own = max((int((e.weights > 0.2).sum()) for e in model.embeddings.values()), default=0)
            whole = carry_over(default, model, report=report)
            if own < FEW:
                # Painted brows and eyes that are misplaced mislead the detector, and empty eyes do so more.
                closed = _eyes_closed(default, model, whole)
                marks = _seen(_bare(default, model, whole, detector.scheme) if closed else whole, detector, report)
                whole = carry_over(default, model, marks, report=report)
            found = calibrate(whole, detector, report=report)
    finally:
        detector.close()
    if found is None:
        return _noted(whole, "the landmark detector saw no face in its drawings: landmarks weren't calibrated")
    whole = _calibrated(whole, detector.scheme)
    tensors = {f"landmark_{part}_{detector.scheme}": value for part, value in vars(found).items()}
    return whole.rebuilt(whole.flatten() | tensors)


def _bare(default: LinearModel, model: LinearModel, whole: LinearModel, scheme: str) -> LinearModel:
    """The model as it is, with a scheme's landmarks where they were carried to."""
    first = correspond(default, model, whole.correspondence.registered.double().numpy())
    return model.rebuilt(model.flatten() | surfaces.landmarks(default, model, first, scheme))


def _eyes_closed(default: LinearModel, model: LinearModel, whole: LinearModel) -> bool:
    """Whether skin of the model's own is where its lids open, in the middle."""
    laid = whole.correspondence.registered
    middles = torch.stack([laid[lid_edge(default, eye)].mean(0) for eye in (0, 1)])
    triangles = model.triangles.numpy()
    skin = Surface(model.mean.double().numpy(), triangles, outer_skin(model)[triangles].all(1))
    return bool((skin.nearest(middles.double().numpy()).distance < COVERED).all())


def _seen(model: LinearModel, detector: LandmarkDetector, report: Report) -> dict[str, tuple[Tensor, Tensor]] | None:
    """Landmarks that the detector finds, as `facemodel.bridge.alignment.find_guides` takes them; None: no face."""
    found = calibrate(model, detector, WIDE, report)
    return None if found is None else {detector.scheme: (_places(model, found), found.weights)}


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
