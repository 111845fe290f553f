"""eos's landmark fit beside ours on the same 68 points, as `benchmarks.tracking --eos` times it.

eos (Huber et al., "A Multiresolution 3D Morphable Face Model and Fitting Framework", 2016) needs its own model, which
isn't ours to pass on: a folder with the files of eos's ``share``.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import fitting
from facemodel import Track
from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from foundation.errors import PortraitError

FILES = (
    "sfm_shape_3448.bin",
    "expression_blendshapes_3448.bin",
    "ibug_to_sfm.txt",
    "sfm_model_contours.json",
    "sfm_3448_edge_topology.json",
)
SCHEME = "ibug68"
CLIP_STEPS = 3  # of Gauss-Newton a frame, from the frame before


class EosFit:
    """eos's model with its expressions, landmark map and contours; call it with (68, 2) px."""

    def __init__(self, folder: Path) -> None:
        try:
            import eos
        except ImportError:
            raise PortraitError("--eos: package 'eos-py' isn't installed; run 'pip install eos-py==1.5.0'") from None
        for name in FILES:
            if not (folder / name).is_file():
                raise PortraitError(
                    f"--eos '{folder}': expected eos's model files there, {name} is missing; "
                    "take them from the folder 'share' of eos's repository"
                )
        shape, blendshapes, landmarks, contours, topology = (str(folder / name) for name in FILES)
        base = eos.morphablemodel.load_model(shape)
        self.model = eos.morphablemodel.MorphableModel(
            base.get_shape_model(),
            eos.morphablemodel.load_blendshapes(blendshapes),
            color_model=eos.morphablemodel.PcaModel(),
            vertex_definitions=None,
            texture_coordinates=base.get_texture_coordinates(),
        )
        self.with_landmarks = eos.core.LandmarkMapper(landmarks)
        self.topology = eos.morphablemodel.load_edge_topology(topology)
        self.contours = eos.fitting.ContourLandmarks.load(landmarks), eos.fitting.ModelContour.load(contours)
        self.eos = eos

    def __call__(self, points: np.ndarray, width: int, height: int):
        marks = [self.eos.core.Landmark(str(k + 1), [float(x), float(y)]) for k, (x, y) in enumerate(points)]
        return self.eos.fitting.fit_shape_and_pose(
            self.model, marks, self.with_landmarks, width, height, self.topology, *self.contours
        )


def compare(eos_fit, model, track: Track, points: np.ndarray) -> dict[str, float]:
    """Median milliseconds a picture of landmark fits to (F, 68, 2) px, neighbouring frames of a clip.

    Milliseconds of processor time, which other programs on the machine don't change; all work on one core.

    - ``landmarks_ms``: ours, every picture alone: identity, focal length, pose, expression and gaze as a clip's key
      frames have it, twelve steps on landmarks alone;
    - ``clip_ms``: ours, frame after frame, with the identity of the first;
    - ``eos_ms``: ``eos_fit``, called with the points, the width and the height.
    """
    blank = np.zeros((track.height, track.width, 3), np.uint8)
    # No steps with the photometric term, so no pyramid, and hardly any surface samples.
    only_landmarks = fitting.Settings(
        joint_steps=(), joint_levels=(), levels=(), steps=(), landmark_steps=CLIP_STEPS, samples=100
    )
    fitter = Fitter(model, SCHEME, focal_from_frame(track.width, track.height), settings=only_landmarks)
    spent: dict[str, list[float]] = {"landmarks_ms": [], "clip_ms": [], "eos_ms": []}
    person = before = None
    with torch.inference_mode():
        for marks in points:
            seen = cut_out(blank, Face(marks, SCHEME, 1.0), 64).observe(())
            with _added_to(spent["landmarks_ms"]):
                alone = solve_shared(fitter, seen).state
            person = person or alone
            with _added_to(spent["clip_ms"]):
                before = fitter.track(seen, before, before or person, 1 / track.fps).state
            with _added_to(spent["eos_ms"]):
                eos_fit(marks, track.width, track.height)
    return {name: statistics.median(values) for name, values in spent.items()}


@contextlib.contextmanager
def _added_to(spent: list[float]) -> Iterator[None]:
    begun = time.process_time()
    yield
    spent.append(1000 * (time.process_time() - begun))
