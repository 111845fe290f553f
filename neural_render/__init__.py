"""Networks that make frames: methods of reenactment, their training and what is done with their pictures."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Clip": "methods.clip",
    "Crop": "images",
    "Drive": "methods.reenactor",
    "FrameCursor": "frames",
    "OnnxWeights": "methods.deep_video_portraits.onnx_network",
    "METHODS": "methods.base",
    "Method": "methods.base",
    "Needs": "methods.base",
    "Settings": "methods.deep_video_portraits.settings",
    "Target": "methods.reenactor",
    "Trainer": "methods.deep_video_portraits.trainer",
    "TrainingOptions": "methods.reenactor",
    "TrainingSummary": "methods.base",
    "Weights": "methods.deep_video_portraits.weights",
    "export_onnx": "methods.deep_video_portraits.onnx_network",
    "find_method": "methods.reenactor",
    "head_crop": "methods.deep_video_portraits.conditioning",
    "inference_network": "methods.deep_video_portraits.synthesis",
    "method_of": "methods.reenactor",
    "render_maps": "methods.deep_video_portraits.conditioning",
    "synthesize": "methods.deep_video_portraits.synthesis",
    "synthesize_crops": "methods.deep_video_portraits.synthesis",
    "target_frames": "methods.deep_video_portraits.synthesis",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Imports torch only when something is used."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
