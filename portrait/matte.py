"""Mattes of persons in pictures, hair and clothes included: MediaPipe's selfie segmentation, whose weights it brings.

Frames go in, in their order, and a matte of each comes out. Data sets for avatars have these (`services.animation`).
"""

from __future__ import annotations

import numpy as np

from portrait.quiet import quiet_native_stderr


class PersonMatte:
    """As a context manager; a function of a picture (H, W, 3) uint8 sRGB that gives (H, W) uint8, 255 for a person."""

    def __enter__(self) -> PersonMatte:
        import mediapipe

        with quiet_native_stderr():
            self._segmentation = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
        return self

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        found = self._segmentation.process(np.ascontiguousarray(picture)).segmentation_mask
        return np.round(255 * found.clip(0, 1)).astype(np.uint8)

    def __exit__(self, *_) -> None:
        self._segmentation.close()
