"""Networks that make frames: Deep Video Portraits' conditional GAN, its training and what is done with its pictures."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Crop": "conditioning",
    "FrameCursor": "frames",
    "OnnxWeights": "onnx_network",
    "Settings": "trainer",
    "Trainer": "trainer",
    "TrainingSummary": "training",
    "Weights": "checkpoint",
    "export_onnx": "onnx_network",
    "head_crop": "conditioning",
    "inference_network": "synthesis",
    "render_maps": "conditioning",
    "synthesize": "synthesis",
    "synthesize_crops": "synthesis",
    "target_frames": "synthesis",
    "train": "training",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Imports torch only when something is used."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
