"""Normalisation of features over all processes of a training, and of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SharedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` that takes its mean and variance over the pictures of every process of a training.

    So a step of n processes with a share of the batch each is the step of one process with the whole batch. The sums
    are reduced with an operation that has a gradient, on any device (``torch.nn.SyncBatchNorm`` is for GPUs alone).
    In one process, and in evaluation, it is ``BatchNorm2d``. Every process needs the same number of pictures.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        from torch.distributed.nn.functional import all_reduce

        y, count = x.float() if x.dtype != torch.float64 else x, dist.get_world_size()
        mean = all_reduce(y.mean((0, 2, 3))) / count
        centred = y - mean[:, None, None]
        variance = all_reduce(centred.square().mean((0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach(), count * x.numel() // x.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """The running statistics, as ``BatchNorm2d`` keeps them: the unbiased variance, a cumulative mean for None."""
        self.num_batches_tracked += 1
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_((variance * count / max(count - 1, 1)).to(self.running_var.dtype), rate)


@contextmanager
def gathering_statistics(network: nn.Module) -> Iterator[None]:
    """Within, batch normalisation learns its mean and variance anew from what ``network`` is called with.

    Averaged weights need it, whose statistics are those of no step. The network is in evaluation otherwise, and after.
    """
    norms = [m for m in network.eval().modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a cumulative mean
        m.train()
    yield
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    network.eval()


def add_spectral_norm(network: nn.Module) -> nn.Module:
    """Divides the weight of every convolution and linear layer by its largest singular value (Miyato et al., 2018).

    In place; PyTorch's own parametrisation, one power iteration a step. Convolutions count as matrices of
    (outputs, inputs * height * width).
    """
    from torch.nn.utils.parametrizations import spectral_norm

    for layer in list(network.modules()):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            spectral_norm(layer)
    return network
