"""One frame of a track fitted again, from where somebody put it: what the editor asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from fitting.landmarks.base import Face, LandmarkDetector
from fitting.observation.crop import observe
from fitting.policy.settings import Settings
from fitting.solver.state import FitState
from fitting.tracking.frame import Fitter
from foundation.errors import PortraitError
from geometry.camera import Camera
from geometry.rotation import rotation_matrix


def fit_again(
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    parameters: FaceParameters,
    model: FaceModel,
    detector: LandmarkDetector,
    settings: Settings | None = None,
) -> FaceParameters:
    """The frame's pose, expression, joints, gaze and light anew; who it is and the focal length are kept.

    parameters: without leading dimensions: where the face is looked for, and where the solver begins.
    PortraitError where no face is there.
    """
    camera = Camera(float(parameters.focal), picture.shape[1], picture.shape[0])
    marks = parameters.landmarks(model, camera, detector.scheme).numpy()
    guess = Face(marks, detector.scheme, 1.0)
    face = detector.refine(picture, guess.centre, guess.size)
    if face is None:
        near = [f for f in detector.detect(picture) if np.linalg.norm(f.centre - guess.centre) < guess.size]
        if not near:
            raise PortraitError("no face is found where the head is; move it onto the face first")
        face = min(near, key=lambda f: np.linalg.norm(f.centre - guess.centre))
    settings = settings or Settings()
    # How high this person's brows rest isn't known.
    settings = replace(settings, weights=replace(settings.weights, brows=0.0))
    with torch.inference_mode():
        fitter = Fitter(model, detector.scheme, camera.focal, camera.focal, settings, anybody=True)
        levels = fitter.settings
        seen = observe(picture, face, levels.levels, "cpu", levels.eyes)
        state = fitter.track(seen, None, fitter.admissible(_state(parameters, fitter))).state
        return fitter.parameters(state).expanded()[0].map(lambda t: t.clone())


def _state(p: FaceParameters, fitter: Fitter) -> FitState:
    """The solver's state of one frame's parameters."""
    p = fitter.reduced.part(p)
    return FitState(
        identity=p.identity,
        reflectance=p.reflectance,
        detail=torch.zeros(len(fitter.samples), 3),
        brows=torch.zeros(len(fitter.marks.on_brows)),
        log_focal=p.focal.log(),
        rotation=rotation_matrix(p.rotation)[None],
        translation=p.translation[None],
        expression=p.expression[None],
        gaze=p.gaze[None],
        light=p.illumination[None],
        joints=p.joints[None],
    )
