"""What data-parallel training needs of the losses: every process sees the samples of all.

Without an initialised process group both functions return what they were given. All processes must hold batches of one
size, which ``recognition.sampling`` sees to.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(values: Tensor) -> Tensor:
    """(B, ...) of each process -> (processes * B, ...), in the order of their ranks, without gradient."""
    if processes() == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(processes())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def gather_with_gradient(values: Tensor) -> Tensor:
    """As ``gather``; this process's own rows carry gradient.

    Their gradient is multiplied by the number of processes: data-parallel training averages gradients over the
    processes, and of a loss over ALL samples each process contributes only its own rows' share.
    """
    if processes() == 1:
        return values
    everything = gather(values)
    first, own = dist.get_rank() * len(values), values * processes()
    own = own - (own - values).detach()  # the values themselves, with the multiplied gradient
    return torch.cat([everything[:first], own, everything[first + len(values) :]])
