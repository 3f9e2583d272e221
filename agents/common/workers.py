"""Data-parallel training: copies of an agent in several processes, with averaged gradients."""

from __future__ import annotations

import inspect
import io
import itertools
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import numpy as np
import torch
import torch.distributed as dist
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnvWrapper

from .archive import read_zip, write_zip
from .group import ALONE, MEETING, Group, Joined
from .saving import SavedAlgorithm

Workers = int | Literal["torchrun"]
OWN = ("seed", "verbose", "tensorboard_log", "stats_window_size")  # settings that may differ between processes
_meetings = itertools.count()


@contextmanager
def working(agent: SavedAlgorithm, workers: Workers, **learn: Any) -> Iterator[Group]:
    """The group that trains `agent` during the block.

    Args:
        agent: with its environment.
        workers: how many processes, this one included; "torchrun": those that it started.
        learn: keywords of `Agent.learn_in` for the copies.

    Raises:
        ValueError: the environment cannot be pickled, the agent is on a GPU, this process is itself a worker of
            torchrun or, with "torchrun", is none; or the agents of torchrun's processes differ.
        RuntimeError: a process ended before training began, as all do if the script that started this one trains as
            soon as it is imported.
        ConnectionError: a process was lost, or did not come.
    """
    if workers == 1:
        yield ALONE
        return
    together = under_torchrun(agent, learn) if workers == "torchrun" else spawned(agent, workers, learn)
    with together as group:
        yield group


# ---------------------------------------------------------------------------------- processes that are started here


@contextmanager
def spawned(agent: SavedAlgorithm, count: int, learn: dict[str, Any]) -> Iterator[Group]:
    """Runs `count` - 1 copies of `agent` in other processes during the block, which must train `agent`.

    Each process has one thread and its own environment, a copy of the agent's with other seeds. They find each other
    through a file and exchange tensors with gloo. See `working`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"this is one of {os.environ['WORLD_SIZE']} processes that torchrun started, and workers={count} would add "
            'more to each of them: use workers="torchrun" or 1'
        )
    if agent.device.type != "cpu":
        raise ValueError(
            f'workers={count} train on the CPU, and this agent is on {agent.device}: use device="cpu", or workers='
            '"torchrun" with a device for each process'
        )
    try:
        copy = pickled((type(agent), agent.env, agent.not_data(), learn))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(f"workers={count} needs an environment that can be pickled: {error}") from error
    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    group: Group | None = None
    meeting = next(_meetings)
    with tempfile.TemporaryDirectory() as name:
        folder, others = Path(name), []
        # Files, because a process that does not read all of its arguments would keep this one waiting.
        agent.save(folder / "agent.zip")
        (folder / "copy").write_bytes(copy)
        try:
            for rank in range(1, count):
                other = context.Process(target=_work, args=(rank, count, folder, meeting), daemon=True)
                other.start()
                others.append(other)
            _wait_for(others, folder)
            with _meet(0, count, folder) as group:
                yield group
        finally:
            torch.set_num_threads(threads)
            for other in others:
                other.join(timeout=0 if group is None else 10)
                other.kill()  # it ignores SIGTERM


def _wait_for(others: Sequence[SpawnProcess], folder: Path) -> None:
    """Returns when each process is about to join, which it shows by a file; raises RuntimeError if one has ended."""
    while not all((folder / str(rank)).exists() for rank in range(1, len(others) + 1)):
        if connection.wait([other.sentinel for other in others], timeout=0.05):
            raise RuntimeError(
                "a worker ended before training began; what it printed says why. A script that trains with workers "
                "must do so under `if __name__ == '__main__':`, because every worker imports it"
            )


def _work(rank: int, count: int, folder: Path, meeting: int) -> None:
    """Runs in another process: loads the agent, gives it its own seeds, and trains it.

    A signal to all processes, as Ctrl-C, is for the first one, which ends the training for all. If that one is killed,
    this one ends.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    agent_class, env, not_data, learn = cloudpickle.loads((folder / "copy").read_bytes())
    agent = agent_class.load(folder / "agent.zip", env=env, device="cpu", **not_data)
    _seed(agent, rank, meeting)
    (folder / str(rank)).touch()
    with _meet(rank, count, folder) as group:
        agent.learn_in(group, **learn)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _meet(rank: int, count: int, folder: Path) -> Joined:
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "meeting"), count)  # type: ignore[attr-defined]
    return Joined(store, rank, count)


