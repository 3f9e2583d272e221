"""HQ-learning: a sequence of reactive agents; each learns when to hand over to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor

from ..common.actor import Actor
from ..common.agent import Agent, Step, check_finite
from ..common.data import check_alike, check_range
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

CHUNK = 100  # trials between two callbacks if the environment is a known table


class HQPolicy(Actor):
    """Tables Q (agents, observations, actions) and HQ (agents, observations), and which observations were seen.

    Args:
        observation_space, action_space: Discrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        agents: M.
    """

    q: Tensor
    hq: Tensor
    seen: Tensor
    _views: Tables | None = None

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

    @property
    def tables(self) -> Tables:
        """Q, HQ and seen as arrays that share the buffers' memory."""
        views = self._views
        if views is None or views[0].ctypes.data != self.q.data_ptr():  # a copy has buffers of its own
            views = self._views = self.q.numpy(), self.hq.numpy(), self.seen.numpy()
        return views

    def act(
        self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """See `Actor.act`. Actions are always greedy, because a deterministic policy was learned; the state holds the
        active agents and their subgoals, each (N,)."""
        count, actions = len(episode_start), np.zeros(len(episode_start), np.int64)
        active, subgoals = np.zeros((2, count), np.int64) if state is None else np.array(state, np.int64)
        codes = obs.numpy().astype(np.int64) - int(self.observation_space.start)  # type: ignore[attr-defined]
        check_range("an observation", codes, 0, self.hq.shape[1] - 1)
        predict_all(self.tables, codes, episode_start, active, subgoals, actions)
        return actions + int(self.action_space.start), (active, subgoals)  # type: ignore[attr-defined]


class HQLearning(Agent):
    """HQ(lambda)-learning of Wiering & Schmidhuber (Adaptive Behavior 6:219-246, 1997); one agent: flat Q(lambda).

    Agents C_1 .. C_M take turns; the index of the active one is the only memory. C_i chooses a subgoal, an observation,
    by Max-Random on HQ_i and acts by Max-Boltzmann on Q_i; when it observes its subgoal, C_i+1 takes over. After each
    trial, backwards in time:

    Q <- Q + a_Q [R + gamma ((1 - lambda) V_active(O') + lambda Q') - Q], V = max_a Q
    HQ_i <- HQ_i + a_HQ [R_i + gamma^dt_i ((1 - lambda) HV_i+1 + lambda HQ'_i+1) - HQ_i], HV = max_o HQ

    where R_i is the discounted sum of rewards in the dt_i steps of C_i, and primes mark the targets of the next step or
    agent. p_max, the probability of a greedy choice, rises linearly to 1. Lanes share the tables and learn from a trial
    when it ends, so one lane is the published algorithm.

    Args:
        policy: "HQPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id; observations and actions Discrete.
        learning_rate: a_Q, a number or Stable-Baselines3's schedule of the progress remaining.
        agents: M.
        subgoal_rate: a_HQ.
        gamma: discount.
        td_lambda: lambda.
        temperature: of the Boltzmann distribution.
        p_start: p_max before the first trial.
        trials: number of trials after which p_max is 1.
        test_every: trials between tests, greedy trials from which nothing is learned; None: no tests.
        table: whether to use compiled loops for a single-lane environment that declares itself a deterministic table by
            an attribute `table`: next states (S, A), observations (S,), rewards (S, A), ends (S,), first state, longest
            trial. The results are the same, about a hundred times faster, but callbacks run only every 100 trials.
            False: always step.
        policy_kwargs: other keywords of `HQPolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        _init_setup_model: whether to make the tables at once.

    Attributes:
        tests: (K, 3), for each test the number of trials before it, its steps and its sum of rewards.

    Raises:
        ValueError: spaces that are not Discrete, or a number out of range.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"HQPolicy": HQPolicy, "MlpPolicy": HQPolicy}
    STATE = (*Agent.STATE, "_lanes", "_trace", "_ended")
    PROGRESS = (*Agent.PROGRESS, "_counts", "_tests")
    RENAMED = {"decay": "td_lambda"}  # noqa: RUF012 (declared so by the parent)
    policy: HQPolicy
    policy_class: type[HQPolicy]
    observation_space: spaces.Discrete
    action_space: spaces.Discrete

    def __init__(
        self,
        policy: str | type[HQPolicy] = "HQPolicy",
        env: GymEnv | str | None = None,
        *,
        learning_rate: float | Schedule = 0.05,
        agents: int = 8,
        subgoal_rate: float = 0.2,
        gamma: float = 0.9,
        td_lambda: float = 0.9,
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
        super().__init__(
            policy, env, learning_rate, policy_kwargs, seed=seed, device="cpu", verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
        )  # fmt: skip
        self.agents = agents
        self.subgoal_rate = subgoal_rate
        self.gamma = gamma
        self.td_lambda = td_lambda
        self.temperature = temperature
        self.p_start = p_start
        self.trials = trials
        self.test_every = test_every
        self.table = table
        self._counts, self._tests = np.zeros(1, COUNTS), np.zeros((0, 3))
        if _init_setup_model:
            self._setup_model()

    def rollout_length(self) -> int:
        """One step; a trial is learned from as soon as it ends."""
        return 1

    def _setup_model(self) -> None:
        if not isinstance(self.observation_space, spaces.Discrete):
            raise ValueError(f"HQ-learning needs Discrete observations, not {self.observation_space}")
        super()._setup_model()
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, agents=self.agents, **self.policy_kwargs
        )  # the tables stay on the CPU
        self._rules = np.zeros(1, RULES)  # except the rate, which follows its schedule
        for name in ("gamma", "td_lambda", "subgoal_rate", "temperature", "p_start", "trials"):
            self._rules[name] = getattr(self, name)
        self._rules["test_every"] = self.test_every or 0
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ()
        self._lanes = np.zeros(self.lanes, lane_record(self.agents))
        self._lanes["random"] = np.random.randint(1 << 62, size=self.lanes)  # noqa: NPY002 (seeded by SB3)
        self._trace = np.zeros((self.lanes, 64), STEP)
        self._ended = np.zeros(self.lanes, bool)

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        if name in ("_trace", "_tests"):  # these grow
            axis = 1 if name == "_trace" else 0
            own = getattr(self, name)
            shape = list(own.shape)
            shape[axis] = given.shape[axis]
            check_alike(name, np.empty(shape, own.dtype), given)
        else:
            super().check_state(name, given)
        observations, last = int(self.observation_space.n) - 1, self.agents - 1
        if name == "_lanes":
            check_range("the active agent", given["active"], 0, last)
            check_range("a subgoal", given["subgoals"], -1, observations)
            check_range("the steps of a trial", given["steps"], 0, 1 << 40)
        elif name == "_trace":
            check_range("the length of a trace", np.array(given.shape[1]), 1, 1 << 40)
            check_range("the steps of a trial", self._lanes["steps"], 0, given.shape[1])
            for part, most in (("obs", observations), ("action", int(self.action_space.n) - 1), ("agent", last)):
                check_range(part, given[part], 0, most)
        elif name == "_counts":
            for part in COUNTS.names or ():
                check_range(part, given[part], 0, 1 << 60)

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
        if not act_all(self.policy.tables, self._lanes, codes, starts, self._counts, self._rules, actions):
            raise ValueError(f"observations must be in {self.observation_space}, got {np.asarray(obs).tolist()}")
        return actions + int(self.action_space.start), {"obs": codes, "action": actions}, ()

    def remember(self, step: Step) -> None:
        """See `Agent.remember`."""
        if self._lanes["steps"].max() == self._trace.shape[1]:
            self._make_room(2 * self._trace.shape[1])
        self._ended = np.array(step.ends, bool)
        following = np.asarray(step.next_obs, np.int64) - int(self.observation_space.start)
        if self._ended.any():  # the others are checked when they are acted on
            check_range("an observation", following, 0, int(self.observation_space.n) - 1)
        notice_all(
            self.policy.tables, self._lanes, self._trace, step.act["obs"], step.act["action"],
            np.asarray(step.rewards, np.float64), following, self._ended, self._counts, self._rules,
        )  # fmt: skip

    def train(self, steps: int) -> None:
        """Learns from the trials that ended in the last step."""
        if self._ended.any():
            self._make_ready(self.lanes)
            finish_all(
                self.policy.tables, self._lanes, self._trace, self._ended, self._counts, self._tests, self._rules
            )  # fmt: skip
        self.measures = {"hq/trials": self.trials_done}
        if len(self.tests):
            self.measures |= {"hq/test_steps": self.tests[-1, 1], "hq/test_reward": self.tests[-1, 2]}

    def collect(self, callback: BaseCallback) -> int | None:
        """Takes one step in every lane, or runs 100 trials of a known table; see `Agent.collect`."""
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
        # Whole trials: none is running between two callbacks, and of those that ended only the tests are told.
        callback.update_locals({"dones": self._ended, "infos": [{}], "steps": steps})
        return steps if callback.on_step() else None

    def _world(self) -> World | None:
        """The environment's table, if it can be used now: between episodes of a single lane."""
        if not self.table or self.lanes != 1 or not np.all(self._last_episode_starts):
            return None
        try:
            (world,) = self.training_env.get_attr("table")
        except AttributeError:
            return None
        leads_to, codes, rewards, ends, first, longest = world
        states = len(leads_to) - 1
        for name, part, low, high in (
            ("a state of the table", leads_to, 0, states), ("the first state", np.array(first), 0, states),
            ("an observation of the table", codes, 0, int(self.observation_space.n) - 1),
            ("the longest trial", np.array(longest), 1, 1 << 40),
        ):  # fmt: skip
            check_range(name, part, low, high)
        if not len(codes) == len(rewards) == len(ends) == len(leads_to):
            raise ValueError("a table has as many observations, rewards and ends as states")
        check_finite("reward of the table", rewards, self.num_timesteps)
        return leads_to, codes, rewards, ends, first, longest

    def _make_room(self, steps: int) -> None:
        more = steps - self._trace.shape[1]
        if more > 0:
            self._trace = np.concatenate([self._trace, np.zeros((self.lanes, more), STEP)], axis=1)

    def _make_ready(self, tests: int) -> None:
        """Makes room for `tests` more tests, and sets the current learning rate."""
        self._rules["rate"] = self.lr_schedule(self._current_progress_remaining)
        missing = int(self._counts[0]["tests_finished"]) + tests - len(self._tests)
        if missing > 0:
            self._tests = np.concatenate([self._tests, np.zeros((max(missing, 64), 3))])
