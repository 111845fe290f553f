"""Losses that are added to a head's: centre, ring, exclusive (RegularFace), uniform (UniformFace).

Each is a module whose state (centres, radius) is in its ``state_dict``; each computes in float32 under autocast, and
under data-parallel training centres move by the samples of all processes.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from recognition.distributed import gather, gather_with_gradient, processes

TINY = 1e-12  # under a square root, so that its slope stays finite at 0


def in_float32(forward):
    """A loss's forward with autocast off and its tensors of floats in float32."""

    def wrapped(self, first: Tensor, *others: Tensor) -> Tensor:
        with torch.autocast(first.device.type, enabled=False):
            return forward(self, first.float(), *others)

    return wrapped


def moved_centers(centers: Tensor, embeddings: Tensor, labels: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """The centre-loss step (Wen et al., ECCV 2016, equation 4): c_j - rate * sum(c_j - x_i) / (1 + n_j).

    Returns the K classes of the batch and their (K, D) moved centres, with gradient to ``embeddings``.
    """
    classes, member = labels.unique(return_inverse=True)
    counts = torch.bincount(member, minlength=len(classes))[:, None]
    sums = embeddings.new_zeros(len(classes), embeddings.shape[1]).index_add(0, member, embeddings)
    old = centers[classes]
    return classes, old - rate * (counts * old - sums) / (1 + counts)


class CenterLoss(nn.Module):
    """Centre loss (Wen et al., ECCV 2016): mean ||x_i - c_{y_i}||^2 / 2; (B, D), (B,) -> scalar.

    Centres are a buffer that moves by the paper's own rule, not by an optimiser. rate: the paper's alpha.
    """

    def __init__(self, classes: int, features: int, rate: float = 0.5):
        super().__init__()
        self.rate = rate
        self.register_buffer("centers", nn.init.xavier_uniform_(torch.empty(classes, features)))

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        loss = (embeddings - self.centers[labels]).square().sum(1).mean() / 2
        if self.training:
            with torch.no_grad():
                classes, moved = moved_centers(self.centers, gather(embeddings), gather(labels), self.rate)
                self.centers[classes] = moved
        return loss


class RingLoss(nn.Module):
    """Ring loss (Zheng, Pal, Savvides, CVPR 2018): mean (||x_i|| - R)^2 / 2 with a learned radius R; (B, D) -> scalar.

    R begins at the mean norm of the first batch of all processes; whether it has begun is part of the state.
    It must not decay: see ``recognition.training.parameter_groups``.
    """

    def __init__(self):
        super().__init__()
        self.radius = nn.Parameter(torch.ones(()))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    @in_float32
    def forward(self, embeddings: Tensor) -> Tensor:
        norms = embeddings.square().sum(1).clamp_min(TINY).sqrt()
        if self.training and not self.begun:
            with torch.no_grad():
                mean = norms.detach().mean()
                if processes() > 1:
                    dist.all_reduce(mean)
                self.radius.copy_(mean / processes())
                self.begun.fill_(True)
        return (norms - self.radius).square().mean() / 2


class ExclusiveLoss(nn.Module):
    """RegularFace's exclusive loss (Zhao, Xu, Cheng, CVPR 2019): mean largest cosine of a class to another.

    Takes (C, D) class weights. Nearest classes are found block by block without gradient, so that memory grows with C,
    not with its square; only the C chosen cosines carry gradient.
    """

    def __init__(self, block: int = 2048):
        super().__init__()
        self.block = block

    @in_float32
    def forward(self, weights: Tensor) -> Tensor:
        unit = F.normalize(weights)
        return (unit * unit[nearest_classes(unit.detach(), self.block)]).sum(1).mean()


@torch.no_grad()
def nearest_classes(unit: Tensor, block: int) -> Tensor:
    """(C,) int64: of each row of the (C, D) unit vectors, the other row with the largest cosine."""
    nearest = []
    for start in range(0, len(unit), block):
        cosines = unit[start : start + block] @ unit.T
        rows = torch.arange(len(cosines), device=unit.device)
        cosines[rows, start + rows] = -torch.inf
        nearest.append(cosines.argmax(1))
    return torch.cat(nearest)


class UniformLoss(nn.Module):
    """UniformFace (Duan, Lu, Zhou, CVPR 2019): class centres repel each other, mean 1 / (||c_a - c_b|| + 1); scalar.

    Centres are of unit embeddings and are put back on the sphere. They move by the centre-loss rule; the batch's own
    move is differentiable, which is how the network feels the force. The outer mean runs over the batch's K classes,
    the inner one over all others: K x C distances, not C x C; the paper's sum where a batch has all the classes.
    Takes (B, D) embeddings and (B,) labels. Lies between 1/3 (two opposite centres) and 1 (all in one place).
    """

    def __init__(self, classes: int, features: int, rate: float = 0.5):
        super().__init__()
        self.rate = rate
        self.register_buffer("centers", F.normalize(torch.randn(classes, features)))

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        unit = gather_with_gradient(F.normalize(embeddings))
        classes, moved = moved_centers(self.centers, unit, gather(labels), self.rate)
        moved = F.normalize(moved)
        centers = self.centers.index_copy(0, classes, moved)
        loss = mean_potential(centers, classes)
        if self.training:
            self.centers.copy_(centers.detach())
        return loss


def mean_potential(centers: Tensor, classes: Tensor) -> Tensor:
    """Mean of 1 / (distance + 1) from the centres of ``classes`` (K,) to all other rows of ``centers`` (C, D)."""
    chosen = centers[classes]
    squares = chosen.square().sum(1)[:, None] + centers.square().sum(1) - 2 * chosen @ centers.T
    potential = 1 / (squares.clamp_min(TINY).sqrt() + 1)
    own = potential[torch.arange(len(classes), device=classes.device), classes]
    return (potential.sum() - own.sum()) / (len(classes) * (len(centers) - 1))
