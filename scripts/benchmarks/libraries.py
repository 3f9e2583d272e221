"""``python -m scripts.benchmark libraries``: the native vector environment in other libraries, beside single ones."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from tqdm import tqdm

from .timing import new_folder, ratio, report

ID, FLAT = "foveal_envs:Foveal/TargetDetection-v0", "foveal_envs:Foveal/TargetDetection-flat-v0"
FORMS = ("native", "sync")
ROLLOUT = 25  # steps of a lane in a round
BARS = {"TorchRL, random": 5.0, "PufferLib, random": 8.0, "skrl, PPO": 1.3, "EvoTorch, a generation": 2.0,
        "RLlib, PPO": 1.0}  # fmt: skip
Play = Callable[[], int]  # plays, and returns the number of environment steps


def libraries(lanes: int = 256, rounds: int = 5, json_output: bool = False, output: Path | None = None) -> None:
    """CPU time of a step of TargetDetection in other libraries, by our native environment and by single ones in turn.

    Libraries that are not installed are left out. One thread.

    Args:
        lanes: parallel environments.
        rounds: turns of each.
        json_output: print JSON instead of tables.
        output: folder for timings.csv and claims.csv; default: a new one under runs/benchmark/.
    """
    plays: dict[str, Play] = {}
    for name, make in LIBRARIES.items():
        try:
            plays |= {f"{name}, {form}": make(form, lanes) for form in FORMS}
        except ImportError as error:
            print(f"{name}: left out, as it is not installed ({error})", file=sys.stderr)
    spent = {name: np.empty(rounds) for name in plays}
    for turn in tqdm(range(-1, rounds), unit="round", file=sys.stderr, disable=None):
        for name, play in plays.items():
            before = time.process_time_ns()
            steps = play()
            spent[name][turn] = (time.process_time_ns() - before) / steps  # the first is overwritten by the last
    bars = [
        ratio(spent, f"{name}: sync / native, N = {lanes}", f"{name}, sync", f"{name}, native", ">=", BARS[name])
        for name in LIBRARIES
        if f"{name}, sync" in spent
    ]
    report(spent, bars, json_output, output or new_folder("libraries"))


def lanes_of(form: str, env_id: str, count: int, mode: AutoresetMode) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The vector environment in one of its forms."""
    if form == "native":
        return gym.make_vec(env_id, count, vectorization_mode="vector_entry_point", autoreset_mode=mode)
    return gym.make_vec(env_id, count, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})


def torchrl(form: str, count: int) -> Play:
    """Random actions."""
    from torchrl.envs import GymWrapper

    env = GymWrapper(lanes_of(form, ID, count, AutoresetMode.DISABLED))
    return lambda: env.rollout(ROLLOUT, break_when_any_done=False).numel()


def puffer(form: str, count: int) -> Play:
    """Random actions: our adapter beside PufferLib's own emulation of single environments."""
    import pufferlib.emulation
    import pufferlib.vector

    from agents.adapters.pufferlib import PufferVectorEnv

    if form == "native":
        env: Any = PufferVectorEnv(lanes_of(form, FLAT, count, AutoresetMode.SAME_STEP))
    else:
        env = pufferlib.vector.make(
            lambda buf=None, seed=0: pufferlib.emulation.GymnasiumPufferEnv(
                env_creator=lambda: gym.make(ID), buf=buf, seed=seed
            ),
            num_envs=count,
            backend=pufferlib.vector.Serial,
        )
    env.reset(seed=0)
    env.action_space.seed(0)

    def play() -> int:
        for _ in range(ROLLOUT):
            env.step(env.action_space.sample())
        return ROLLOUT * count

    return play


def skrl(form: str, count: int) -> Play:
    """PPO: rollouts of 25 steps, 4 epochs of 4 minibatches."""
    from skrl.agents.torch.ppo import PPO, PPO_CFG
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
    from skrl.trainers.torch import SequentialTrainer

    class Policy(GaussianMixin, Model):  # type: ignore[misc]
        def __init__(self, **spaces: Any) -> None:
            Model.__init__(self, **spaces)
            GaussianMixin.__init__(self)
            self.net = _net(self.num_observations, self.num_actions)
            self.log_std = torch.nn.Parameter(torch.zeros(self.num_actions))

        def compute(self, inputs: Any, role: str = "") -> Any:
            return self.net(inputs["observations"]), {"log_std": self.log_std}

    class Value(DeterministicMixin, Model):  # type: ignore[misc]
        def __init__(self, **spaces: Any) -> None:
            Model.__init__(self, **spaces)
            DeterministicMixin.__init__(self)
            self.net = _net(self.num_observations, 1)

        def compute(self, inputs: Any, role: str = "") -> Any:
            return self.net(inputs["observations"]), {}

    env = wrap_env(lanes_of(form, ID, count, AutoresetMode.SAME_STEP), verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    settings = PPO_CFG(rollouts=ROLLOUT, learning_epochs=4, mini_batches=4, learning_rate=1e-3)
    settings.experiment.write_interval = settings.experiment.checkpoint_interval = 0
    memory = RandomMemory(memory_size=ROLLOUT, num_envs=count, device=env.device)
    agent = PPO(models={"policy": Policy(**spaces), "value": Value(**spaces)}, memory=memory, cfg=settings, **spaces)
    quiet = {"timesteps": ROLLOUT, "headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
    trainer = SequentialTrainer(env=env, agents=agent, cfg=quiet)

    def play() -> int:
        trainer.train()
        return ROLLOUT * count

    return play


def evotorch(form: str, count: int) -> Play:
    """A generation of as many nets as there are lanes, one episode each."""
    from evotorch.algorithms import SNES
    from evotorch.neuroevolution import GymNE, VecGymNE

    settings: dict[str, Any] = {"network": "Linear(obs_length, act_length)", "num_actors": 0}
    if form == "native":
        problem = VecGymNE(
            lambda num_envs: lanes_of(form, FLAT, num_envs, AutoresetMode.NEXT_STEP), max_num_envs=count, **settings
        )
    else:
        problem = GymNE(lambda: gym.make(FLAT), **settings)
    searcher = SNES(problem, stdev_init=0.1, popsize=count)

    def play() -> int:
        before = int(problem.status.get("total_interaction_count", 0))
        searcher.step()
        return int(problem.status["total_interaction_count"]) - before

    return play


def rllib(form: str, count: int) -> Play:
    """PPO with `RecurrentPolicy`: rollouts of 25 steps, 4 epochs of 4 minibatches."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray

    from agents import RecurrentPPO, make_sb3
    from agents.adapters.rllib import ppo_config

    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    config = ppo_config(RecurrentPPO("MultiInputPolicy", make_sb3(ID, count, seed=0), n_steps=ROLLOUT, seed=0), ID)
    if form == "sync":
        config.env_runners(gym_env_vectorize_mode=form)
    algorithm = config.build_algo()

    def play() -> int:
        algorithm.train()
        return ROLLOUT * count

    return play


def _net(inputs: int, outputs: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(inputs, 64), torch.nn.Tanh(), torch.nn.Linear(64, outputs))


LIBRARIES: dict[str, Callable[[str, int], Play]] = {
    "TorchRL, random": torchrl,
    "PufferLib, random": puffer,
    "skrl, PPO": skrl,
    "EvoTorch, a generation": evotorch,
    "RLlib, PPO": rllib,
}
