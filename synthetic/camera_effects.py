"""What a camera does to a picture: defocus, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Generator

from synthetic.chance import uniform


@dataclass(frozen=True)
class CameraEffects:
    """The defaults leave a picture as it is."""

    blur: float = 0.0  # px, standard deviation
    noise: float = 0.0  # of the whole range, standard deviation
    quality: int | None = None  # of JPEG; None isn't compressed

    @classmethod
    def random(cls, g: Generator) -> CameraEffects:
        """A decent camera's."""
        return cls(uniform(g, 0.3, 0.9), uniform(g, 1.0, 4.0) / 255, int(uniform(g, 70, 96)))

    def __call__(self, picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(H, W, 3) in [0, 1] to uint8; ``draw`` gives the noise."""
        noise = draw.normal(0, self.noise, picture.shape)
        seen = picture.astype(np.float32)
        if self.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur)
        pixels = ((seen + noise) * 255).round().clip(0, 255).astype(np.uint8)
        if self.quality is None:
            return pixels
        _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])
