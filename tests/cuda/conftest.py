"""What the tests on a GPU share. Everything is skipped where there is none.

They need no video, no landmark detector and no network: `pytest tests/cuda`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest
import torch

DEVICE = "cuda"

if importlib.util.find_spec("lightning_fabric") is None and importlib.util.find_spec("lightning") is not None:
    for part in ("", ".strategies"):  # the package `lightning` has the same Fabric under a name of its own
        sys.modules[f"lightning_fabric{part}"] = importlib.import_module(f"lightning.fabric{part}")


def on_device() -> bool:
    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def device() -> str:
    if not on_device():
        pytest.skip("needs an NVIDIA GPU: torch.cuda.is_available() is False")
    return DEVICE


@pytest.fixture(scope="session")
def model(device):
    """On the CPU."""
    import facemodel

    return facemodel.load()


@pytest.fixture(scope="session")
def gpu_model(model, device):
    return model.on(device)


@pytest.fixture(scope="session")
def clip(model):
    """Parameters, pictures and landmarks of a synthetic person's eight frames of 256 x 256 px."""
    from tests.fitting.rendered import rendered_clip

    return rendered_clip(model)


@pytest.fixture(scope="session")
def track(model, clip):
    """The clip's true track."""
    from facemodel import Track

    truth, pictures, _ = clip
    count = len(pictures)
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=256, height=256, parameters=truth,
        times=torch.arange(count, dtype=torch.float64) / 25, status=torch.ones(count, dtype=torch.int64),
        confidence=torch.ones(count),
    )  # fmt: skip
