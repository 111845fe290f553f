"""Networks that make frames: methods of reenactment, their training and what is done with their pictures."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Crop": "conditioning",
    "Drive": "reenactor",
    "FrameCursor": "frames",
    "OnnxWeights": "onnx_network",
    "REENACTORS": "reenactor",
    "Reenactor": "reenactor",
    "Settings": "trainer",
    "Target": "reenactor",
    "Trainer": "trainer",
    "TrainingOptions": "reenactor",
    "TrainingSummary": "reenactor",
    "Weights": "checkpoint",
    "export_onnx": "onnx_network",
    "find_method": "reenactor",
    "head_crop": "conditioning",
    "inference_network": "synthesis",
    "method_of": "reenactor",
    "render_maps": "conditioning",
    "synthesize": "synthesis",
    "synthesize_crops": "synthesis",
    "target_frames": "synthesis",
    "train": "deep_video_portraits",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Imports torch only when something is used."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
