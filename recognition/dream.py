"""DREAM: an embedding of a turned face moved towards that person's frontal embedding (Cao et al., CVPR 2018).

    out = f + gate(yaw) * R(f)

The gate is the authors' code's, sigmoid(10 (|yaw| / 45 - 1)), in degrees; the paper prints it without the gain of 10,
which would leave a frontal face a gate of 0.27.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import PortraitError


def yaw_gate(yaw: Tensor) -> Tensor:
    """0 for frontal to 1 for profile faces; yaw in degrees, its sign dropped."""
    return torch.sigmoid(10 * (yaw.abs() / 45 - 1))


class Dream(nn.Module):
    """The residual block: (B, D) embeddings and (B,) yaws in degrees -> (B, D)."""

    def __init__(self, features: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, features), nn.ReLU())

    def forward(self, embeddings: Tensor, yaw: Tensor) -> Tensor:
        return embeddings + yaw_gate(yaw)[:, None] * self.layers(embeddings)


def stitch(
    block: Dream, embeddings: Tensor, labels: np.ndarray, yaw: np.ndarray, *, iterations: int = 10_000,
    batch: int = 256, rate: float = 1e-3, seed: int = 0,
) -> float:  # fmt: skip
    """Trains the block on embeddings of a network that stays as it is; the mean squared error of the last steps.

    embeddings (N, D), labels (N,), yaw (N,) in degrees. An identity is drawn, then one of its profile embeddings; the
    target is the mean of its frontal ones. SGD with the authors' settings. Identities without both kinds are left out;
    PortraitError where none has them.
    """
    device = embeddings.device
    profiles, targets = profile_targets(embeddings, labels, yaw)
    draw = np.random.default_rng(seed)
    optimizer = torch.optim.SGD(block.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    errors = []
    block.train()
    for _ in range(iterations):
        identities = draw.integers(len(profiles), size=batch)
        chosen = [draw.choice(profiles[k]) for k in identities]
        target = targets[torch.as_tensor(identities, device=device)]
        moved = block(embeddings[chosen], torch.as_tensor(yaw[chosen], dtype=torch.float32, device=device))
        error = nn.functional.mse_loss(moved, target)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.detach())
    return float(torch.stack(errors[-100:]).mean())


def profile_targets(
    embeddings: Tensor, labels: np.ndarray, yaw: np.ndarray, most: float = 20.0, least: float = 50.0
) -> tuple[list[np.ndarray], Tensor]:
    """Of each identity with both kinds: the rows of its profiles, and the mean of its frontal embeddings (K, D).

    most, least: degrees that the authors' frontal faces turn at most, and their profiles at least.
    """
    profiles, targets = [], []
    for label in np.unique(labels):
        turned = np.flatnonzero((labels == label) & (np.abs(yaw) >= least))
        frontal = np.flatnonzero((labels == label) & (np.abs(yaw) <= most))
        if len(turned) and len(frontal):
            profiles.append(turned)
            targets.append(embeddings[frontal].mean(0))
    if not profiles:
        raise PortraitError(
            f"data: no identity has both a picture with a yaw to {most:g} and one from {least:g} degrees, which "
            "DREAM learns from; add such pictures, with their yaw in metadata.csv, or use dream = 'none'"
        )
    return profiles, torch.stack(targets)
