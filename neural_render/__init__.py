"""Networks that make frames: methods of reenactment, their training, losses and networks, and UV-GAN.

A method is asked for by name in `METHODS`, or by its weights with `method_of`; see `neural_render.methods.base`.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Clip": "methods.clip",
    "Crop": "images",
    "FrameCursor": "frames",
    "METHODS": "methods.base",
    "Method": "methods.base",
    "Needs": "methods.base",
    "TrainingBudget": "methods.base",
    "TrainingSummary": "methods.base",
    "method_of": "methods.base",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    """Imports torch only when something is used."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