def _seed(agent: SavedAlgorithm, rank: int, meeting: int) -> None:
    """Seeds that no other process has, nor this one at another meeting."""
    sequence = np.random.SeedSequence(None if agent.seed is None else (agent.seed, rank, meeting))
    agent.set_random_seed(int(sequence.generate_state(1)[0]))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles Stable-Baselines3's wrappers without the members of their class, which they keep and which cannot be."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, VecEnvWrapper):
            return _rebuilt, (type(obj), {name: part for name, part in vars(obj).items() if name != "class_attributes"})
        return super().reducer_override(obj)


def pickled(content: Any) -> bytes:
    """Content with environments of Stable-Baselines3 in it, for another process."""
    file = io.BytesIO()
    _Pickler(file).dump(content)
    return file.getvalue()


def _rebuilt(kind: type[VecEnvWrapper], state: dict[str, Any]) -> VecEnvWrapper:
    env = kind.__new__(kind)
    vars(env).update(state, class_attributes=dict(inspect.getmembers(kind)))
    return env


# ---------------------------------------------------------------------------------- processes that torchrun started


@contextmanager
def under_torchrun(agent: SavedAlgorithm, learn: dict[str, Any]) -> Iterator[Group]:
    """This process and the others of torchrun. All begin with the nets, optimizers and progress of the first.

    See `working`.
    """
    store, rank, size = _torchrun()
    if size == 1:
        yield ALONE
        return
    meeting = next(_meetings)
    place = f"foveal-envs/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{meeting}"
    own = dist.PrefixStore(place, store)  # type: ignore[attr-defined]
    with Joined(own, rank, size, agent.device) as group:
        if rank:
            agent.set_logger(Logger(folder=None, output_formats=[]))
            _seed(agent, rank, meeting)
        _take_over(agent, group, learn)
        yield group


def leads(workers: Workers) -> bool:
    """Whether this process is the one that logs and saves."""
    return workers != "torchrun" or os.environ.get("RANK", "0") == "0"


@cache
def _torchrun() -> tuple[Any, int, int]:
    """Where torchrun's processes meet, the rank of this one, and their number."""
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(
            f'workers="torchrun" needs processes that torchrun starts, which sets {", ".join(missing)}: '
            "torchrun --nproc-per-node 2 your_script.py"
        )
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=MEETING))  # type: ignore[attr-defined]
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ConnectionError(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} found no others at {address}: start them all, "
            "with the address of the first"
        ) from error
    return store, rank, size


def _take_over(agent: SavedAlgorithm, group: Group, learn: dict[str, Any]) -> None:
    """Gives the agent the nets, optimizers and progress of the first process's."""
    own = _packed(agent, learn)
    first, mine = (read_zip(io.BytesIO(content), "agent").content for content in (group.share(own), own))
    theirs, settings = ({**content["alike"], **content["settings"]} for content in (first, mine))
    for name, value in settings.items():
        if name not in OWN and value != theirs.get(name):
            raise ValueError(
                f"process {group.rank} has {name}={value!r}, process 0 has {theirs.get(name)!r}: make the agent, its "
                "environment and the arguments of learn alike in all processes; only seeds may differ"
            )
    if group.rank:
        agent.take(first)


def _packed(agent: SavedAlgorithm, learn: dict[str, Any]) -> bytes:
    file, spaces = io.BytesIO(), {"observations": agent.observation_space, "actions": agent.action_space}
    alike = {"class": type(agent).__name__, "lanes": agent.n_envs, **learn}
    alike |= {name: str(space) for name, space in spaces.items()}
    write_zip(file, "agent", {**agent.content(), "alike": alike})
    return file.getvalue()
