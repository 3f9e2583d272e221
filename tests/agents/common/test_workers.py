from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage
from torch import multiprocessing

from agents import RecurrentPPO, WorldModelController, make_sb3
from agents.common.group import ALONE, all_agree, average, exchanging, largest, summed
from agents.common.losses import descend
from agents.common.vec_env import NO_INFO
from agents.common.workers import _end_with_parent, _meet, _seed, _wait_for, pickled
from agents.world_model.scale import Scale

ROOT = Path(__file__).parents[3]


class Pictures(gym.Env):
    """One picture, again and again."""

    observation_space = gym.spaces.Box(0, 255, (16, 16, 1), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.full((16, 16, 1), 7, np.uint8), {}

    def step(self, action):
        return np.full((16, 16, 1), 7, np.uint8), 0.0, False, False, {}


STEPS = torch.tensor([[1.0, 10.0], [2.0, 10.0], [4.0, 30.0]])[:, None]  # observations (T, N, D)


def _scale(rank: int | None) -> Scale:
    """Scales of three steps, of which the first process sees one, and the second the others."""
    own = slice(None) if rank is None else (slice(0, 1), slice(1, 3))[rank]
    scale = Scale(2)
    reward, ended = torch.tensor([-3.0, 5.0, 2.0])[:, None, None], torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    scale.update(STEPS[own], STEPS[own] ** 2, reward[own], ended[own])
    return scale


def _exchange(rank: int, folder: Path) -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    bias = torch.nn.Parameter(torch.zeros(()))
    loss = (rank + 1.0) * weight.sum() + 10.0 * rank * bias
    with _meet(rank, 2, folder) as group, exchanging(group):
        descend(torch.optim.SGD([weight, bias], 1.0), loss)
        found = {
            "weight": weight.detach(),
            "bias": bias.detach(),
            "agree": (all_agree(True), all_agree(rank == 0)),
            "largest": largest([torch.tensor([rank, -rank])])[0],
            "summed": summed([torch.tensor(rank + 1)])[0],
            "shared": group.share(b"of the first" if rank == 0 else b"not read"),
            "scale": _scale(rank).state_dict(),
        }
    torch.save(found, folder / f"found{rank}")


def test_what_is_exchanged(tmp_path) -> None:
    multiprocessing.spawn(_exchange, (tmp_path,), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"found{rank}", weights_only=False)
        assert torch.equal(found["weight"], torch.full((2, 3), -1.5))  # the mean of their gradients
        assert found["bias"] == -5.0
        assert found["agree"] == (True, False)
        assert found["largest"].tolist() == [1, 0]
        assert found["summed"] == 3
        assert found["shared"] == b"of the first"
        torch.testing.assert_close(found["scale"], _scale(None).state_dict())  # as if one had seen all


def test_alone_nothing_is_exchanged() -> None:
    tensors = [torch.ones(2)]
    assert average(tensors)[0] is summed(tensors)[0] is largest(tensors)[0] is tensors[0]
    assert all_agree(True)
    assert not all_agree(False)
    assert ALONE.share(b"own") == b"own"


def _lose(rank: int, folder: Path) -> None:
    with _meet(rank, 3, folder) as group:
        if rank == 1:
            os._exit(0)  # as a process that is killed: it says nothing
        try:
            group.reduce(torch.ones(2))
        except ConnectionError as error:
            (folder / f"said{rank}").write_text(str(error))
            os._exit(0)


def test_a_process_that_is_lost_is_named_by_the_others(tmp_path) -> None:
    multiprocessing.spawn(_lose, (tmp_path,), nprocs=3)
    for rank in (0, 2):
        assert (tmp_path / f"said{rank}").read_text().startswith("lost worker 1 of 3")


TORCHRUN = """
import json, os, sys
import torch
import torch.distributed as dist
from stable_baselines3.common.callbacks import BaseCallback
from agents import RecurrentPPO, WorldModelController, make_sb3, save_checkpoint

torch.set_num_threads(1)
folder, rank = sys.argv[1], int(os.environ["RANK"])
dist.init_process_group("gloo")  # for a purpose of the script's own: no agent may use it
env_id = "foveal_envs:Foveal/TargetDetection-v0"

class Count(BaseCallback):
    calls = 0
    def _on_step(self):
        self.calls += 1
        return True

class Fail(BaseCallback):
    def _on_step(self):
        raise KeyError("mine")

def train(agent, steps):
    count = Count()
    agent.learn(steps, callback=count, log_interval=1)
    agent.learn(steps // 2, callback=count, log_interval=1, reset_num_timesteps=False)
    agent.save(f"{folder}/{type(agent).__name__}{rank}.zip")
    save_checkpoint(agent, f"{folder}/{type(agent).__name__}{rank}")
    nets = [value for name, net in agent.get_parameters().items() if "optimizer" not in name for value in net.values()]
    seen = agent._last_obs
    return {
        "parameters": sum(value.double().abs().sum().item() for value in nets),
        "seen": [float(part.sum()) for part in (seen.values() if isinstance(seen, dict) else [seen])],
        "steps": agent.num_timesteps,
        "calls": count.calls,
    }

found = {}
log = f"{folder}/log" if rank == 0 else None
agent = RecurrentPPO(env=make_sb3(env_id, 4, seed=0), n_steps=8, seed=rank, workers="torchrun", tensorboard_log=log)
found["ppo"] = train(agent, 256)
env = make_sb3("Pendulum-v1", 2, seed=0)
agent = WorldModelController(env=env, seed=rank, workers="torchrun", updates=2, model_steps=40, burn_in=2)
found["world model"] = train(agent, 200)
if rank == 0:  # the other does not train: whoever asked the default group would wait for it
    RecurrentPPO(env=make_sb3(env_id, 4, seed=0), n_steps=8, seed=0).learn(64)
failing = RecurrentPPO(env=make_sb3(env_id, 4, seed=0), workers="torchrun", n_steps=8)
try:
    failing.learn(64, callback=Fail())  # in the first; the other is told
except (KeyError, ConnectionError) as error:
    found["failed"] = type(error).__name__
found["again"] = failing.learn(64).num_timesteps
try:
    RecurrentPPO(env=make_sb3(env_id, 4, seed=0), workers=2).learn(64)
except ValueError as error:
    found["more"] = str(error)
try:
    RecurrentPPO(env=make_sb3(env_id, 4, seed=0), workers="torchrun", n_steps=8).learn(64 + 64 * rank)
except (ValueError, ConnectionError) as error:
    found["longer"] = f"{type(error).__name__}: {error}"
try:
    RecurrentPPO(env=make_sb3(env_id, 4 + 4 * rank, seed=0), workers="torchrun", n_steps=8).learn(64)
except (ValueError, ConnectionError) as error:
    found["unlike"] = f"{type(error).__name__}: {error}"
dist.barrier()
with open(f"{folder}/found{rank}.json", "w") as file:
    json.dump(found, file)
"""


def test_processes_of_torchrun_train_one_agent(tmp_path) -> None:
    (tmp_path / "script.py").write_text(TORCHRUN)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
        processes.append(
            subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT), **place}, stderr=subprocess.PIPE)
        )
    said = [process.communicate(timeout=240)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    first, second = (json.loads((tmp_path / f"found{rank}.json").read_text()) for rank in range(2))
    for name, least in (("ppo", 384), ("world model", 300)):
        assert first[name]["parameters"] == second[name]["parameters"]  # although they began with other seeds
        assert first[name]["seen"] != second[name]["seen"]  # other episodes, although the seed of the env is the same
        assert first[name]["steps"] == second[name]["steps"] >= least  # of both
        assert first[name]["calls"] > 0
        assert second[name]["calls"] == 0
    assert [path.name for path in tmp_path.glob("*.zip")] == ["RecurrentPPO0.zip", "WorldModelController0.zip"]
    assert not [*tmp_path.glob("*1")]
    assert len([*(tmp_path / "log").iterdir()]) == 1
    assert (first["failed"], second["failed"]) == ("KeyError", "ConnectionError")
    assert first["again"] == second["again"] == 64
    assert "2 processes that torchrun started" in first["more"] == second["more"]
    assert first["unlike"].startswith("ConnectionError: lost worker 1 of 2")
    assert second["longer"].startswith("ValueError: process 1 has total_timesteps=128, process 0 has 64")
    assert second["unlike"].startswith("ValueError: process 1 has lanes=8, process 0 has 4")


def test_a_process_waits_for_the_others_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.common.group.MEETING", timedelta(seconds=1))
    with pytest.raises(ConnectionError, match="worker 0 of 2 found no others"):
        _meet(0, 2, tmp_path)


def _linger() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print("begun", flush=True)
    time.sleep(30)
    print("left alone", flush=True)


def test_a_worker_ends_with_its_parent() -> None:
    parent = (
        "from torch import multiprocessing as m; from tests.agents.common.test_workers import _linger\n"
        "if __name__ == '__main__': m.get_context('spawn').Process(target=_linger).start(); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        assert process.stdout.read() == b""  # until the worker has ended, too


def test_workers_that_cannot_work_are_refused(monkeypatch) -> None:
    agent = RecurrentPPO(env=make_sb3("CartPole-v1", 2), workers="torchrun")
    with pytest.raises(ValueError, match="torchrun --nproc-per-node 2"):
        agent.learn(64)
    monkeypatch.setattr("agents.common.workers.MEETING", timedelta(seconds=1))
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "9")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionError, match=r"process 1 of 2 found no others at 127.0.0.1:9"):
        agent.learn(64)
    with pytest.raises(ValueError, match=r"workers must be a whole number from 1 to .* or 'torchrun', got 'mpi'"):
        RecurrentPPO(env=make_sb3("CartPole-v1", 2), workers="mpi")
    with pytest.raises(ValueError, match="n_steps a number"):
        WorldModelController(env=make_sb3("Pendulum-v1", 2), workers=2, n_steps=None).learn(64)


