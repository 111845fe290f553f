"""The work on one clip, the same in a process here and in a Ray task elsewhere."""

from __future__ import annotations

from functools import cache

import cv2
import torch

from facemodel import PortraitError
from fitting import make_detector
from foundation.progress import Report
from portrait.batch.summary import row_of
from portrait.batch.work import Clip, Row, failed, now_and_then
from portrait.quiet import quiet_native_stderr
from portrait.services.fitting import FitOptions, fit_clip
from portrait.services.setup import Setup


def fit_one(clip: Clip, send: Report, options: FitOptions, setup: Setup) -> Row:
    """Fits a clip on one thread (and the fit's own second one, for landmarks). What goes wrong becomes its row."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with quiet_native_stderr():
            setup = setup.started()
            finder = _finder(options.detector, setup.device)
            fitted = fit_clip(clip.path, clip.track, options, setup=setup, finder=finder, report=now_and_then(send))
    except PortraitError as error:
        return failed(clip, str(error))
    except Exception as error:  # one clip's trouble isn't the others'
        return failed(clip, f"{type(error).__name__}: {error} ('portrait fit' on this clip alone shows where)")
    return row_of(clip, fitted.track, fitted.kept)


_finder = cache(make_detector)  # once a process
