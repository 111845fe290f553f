"""Networks that make frames: methods of reenactment, their training and what is done with their pictures."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Crop": "methods.deep_video_portraits.conditioning",
    "Drive": "methods.base",
    "FrameCursor": "frames",
    "OnnxWeights": "methods.deep_video_portraits.onnx_network",
    "REENACTORS": "methods.base",
    "Reenactor": "methods.base",
    "Settings": "methods.deep_video_portraits.trainer",
    "Target": "methods.base",
    "Trainer": "methods.deep_video_portraits.trainer",
    "TrainingOptions": "methods.base",
    "TrainingSummary": "methods.base",
    "Weights": "methods.deep_video_portraits.weights",
    "export_onnx": "methods.deep_video_portraits.onnx_network",
    "find_method": "methods.base",
    "head_crop": "methods.deep_video_portraits.conditioning",
    "inference_network": "methods.deep_video_portraits.synthesis",
    "method_of": "methods.base",
    "render_maps": "methods.deep_video_portraits.conditioning",
    "synthesize": "methods.deep_video_portraits.synthesis",
    "synthesize_crops": "methods.deep_video_portraits.synthesis",
    "target_frames": "methods.deep_video_portraits.synthesis",
    "train": "methods.deep_video_portraits.method",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Imports torch only when something is used."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
