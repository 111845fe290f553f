"""Synthesis frame by frame, while the performance is still going on."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import torch

from facemodel.parameters import SHARED, FaceParameters
from facemodel.track import Track
from neural_render.methods.common.texture import linear
from neural_render.methods.deep_video_portraits.conditioning import condition, render_maps, to_pixels
from neural_render.methods.deep_video_portraits.synthesis import inference_network
from neural_render.methods.deep_video_portraits.weights import Weights


class LiveSynthesizer:
    """Keeps the window of the last frames' maps; each call adds one frame and gives its picture.

    target: the track that the weights were trained on, for the frame's size and the crop's camera.
    """

    def __init__(self, weights: Weights, target: Track, *, model, device: str = "cpu") -> None:
        self.header, self.model, self.device = weights.header, model, device
        self.size = (self.header.size, self.header.size)
        self.texture = None if weights.texture is None else linear(weights.texture, model)
        self.network = inference_network(weights, device)
        self._dtype = next((p.dtype for p in self.network.parameters()), torch.float32)  # an ONNX session has none
        self._frame = replace(
            target,
            times=target.times[:1], status=target.status[:1], confidence=target.confidence[:1],
            landmarks=None, energies={}, visibility={}, facts={},
        )  # fmt: skip
        self._window: deque[np.ndarray] = deque(maxlen=self.header.window)

    def __call__(self, parameters: FaceParameters, picture: np.ndarray | None = None) -> np.ndarray:
        """(size, size, 3) uint8: the target's crop with these parameters, which have no leading dimensions."""
        clip = FaceParameters.stack([parameters])
        clip = clip.replace(**{name: getattr(parameters, name) for name in SHARED})
        frame = replace(self._frame, parameters=clip)
        maps = render_maps(
            self.model, frame, torch.tensor([0]), self.header.crop, self.header.size, texture=self.texture
        )[0]
        self._window.append(maps)
        missing = self.header.window - len(self._window)
        window = np.stack([self._window[0]] * missing + list(self._window))
        with torch.inference_mode():
            x = condition(torch.from_numpy(window)[None].to(self.device), self._dtype)
            return to_pixels(self.network(x))[0]

    def restart(self) -> None:
        """Forgets the frames before, as at the start of a shot."""
        self._window.clear()
