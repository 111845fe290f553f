"""Small tracks with known numbers, and the little of a model that mixing and editing look at."""

from types import SimpleNamespace

import torch

from facemodel import FaceParameters, FrameStatus, Track
from facemodel.arkit import ARKIT_NAMES

TRACKED = int(FrameStatus.TRACKED)


def names_only_model(identities=5, reflectances=4):
    """Names, sizes and a fingerprint: no geometry."""
    return SimpleNamespace(
        name="test",
        fingerprint="0123",
        expression_names=ARKIT_NAMES,
        mean=torch.zeros(1, 3),
        identity_basis=torch.zeros(identities, 1, 3),
        expression_basis=torch.zeros(len(ARKIT_NAMES), 1, 3),
        albedo_basis=torch.zeros(reflectances, 1, 3),
    )


def make_track(model, frames=20, *, fps=25.0, seed=0, width=640, height=480, status=None):
    """A random performance within the model's ranges. Deterministic."""
    random = torch.Generator().manual_seed(seed)
    uniform = lambda *shape: torch.rand(*shape, generator=random)  # noqa: E731
    neutral = FaceParameters.neutral(model, (frames,), focal=900.0 + seed)
    parameters = neutral.replace(
        identity=uniform(neutral.identity.shape[-1]) - 0.5,
        reflectance=uniform(neutral.reflectance.shape[-1]) - 0.5,
        focal=torch.tensor(900.0 + 50 * seed),
        expression=uniform(frames, neutral.expression.shape[-1]) * 0.8,
        rotation=(uniform(frames, 3) - 0.5) * 0.6,
        translation=torch.tensor([0.0, 0.0, 700.0 + 100 * seed]) + 60 * (uniform(frames, 3) - 0.5),
        gaze=(uniform(frames, 2, 2) - 0.5) * 0.5,
    )
    return Track(
        model=model.name,
        fingerprint=model.fingerprint,
        width=width,
        height=height,
        parameters=parameters,
        times=torch.arange(frames, dtype=torch.float64) / fps,
        status=torch.full((frames,), TRACKED) if status is None else torch.tensor(status),
        confidence=torch.ones(frames),
        facts={"source": {"file": f"clip{seed}.mp4"}},
    )
