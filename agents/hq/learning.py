"""HQ-learning: a sequence of reactive agents, each of which learns when to hand over to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor

from ..common.agent import INHERITED, Agent
from ..cores import State
from .kernels import (
    COUNTS,
    RULES,
    STEP,
    Tables,
    World,
    act_all,
    finish_all,
    lane_record,
    notice_all,
    predict_all,
    run_trials,
)

CHUNK = 100  # trials between two callbacks where the environment is a known table


class HQPolicy(BasePolicy):
    """Tables Q (agents, observations, actions) and HQ (agents, observations), and which observations were met.

    Args:
        observation_space, action_space: Discrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        agents: M.
    """

    q: Tensor
    hq: Tensor
    seen: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        agents: int = 8,
    ) -> None:
        super().__init__(observation_space, action_space)
        observations, actions = int(observation_space.n), int(action_space.n)  # type: ignore[attr-defined]
        self.agents = agents
        self.register_buffer("q", torch.zeros(agents, observations, actions, dtype=torch.float64))
        self.register_buffer("hq", torch.zeros(agents, observations, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(observations, dtype=torch.bool))

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "agents": self.agents}

    @property
    def tables(self) -> Tables:
        """Q, HQ and seen as arrays that share the buffers' memory."""
        return self.q.numpy(), self.hq.numpy(), self.seen.numpy()

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Greedy actions, and the next state: active agents and their subgoals, each (N,).

        Args:
            observation: (N,) integers, or one.
            state: what the last call returned; None at the start.
            episode_start: (N,) bool; None: no lane starts anew.
            deterministic: unused; what was learned is a deterministic policy.
        """
        obs = np.atleast_1d(np.asarray(observation, np.int64)) - int(self.observation_space.start)  # type: ignore[attr-defined]
        starts = np.full(len(obs), state is None)
        if episode_start is not None:
            starts |= np.asarray(episode_start, bool)
        active, subgoals = (np.zeros((2, len(obs)), np.int64) if state is None else np.array(state, np.int64)).copy()
        actions = np.zeros(len(obs), np.int64)
        predict_all(self.tables, obs, starts, active, subgoals, actions)
        actions += int(self.action_space.start)  # type: ignore[attr-defined]
        return (actions if np.ndim(observation) else actions[0]), (active, subgoals)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        raise NotImplementedError("the policy needs its state: call predict")


class HQLearning(Agent):
    """HQ(lambda)-learning of Wiering & Schmidhuber (Adaptive Behavior 6:219-246, 1997); one agent: flat Q(lambda).

    Agents C_1 .. C_M take turns; which one is active is the only memory. C_i chooses a subgoal, an observation, by
    Max-Random on HQ_i and acts by Max-Boltzmann on Q_i; when what it sees equals its subgoal, C_i+1 takes over. After
    each trial, backwards:

    Q <- Q + a_Q [R + gamma ((1 - lambda) V_active(O') + lambda Q') - Q], V = max_a Q
    HQ_i <- HQ_i + a_HQ [R_i + gamma^dt_i ((1 - lambda) HV_i+1 + lambda HQ'_i+1) - HQ_i], HV = max_o HQ

    with R_i the discounted rewards of the dt_i steps of C_i, and the primed numbers the targets of the step or agent
    after. p_max, the probability of a greedy choice, rises linearly to 1. Lanes share the tables; a trial is learned
    from when it ends, so one lane is the published algorithm.

    Args:
        policy: "HQPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id; observations and actions Discrete.
        learning_rate: a_Q, a number or Stable-Baselines3's schedule of the progress remaining.
        agents: M.
        subgoal_rate: a_HQ.
        gamma: discount.
        decay: lambda.
        temperature: of the Boltzmann distribution.
        p_start: p_max before the first trial.
        trials: after so many p_max is 1.
        test_every: after so many trials one greedy trial is a test, and nothing is learned from it; None: never.
        table: an environment that says it is a deterministic table, by an attribute `table` (states that actions lead
            to (S, A), observations (S,), rewards (S, A), ends (S,), first state, longest trial), is learned in compiled
            loops if it has one lane: the same numbers, some hundred times faster, but a callback only every 100
            trials. False: always step.
        policy_kwargs: other keywords of `HQPolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, but that the CPU computes on
            any device.
        _init_setup_model: whether the tables are made at once.

    Attributes:
        tests: (K, 3) trials before the test, steps and sum of rewards of each test.

    Raises:
        ValueError: spaces that are not Discrete, or a number out of range.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"HQPolicy": HQPolicy, "MlpPolicy": HQPolicy}
    policy: HQPolicy
    rollout_steps = 1

    def __init__(
        self,
        policy: str | type[HQPolicy] = "HQPolicy",
        env: GymEnv | str | None = None,
        *,
        learning_rate: float | Schedule = 0.05,
        agents: int = 8,
        subgoal_rate: float = 0.2,
        gamma: float = 0.9,
        decay: float = 0.9,
        temperature: float = 0.1,
        p_start: float = 0.9,
        trials: int = 20_000,
        test_every: int | None = 500,
        table: bool = True,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        build = settings.pop("_init_setup_model")
        for name, least in (("agents", 1), ("trials", 1), ("test_every", 1)):
            if settings[name] is not None and settings[name] < least:
                raise ValueError(f"{name} must be at least {least}, got {settings[name]}")
        if temperature <= 0 or not 0 <= p_start <= 1:
            raise ValueError(f"temperature must be positive and p_start in [0, 1], got {temperature=}, {p_start=}")
        inherited = {name: settings.pop(name) for name in (*INHERITED, "policy_kwargs")}
        super().__init__(
            **{**inherited, "device": "cpu"}, support_multi_env=True, supported_action_spaces=(spaces.Discrete,)
        )
        vars(self).update(settings)  # every keyword is an attribute of the same name, saved and loaded with the model
        if build:
            self._setup_model()

    def _setup_model(self) -> None:
        if not isinstance(self.observation_space, spaces.Discrete):
            raise ValueError(f"HQ-learning needs Discrete observations, not {self.observation_space}")
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, agents=self.agents, **self.policy_kwargs
        )  # the tables stay on the CPU
        self.core_states = ()
        self._rules = np.zeros(1, RULES)  # but for the rate, which follows its schedule
        for name in ("gamma", "subgoal_rate", "temperature", "p_start", "trials"):
            self._rules[name] = getattr(self, name)
        self._rules["td_lambda"], self._rules["test_every"] = self.decay, self.test_every or 0
        self._lanes = np.zeros(self.lanes, lane_record(self.agents))
        self._lanes["random"] = np.random.randint(1 << 62, size=self.lanes)  # noqa: NPY002 (seeded by SB3)
        self._trace = np.zeros((self.lanes, 64), STEP)
        vars(self).setdefault("_counts", np.zeros(1, COUNTS))  # both come from the zip where one is loaded
        vars(self).setdefault("_tests", np.zeros((0, 3)))
        self._ended = np.zeros(self.lanes, bool)

    @property
    def tests(self) -> np.ndarray:
        return self._tests[: self._counts[0]["tests_finished"]]

    @property
    def trials_done(self) -> int:
        """Trials learned from."""
        return int(self._counts[0]["finished"])

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """See `Agent.act`."""
        codes = np.asarray(obs, np.int64) - int(self.observation_space.start)
        actions = np.zeros(self.lanes, np.int64)
        starts = episode_start.numpy()
        act_all(self.policy.tables, self._lanes, codes, starts, self._counts, self._rules, actions)
        return actions + int(self.action_space.start), {"obs": codes, "action": actions}, ()

    def remember(
        self, act: dict[str, Any], rewards: np.ndarray, ends: np.ndarray, next_obs: Any, terminated: np.ndarray
    ) -> None:
        """See `Agent.remember`."""
        if self._lanes["steps"].max() == self._trace.shape[1]:
            self._make_room(2 * self._trace.shape[1])
        self._ended = np.asarray(ends, bool)
        following = np.asarray(next_obs, np.int64) - int(self.observation_space.start)
        notice_all(
            self.policy.tables, self._lanes, self._trace, act["obs"], act["action"], np.asarray(rewards, np.float64),
            following, self._ended, self._counts, self._rules,
        )  # fmt: skip

    def train(self, steps: int) -> None:
        """Learns from the trials that ended in the step just made."""
        if self._ended.any():
            self._make_ready(self.lanes)
            finish_all(
                self.policy.tables, self._lanes, self._trace, self._ended, self._counts, self._tests, self._rules
            )  # fmt: skip
        self.measures = {"hq/trials": self.trials_done}
        if len(self.tests):
            self.measures |= {"hq/test_steps": self.tests[-1, 1], "hq/test_reward": self.tests[-1, 2]}

    def collect(self, callback: BaseCallback) -> int | None:
        """One step of every lane, or 100 trials of a known table; see `Agent.collect`."""
        world = self._world()
        if world is None:
            return super().collect(callback)
        *_, longest = world
        self._make_room(longest + 1)
        self._make_ready(CHUNK)
        steps = run_trials(
            self.policy.tables, self._lanes, self._trace, self._counts, self._tests, self._rules, world, CHUNK
        )  # fmt: skip
        self._ended[:] = False
        self.num_timesteps += steps
        callback.update_locals(locals())
        return steps if callback.on_step() else None

    def resumable(self) -> dict[str, Any]:
        """See `Agent.resumable`."""
        own = {name: getattr(self, name) for name in _OWN}
        return {**super().resumable(), **own}

    def resume(self, state: dict[str, Any]) -> None:
        """See `Agent.resume`."""
        super().resume(state)
        for name in _OWN:
            setattr(self, name, state[name])

    def _world(self) -> World | None:
        """The environment's table, if it may be used: between episodes of one lane."""
        if not self.table or self.lanes != 1 or not self._last_episode_starts.all():
            return None
        try:
            world = self.env.get_attr("table")[0]
        except AttributeError:
            return None
        return tuple(world)

    def _make_room(self, steps: int) -> None:
        more = steps - self._trace.shape[1]
        if more > 0:
            self._trace = np.concatenate([self._trace, np.zeros((self.lanes, more), STEP)], axis=1)

    def _make_ready(self, tests: int) -> None:
        """Room for so many more tests, and the rate of now."""
        self._rules["rate"] = self.lr_schedule(self._current_progress_remaining)
        if len(self._tests) < self._counts[0]["tests_finished"] + tests:
            self._tests = np.concatenate([self._tests, np.zeros((max(tests, 64), 3))])

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_trace", "_lanes", "_ended", "_rules"]


_OWN = ("_lanes", "_trace", "_counts", "_tests", "_ended")
