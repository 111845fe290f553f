"""The gradient penalty that keeps a critic's slope near one (Gulrajani et al., NIPS 2017, Eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor


def between(real: Tensor, made: Tensor) -> Tensor:
    """Pictures (N, C, H, W) at a random place on the line between each pair; they need a gradient."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    return torch.lerp(real, made, share).detach().requires_grad_()


def gradient_penalty(scores: Tensor, pictures: Tensor) -> Tensor:
    """Mean over pictures (N, C, H, W) of (||gradient of its scores' mean|| - 1)^2; it can be differentiated itself.

    scores: (N, ...) of these pictures.
    """
    of_each = scores.reshape(len(scores), -1).mean(1).sum()
    (slope,) = torch.autograd.grad(of_each, pictures, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
