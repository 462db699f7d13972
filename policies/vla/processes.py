"""The processes that train one model together, as torchrun starts them, or the one that trains alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from embodied.errors import ConfigurationError

_WAIT = timedelta(minutes=30)
"""For another process; the first to arrive may wait while the first of them saves."""


class Processes:
    """Which of how many this is."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a vector over all processes; each must ask."""
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the others if torchrun started this process, and leave them at the end."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Processes()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_WAIT)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def chosen_device(name: str, n_threads: int) -> torch.device:
    """Return the device to train on; each process of a machine has a GPU of its own.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.
        n_threads: Of a processor.

    Raises:
        ConfigurationError: There is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device: expected a GPU for cuda, found none")
    if name == "cpu" or not torch.cuda.is_available():
        torch.set_num_threads(n_threads)
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
