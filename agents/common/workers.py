"""Data-parallel training: copies of an agent in separate processes, with averaged gradients."""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
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
        RuntimeError: a process ended before training began, as all do if the script that started this one trains as
            soon as it is imported.
    """
    try:
        copy = cloudpickle.dumps((type(agent), agent.env, agent.not_data(), learn))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(f"workers = {count} needs an environment that can be pickled: {error}") from error
    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as name:
        folder, others = Path(name), []
        # Files, because a process that does not read all of its arguments would keep this one waiting.
        agent.save(folder / "agent.zip")
        (folder / "copy").write_bytes(copy)
        try:
            for rank in range(1, count):
                other = context.Process(target=_work, args=(rank, count, folder, agent.seed or 0), daemon=True)
                other.start()
                others.append(other)
            _wait_for(others, folder)
            _join(0, count, folder)
            yield
        finally:
            joined = dist.is_initialized()
            if joined:
                dist.destroy_process_group()
            torch.set_num_threads(threads)
            for other in others:
                other.join(timeout=10 if joined else 0)
                other.terminate()


def _wait_for(others: Sequence[SpawnProcess], folder: Path) -> None:
    """Returns when each process is about to join, which it shows by a file; raises RuntimeError if one has ended."""
    while not all((folder / str(rank)).exists() for rank in range(1, len(others) + 1)):
        if connection.wait([other.sentinel for other in others], timeout=0.05):
            raise RuntimeError(
                "a worker ended before training began; what it printed says why. A script that trains with workers "
                "must do so under `if __name__ == '__main__':`, because every worker imports it"
            )


def _work(rank: int, count: int, folder: Path, seed: int) -> None:
    """Runs in another process: loads the agent, gives it its own seeds, and trains it."""
    agent_class, env, not_data, learn = cloudpickle.loads((folder / "copy").read_bytes())
    agent = agent_class.load(folder / "agent.zip", env=env, device="cpu", **not_data)
    agent.env.seed(seed + rank * APART)
    torch.manual_seed(seed + rank * APART)
    (folder / str(rank)).touch()
    _join(rank, count, folder)
    agent.share_work(**learn)
    dist.destroy_process_group()


def _join(rank: int, count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=count)


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
