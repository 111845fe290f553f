"""Which pixels of a picture show a person, hair and clothes included: MediaPipe's selfie segmentation."""

from __future__ import annotations

import cv2
import numpy as np

from fitting.landmarks.mediapipe import quiet_stderr

SIDE = 256  # px that the network works at


class ForegroundNet:
    """MediaPipe 0.10.21's network for people near the camera; it works on the CPU. Close it, or use ``with``."""

    def __init__(self) -> None:
        with quiet_stderr():
            from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

            self._network = SelfieSegmentation(model_selection=0)
            self._network.process(np.zeros((SIDE, SIDE, 3), np.uint8))

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(H, W) float32 in [0, 1], of (H, W, 3) uint8: how likely a pixel shows somebody."""
        height, width = picture.shape[:2]
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        found = self._network.process(large).segmentation_mask
        return cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA)

    def close(self) -> None:
        self._network.close()

    def __enter__(self) -> ForegroundNet:
        return self

    def __exit__(self, *_) -> None:
        self.close()
