"""Small tracks with known numbers, and small models to edit, mix and export with."""

import torch

from facemodel import Block, FaceParameters, FrameStatus, LinearModel, Track
from facemodel.arkit import ARKIT_NAMES

TRACKED = int(FrameStatus.TRACKED)
TETRAHEDRON = [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]


def small_model(identities=5, reflectances=4, names=ARKIT_NAMES, fingerprint="0123"):
    """Four vertices with ARKit's expressions: no eyes, landmarks, atlas or regions. Deterministic."""
    random = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=random)  # noqa: E731
    tensors = {
        "mean": 60 * torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
        "triangles": torch.tensor(TETRAHEDRON),
        "identity_basis": 3 * normal(identities, 4, 3),
        "expression_basis": 5 * normal(len(names), 4, 3),
        "albedo_mean": torch.full((4, 3), 0.4),
        "albedo_basis": 0.02 * normal(reflectances, 4, 3),
    }
    return LinearModel(tensors, name="test", fingerprint=fingerprint, expression=Block.activations(tuple(names)))


def make_track(model, frames=20, *, fps=25.0, seed=0, width=640, height=480, status=None):
    """A random performance within the model's ranges. Deterministic."""
    random = torch.Generator().manual_seed(seed)
    uniform = lambda *shape: torch.rand(*shape, generator=random)  # noqa: E731
    neutral = FaceParameters.neutral(model, (frames,), focal=900.0 + seed)

    def within(name):  # of the bounds, or two standard deviations where there are none
        block = model.blocks[name]
        low = torch.maximum(block.lower, block.mean - 2 * block.std)
        high = torch.minimum(block.upper, block.mean + 2 * block.std)
        return low + 0.8 * (high - low) * uniform(frames, len(block))

    parameters = neutral.replace(
        identity=uniform(neutral.identity.shape[-1]) - 0.5,
        reflectance=uniform(neutral.reflectance.shape[-1]) - 0.5,
        focal=torch.tensor(900.0 + 50 * seed),
        expression=within("expression"),
        rotation=(uniform(frames, 3) - 0.5) * 0.6,
        translation=torch.tensor([0.0, 0.0, 700.0 + 100 * seed]) + 60 * (uniform(frames, 3) - 0.5),
        gaze=(uniform(frames, 2, 2) - 0.5) * 0.5,
        joints=within("joints") if model.count("joints") else neutral.joints,
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
