"""One process, several GPUs or several machines: Lightning Fabric, started by torchrun where there is more than one."""

from __future__ import annotations

import atexit
import logging
import os
from datetime import timedelta

import torch

TIMEOUT = timedelta(hours=12)
"""How long processes wait for each other: a long clip's maps are rendered by one of them."""


def make_fabric(device: str = "cpu", *, bfloat16: bool = False, precision: str | None = None, devices: int = 1):
    """A launched Fabric. Under ``torchrun`` each process takes part, with a GPU of its own on "cuda".

    Several machines need a common folder for what is read and written.

    Args:
        precision: Fabric's name for it, such as "16-mixed"; None for bfloat16 where that is asked for, else float32.
        devices: without ``torchrun``, the other processes are started here, each with the same command.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would say on stderr which precision it has
    place = torch.device(device)
    options = {"accelerator": place.type, "precision": precision or ("bf16-mixed" if bfloat16 else "32-true")}
    world = int(os.environ.get("WORLD_SIZE", str(devices)))
    if world > 1:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
        # Buffers are the statistics of SharedBatchNorm2d, alike everywhere as they are.
        strategy = DDPStrategy(broadcast_buffers=False, timeout=TIMEOUT)
        fabric = Fabric(strategy=strategy, devices=local, num_nodes=world // local, **options)
        atexit.register(_leave)
    else:
        fabric = Fabric(devices=[place.index or 0] if place.type == "cuda" else 1, **options)
    fabric.launch()
    return fabric


def _leave() -> None:
    """Ends the group's threads, which else now and then abort a process that is done."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def is_main_process() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def bfloat16_helps(device: str) -> bool:
    """Whether autocast to bfloat16 is faster there: CUDA, or a CPU with AVX-512 or AMX bfloat16 instructions."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)
