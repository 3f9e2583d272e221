"""Processes that learn together: what they exchange, and what they say if one of them is lost.

A process that trains alone is a `Group` of one, whose exchanges change nothing. Agents hold their group themselves.
PyTorch's default process group, which a script may have made for a purpose of its own, is never used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

SUM, MAX = "SUM", "MAX"
GRACE = 15.0  # seconds for those who are left to say so
MEETING = timedelta(minutes=5)  # until all processes have found each other
PATIENCE = timedelta(minutes=30)  # with a process that lives and does not come to an exchange


class Group:
    """One process alone.

    Attributes:
        rank: of this process, from 0; the first one logs and saves.
        size: number of processes.
    """

    rank, size = 0, 1

    def reduce(self, tensor: Tensor, operation: str = SUM) -> Tensor:
        """The sum or the largest of a tensor over all processes, element by element; `tensor` may be overwritten."""
        return tensor

    def share(self, content: bytes) -> bytes:
        """What the first process gives."""
        return content


class Joined(Group):
    """Processes that have found each other.

    Args:
        store: one of PyTorch's, that all of them see, and no other group.
        rank: of this process.
        size: number of processes.
        device: of the tensors that are exchanged: "cpu" by gloo, "cuda" by NCCL.

    Raises:
        ConnectionError: the others did not come.
    """

    def __init__(self, store: Any, rank: int, size: int, device: torch.device | str = "cpu") -> None:
        self.rank, self.size, self.device, self._store = rank, size, torch.device(device), store
        kind: Any = dist.ProcessGroupNCCL if self.device.type == "cuda" else dist.ProcessGroupGloo
        try:
            store.set(f"process {rank}", "is here")
            store.wait([f"process {other}" for other in range(size)], MEETING)
            self._processes: Any = kind(store, rank, size, PATIENCE)
            self.reduce(torch.zeros(1))  # a connection is made when it is first used
        except RuntimeError as error:
            raise ConnectionError(f"worker {rank} of {size} found no others: {_first_line(error)}") from error

    def reduce(self, tensor: Tensor, operation: str = SUM) -> Tensor:
        """See `Group.reduce`."""
        own = tensor.to(self.device)
        self._wait(lambda: self._processes.allreduce([own], op=getattr(dist.ReduceOp, operation)))
        return own.to(tensor.device)

    def share(self, content: bytes) -> bytes:
        """See `Group.share`."""
        length = torch.tensor([len(content)], device=self.device)
        self._wait(lambda: self._processes.broadcast(length, root=0))
        own = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        if self.rank == 0:
            own.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self._wait(lambda: self._processes.broadcast(own, root=0))
        return own.cpu().numpy().tobytes()

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        """Waits until all have come to this point; after an error it parts at once, and the others are told."""
        if kind is None:
            self.reduce(torch.zeros(1))
        self._part()

    def _wait(self, begin: Callable[[], dist.Work]) -> None:
        try:
            begin().wait()
        except RuntimeError as error:
            self._part()
            raise ConnectionError(self._who_is_lost()) from error

    def _part(self) -> None:
        """Closes all connections, so that the others, who may wait for this one, notice it."""
        if self._processes is not None:
            self._processes.abort()
            self._processes = None  # the last reference closes them

    def _who_is_lost(self) -> str:
        """Those who are left sign in the store; the message names who did not."""
        lost = set(range(self.size)) - {self.rank}
        try:
            self._store.set(f"left/{self.rank}", "")
            deadline = time.monotonic() + GRACE
            while len(lost) > 1 and time.monotonic() < deadline:
                lost -= {rank for rank in lost if self._store.check([f"left/{rank}"])}
                time.sleep(0.05)
        except RuntimeError:  # the store lived in the process of the first
            lost = {0}
        names = " and ".join(map(str, sorted(lost)))
        return f"lost worker {names} of {self.size}, counted from 0: what it printed last says why"


ALONE = Group()
_group: ContextVar[Group] = ContextVar("group", default=ALONE)


@contextmanager
def exchanging(group: Group) -> Iterator[None]:
    """During the block the functions below speak for the processes of `group`."""
    token = _group.set(group)
    try:
        yield
    finally:
        _group.reset(token)


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mean of each tensor over all processes, in one exchange; alone, the tensors themselves."""
    group = _group.get()
    if group.size == 1:
        return list(tensors)
    return [part / group.size for part in _reduced(group, tensors, SUM)]


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sum of each tensor over all processes, in one exchange; alone, the tensors themselves."""
    return _reduced(_group.get(), tensors, SUM)


def largest(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The largest of each tensor over all processes, element by element; alone, the tensors themselves."""
    return _reduced(_group.get(), tensors, MAX)


def all_agree(condition: bool) -> bool:
    """Whether the condition holds in every process."""
    return not largest([torch.tensor(float(not condition))])[0]


def _reduced(group: Group, tensors: Sequence[Tensor], operation: str) -> list[Tensor]:
    if group.size == 1:
        return list(tensors)
    flat = group.reduce(torch.cat([tensor.flatten() for tensor in tensors]), operation)
    parts = flat.split_with_sizes([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