def test_wrappers_of_stable_baselines_are_pickled() -> None:
    env = VecTransposeImage(VecFrameStack(DummyVecEnv([lambda: Pictures()]), 2))
    copy = pickle.loads(pickled(env))
    np.testing.assert_array_equal(copy.reset(), env.reset())
    assert copy.observation_space == env.observation_space
    assert copy.class_attributes.keys() == env.class_attributes.keys()


def test_seeds_of_the_others() -> None:
    drawn = set()
    for seed in (0, 0, None, None):
        agent = RecurrentPPO(env=make_sb3("CartPole-v1", 2), seed=seed)
        _seed(agent, 1, 0)
        drawn.add(float(torch.rand(())))
    assert len(drawn) == 3  # equal for equal seeds, fresh without one


def test_the_empty_info_stays_one_object() -> None:
    assert pickle.loads(pickle.dumps(NO_INFO)) is NO_INFO


UNGUARDED = """
from agents import RecurrentPPO, make_sb3  # its net is larger than a pipe
env = make_sb3("CartPole-v1", 2, seed=0)
RecurrentPPO("RecurrentPolicy", env, n_steps=8, core="elman", core_kwargs={"size": 256}, workers=2).learn(32)
"""


@pytest.mark.slow
def test_a_script_that_trains_when_imported_is_told_so(tmp_path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    command = [sys.executable, str(tmp_path / "script.py")]
    out = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120
    )
    assert out.returncode == 1
    assert b"must do so under `if __name__ == '__main__':`" in out.stderr.splitlines()[-1]


def test_a_worker_that_ends_early_is_noticed(tmp_path) -> None:
    process = torch.multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    with pytest.raises(RuntimeError, match="a worker ended before training began"):
        _wait_for([process], tmp_path)
