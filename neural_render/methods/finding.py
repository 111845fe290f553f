"""What finds things in a clip, for its fields ``find_track`` and ``find_landmarks``: the largest face is followed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facemodel.landmark_schemes import SCHEMES
from facemodel.track import Track
from fitting import fit_video, make_detector
from fitting.landmarks.base import LandmarkDetector
from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore
from neural_render.methods.clip import Clip, Landmarks


def fitted(**options) -> Callable[[Clip], Track]:
    """Fits the clip's model to it. options: of `fitting.fit_video`."""
    return lambda clip: fit_video(clip.frames, model=clip.model, **options)


def detected(
    detector: str | LandmarkDetector = "mediapipe", device: str = "cpu", report: Report = ignore, *, needed: bool = True
) -> Callable[[Clip], Landmarks]:
    """Runs a landmark detector alone: no face model is needed.

    needed: PortraitError for a clip without a face; else it has NaN alone, for who goes through thousands of clips.
    """

    def find(clip: Clip) -> Landmarks:
        finder, face, rows = make_detector(detector, device), None, []
        try:
            for _, _, rgb in counted(clip.frames, report, "landmarks", clip.count):
                face = None if face is None else finder.refine(rgb, face.centre, face.size)
                face = face or next(iter(finder.detect(rgb)), None)
                rows.append(None if face is None else face.points)
        finally:
            if finder is not detector:
                finder.close()
        known = next((points for points in rows if points is not None), None)
        if known is None and not needed:
            known = np.zeros((SCHEMES[finder.scheme].count, 2))
        if known is None:
            raise PortraitError(f"{clip}: expected a face in at least one frame, found none; use another clip")
        missing = np.full_like(known, np.nan)
        points = np.stack([missing if points is None else points for points in rows])
        return Landmarks(finder.scheme, points.astype(np.float32))

    return find
