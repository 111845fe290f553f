"""What each of two processes does in a test of data-parallel losses; imports little, since both start anew."""

import torch

from recognition.losses import CenterLoss, RingLoss, UniformLoss

CLASSES, FEATURES, BATCH = 7, 5, 12


def worker(rank: int, folder: str) -> None:
    """One of two processes: losses on its half of the batch, gradients averaged as data-parallel training does."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x, labels, losses = case()
    half = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    torch.save(state(x[half], labels[half], losses), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def case():
    torch.manual_seed(5)
    x, labels = torch.randn(BATCH, FEATURES), torch.randint(CLASSES, (BATCH,))
    return x, labels, [CenterLoss(CLASSES, FEATURES), UniformLoss(CLASSES, FEATURES), RingLoss()]


def state(x, labels, losses):
    scale = torch.ones(FEATURES, requires_grad=True)  # stands for the network: shared by all samples
    center, uniform, ring = losses
    grads = []
    for value in (center(x * scale, labels), uniform(x * scale, labels), ring(x * scale)):
        grads.append(torch.autograd.grad(value, scale)[0])
    return {"centers": center.centers, "uniform": uniform.centers, "radius": ring.radius.detach(), "grads": grads}
