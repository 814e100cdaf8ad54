"""The processes that train together: one a GPU under torchrun, or just this one.

Rank 0 alone speaks with the judge, reads the data and writes the artifact. What the others must know
travels by two groups: a gloo group for tokens and decisions (in main memory, ahead of the GPU), and the
device's own (NCCL on GPUs, gloo on CPUs) for gradients and weights. With one process every function here
is the identity.

Shapes: N matrices of a bank, R rows, C columns, S ranks.
Does not start processes: torchrun does. Does not recover from a rank that dies: torchrun ends the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(slots=True, kw_only=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1
    device: torch.device
    control: Any = None
    """The gloo group; None where this process is alone."""

    @property
    def speaks(self) -> bool:
        """Return whether this is the rank that talks to the judge."""
        return self.rank == 0

    def tell(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return rank 0's CPU tensor on every rank; the others give one of the same shape and type."""
        if self.size > 1:
            distributed.broadcast(tensor, 0, group=self.control)
        return tensor

    def deal(self, batches: Iterator[torch.Tensor] | None, rows: int, columns: int) -> torch.Tensor:
        """Return this rank's rows of rank 0's next batch, (rows, columns) int64; the others bring None."""
        batch = (
            torch.empty((rows, columns), dtype=torch.int64) if batches is None else next(batches)
        )
        return self.tell(batch)[self.rank :: self.size]

    def tell_bytes(self, data: bytes) -> bytes:
        """Return rank 0's bytes on every rank; what the others give is not looked at."""
        length = self.tell(torch.tensor([len(data)]))
        buffer = torch.zeros(int(length), dtype=torch.uint8)
        if self.speaks and data:
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return self.tell(buffer).numpy().tobytes()

    def average_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its mean over ranks."""
        if self.size == 1:
            return
        waiting = [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]
        for work in waiting:
            work.wait()
        for tensor in tensors:
            tensor.div_(self.size)

    def own_share(self, bank_NRC: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Start to average a bank over ranks; return this rank's matrices of it, and what to wait for.

        The bank is padded with zero matrices to a multiple of S; rank i gets the i-th part. The mean is taken
        in the bank's own type. Before the wait the result holds nothing.
        """
        if self.size == 1:
            return bank_NRC, None
        part = -(-len(bank_NRC) // self.size)
        padded = bank_NRC.new_zeros((part * self.size, *bank_NRC.shape[1:]))
        padded[: len(bank_NRC)] = bank_NRC
        padded.div_(self.size)
        own = torch.empty_like(padded[:part])
        return own, distributed.reduce_scatter_tensor(own, padded, async_op=True)

    def gather(self, own_NRC: torch.Tensor, count: int) -> tuple[torch.Tensor, Any]:
        """Start to put together what each rank has of a bank of `count` matrices; undoes `own_share`."""
        if self.size == 1:
            return own_NRC, None
        whole = own_NRC.new_empty((len(own_NRC) * self.size, *own_NRC.shape[1:]))
        work = distributed.all_gather_into_tensor(whole, own_NRC.contiguous(), async_op=True)
        return whole[:count], work

    def total_(self, scalar: torch.Tensor) -> torch.Tensor:
        """Return the sum of a scalar tensor over ranks, in place."""
        if self.size > 1:
            distributed.all_reduce(scalar)
        return scalar

    def leave(self) -> None:
        """End the groups; whatever comes after is done alone."""
        if self.size > 1:
            distributed.destroy_process_group()


def share_of(rows: int, world: World) -> int:
    """Return how many of `rows` this rank has when they are dealt: row i goes to rank i modulo S."""
    return len(range(world.rank, rows, world.size))


def join() -> World:
    """Return this process's world, from what torchrun put into the environment; alone without it.

    On a machine with GPUs each rank takes the one of its local number. Raises ValueError where there are more
    ranks than GPUs.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        local, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= found:
            raise ValueError(
                f"local rank {local}, but {found} GPUs; give torchrun --nproc-per-node={found}"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if size == 1:
        return World(device=device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    control = distributed.new_group(backend="gloo")
    return World(rank=rank, size=size, device=device, control=control)
