"""Data-parallel training: copies of an agent in separate processes, with averaged gradients."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import torch
import torch.distributed as dist
from torch import Tensor

from .saving import SavedAlgorithm

APART = 1_000_003  # gap between the seeds of two workers' environments


@contextmanager
def working(agent: SavedAlgorithm, count: int, **learn: Any) -> Iterator[None]:
    """Runs `count` - 1 copies of `agent` in other processes during the block, which must train `agent`.

    Each process has one thread and its own environment, a copy of the agent's with other seeds. They find each other
    through a file and exchange tensors with gloo.

    Args:
        agent: with its environment, which is pickled.
        count: processes, this one included.
        learn: keywords of `agent.learn` for the copies.

    Raises:
        ValueError: the environment cannot be pickled.
    """
    saved = io.BytesIO()
    agent.save(saved)
    try:
        copy = cloudpickle.dumps((type(agent), agent.env, agent.not_data(), learn))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(f"workers = {count} needs an environment that can be pickled: {error}") from error
    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        arguments = saved.getvalue(), copy, count, meeting, agent.seed or 0
        others = [context.Process(target=_work, args=(rank, *arguments), daemon=True) for rank in range(1, count)]
        for other in others:
            other.start()
        _join(0, count, meeting)
        try:
            yield
        finally:
            dist.destroy_process_group()
            torch.set_num_threads(threads)
            for other in others:
                other.join(timeout=10)
                other.terminate()


def _work(rank: int, saved: bytes, copy: bytes, count: int, meeting: str, seed: int) -> None:
    """Runs in another process: loads the agent, gives it its own seeds, and trains it."""
    agent_class, env, not_data, learn = cloudpickle.loads(copy)
    agent = agent_class.load(io.BytesIO(saved), env=env, device="cpu", **not_data)
    agent.env.seed(seed + rank * APART)
    torch.manual_seed(seed + rank * APART)
    _join(rank, count, meeting)
    agent.share_work(**learn)
    dist.destroy_process_group()


def _join(rank: int, count: int, meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mean of each tensor over all workers, in one exchange; without workers, the tensors themselves."""
    if not dist.is_initialized():
        return list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = (flat / dist.get_world_size()).split_with_sizes([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def all_go_on(goes_on: bool) -> bool:
    """Whether every worker continues."""
    return bool(average([torch.tensor(float(goes_on))])[0] == 1)
