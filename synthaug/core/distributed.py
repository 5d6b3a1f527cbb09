"""Processes that train one generator together, as `torchrun` or `accelerate launch` start them.

    torchrun --nproc-per-node 4 -m synthaug fit DATA -o GENERATOR
    accelerate launch -m synthaug fit DATA -o GENERATOR

A generator of all classes is trained on a share of each batch in every process, whose gradients
are averaged; generators of one class each are dealt out to the processes, and each learns what it
would have learned alone, but for rounding, unless validation images choose the moment to keep.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from synthaug.core.errors import InputError

Value = TypeVar("Value")


class Team(NamedTuple):
    """The processes that share a training, seen from this one, which is `rank` of `size`.

    Attributes:
        rank: The number of this process, 0 to `size` - 1.
        size: The number of processes.
        local: The number of this process on its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Tell whether this process writes for all."""
        return self.rank == 0

    def tell(self, value: Value) -> Value:
        """Return the first process's `value` in every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Value) -> list[Value]:
        """Return every process's `value`, in every process."""
        if self.size == 1:
            return [value]
        values: list[Value] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.size == 1:
            return
        several = list(tensors)
        together = torch.cat([tensor.flatten() for tensor in several])
        dist.all_reduce(together)
        together /= self.size
        start = 0
        for tensor in several:
            stop = start + tensor.numel()
            tensor.copy_(together[start:stop].view_as(tensor))
            start = stop


ALONE = Team()
_current: ContextVar[Team] = ContextVar("team", default=ALONE)


def current() -> Team:
    """Return the team that this process works in; `ALONE` outside `team`."""
    return _current.get()


def leads() -> bool:
    """Tell whether this process writes for all that the launcher started, also before they meet."""
    return _number("WORLD_SIZE", 1) == 1 or _number("RANK", 0) == 0


def _number(name: str, default: int) -> int:
    """Read a number that a launcher sets in the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise InputError(f"{name}: expected a number, as torchrun sets it, got {text!r}; unset it")
    return int(text)


@contextmanager
def team() -> Iterator[Team]:
    """Fit generators by all processes that a launcher started, within the block.

    Each process runs the same code. It works alone where the launcher started one, or none was
    used.

    Examples:
        >>> with team() as ours:
        ...     ours.size
        1
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield ALONE
        return
    if not os.environ.get("RANK"):
        raise InputError(
            f"WORLD_SIZE: is {size}, so several processes are expected, but RANK, the number of "
            "this one, is not set; start them with torchrun or accelerate launch, or unset "
            "WORLD_SIZE to fit in this process alone"
        )
    ours = Team(_number("RANK", 0), size, _number("LOCAL_RANK", 0))
    if ours.local < torch.cuda.device_count():
        torch.cuda.set_device(ours.local)
    starts_group = not dist.is_initialized()
    if starts_group:
        # Both, since a machine with GPUs may be asked to train on its processors. Where there is no
        # NCCL, as on Windows, gloo serves GPUs too.
        fast = torch.cuda.is_available() and dist.is_nccl_available()
        # Of networks of a class each, processes hear nothing of each other until all are trained.
        backend = "cpu:gloo,cuda:nccl" if fast else "gloo"
        dist.init_process_group(backend, timeout=timedelta(days=7))
    token = _current.set(ours)
    try:
        yield ours
    finally:
        _current.reset(token)
        if starts_group:
            dist.destroy_process_group()
