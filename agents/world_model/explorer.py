"""A curious agent of tables: it plans, in what M has seen, to where M still has something to learn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor

from ..common.actor import Actor
from ..common.agent import Agent, Step
from ..common.data import check_range
from ..cores import State
from .tables import Curiosity, NetTableModel, TableModel

TIE = 1e-9  # of values below which the choice is left to chance
SWEEPS = 30  # of all states, at most, before every action


class TablePolicy(Actor):
    """Acts greedily by a table Q (S, A); of equals the first is taken.

    Args:
        observation_space, action_space: Discrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
    """

    q: Tensor

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], lr_schedule: Any = None
    ) -> None:
        super().__init__(observation_space, action_space)
        shape = int(observation_space.n), int(action_space.n)  # type: ignore[attr-defined]
        self.register_buffer("q", torch.zeros(shape, dtype=torch.float64))

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        """See `Actor.act`; the state is None."""
        codes = obs.numpy().astype(np.int64).reshape(-1) - int(self.observation_space.start)  # type: ignore[attr-defined]
        check_range("an observation", codes, 0, len(self.q) - 1)
        return self.q.numpy()[codes].argmax(1) + int(self.action_space.start), None  # type: ignore[attr-defined]


class CuriousExplorer(Agent):
    """Learns a `TableModel` and goes where M can still learn: planned exploration.

    Before every action it plans in what M has seen, by value iteration, with the reward

    r(s, a) = reward_weight * mean reward + curiosity_weight * interest(s, a),

    and an optimistic return for actions never tried. `policy` acts by the mean reward alone, or, where no reward was
    ever paid, by the same plan.

    Args:
        policy: "TablePolicy".
        env: a VecEnv (`make_sb3`), an environment or its id; observations and actions Discrete.
        curiosity: kind of interest, see `TableModel`.
        curiosity_weight, reward_weight: see above.
        gamma: discount.
        members, rate: of the `TableModel`.
        net: keywords of `NetTableModel`, whose predictions are those of nets; None: tables.
        random: whether it acts at random instead, for comparison; M learns all the same.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        policy_kwargs: none.
        _init_setup_model: whether to make the tables at once.

    Attributes:
        model: M.
        state_visits: (S,) how often each state was left, for a map.
    """

    PROGRESS: ClassVar[tuple[str, ...]] = (*Agent.PROGRESS, "learned", "state_visits", "_values", "_wanted")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TablePolicy": TablePolicy}
    policy: TablePolicy
    action_space: spaces.Discrete
    observation_space: spaces.Discrete

    def __init__(
        self,
        policy: str | type[TablePolicy] = "TablePolicy",
        env: GymEnv | str | None = None,
        *,
        curiosity: Curiosity = "disagreement",
        curiosity_weight: float = 1.0,
        reward_weight: float = 0.0,
        gamma: float = 0.95,
        members: int = 5,
        rate: float = 1.0,
        net: dict[str, Any] | None = None,
        random: bool = False,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy, env, 0.0, policy_kwargs, seed=seed, device="cpu", verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
        )  # fmt: skip
        self.curiosity: Curiosity = curiosity
        self.curiosity_weight = curiosity_weight
        self.reward_weight = reward_weight
        self.gamma = gamma
        self.members = members
        self.rate = rate
        self.net = net
        self.random = random
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        if not isinstance(self.observation_space, spaces.Discrete):
            raise ValueError(f"tables need Discrete observations, not {self.observation_space}")
        if self.gamma >= 1:
            raise ValueError(f"gamma must be below 1, got {self.gamma}: the return of the unknown is 1 / (1 - gamma)")
        super()._setup_model()
        self.policy = self.policy_class(self.observation_space, self.action_space, **self.policy_kwargs)  # type: ignore[assignment]
        states, actions = self.policy.q.shape
        seed = int(np.random.randint(1 << 31))  # noqa: NPY002 (seeded by Stable-Baselines3)
        if self.net is None:
            self.model = TableModel(states, actions, self.members, self.rate, seed)
        else:
            self.model = NetTableModel(states, actions, self.members, seed=seed, **self.net)
        self.state_visits = np.zeros(states, np.int64)
        self._values, self._wanted = np.zeros((2, states))
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ()

    @property
    def learned(self) -> dict[str, Any]:
        """All that M has learned, as data."""
        return self.model.get_state()

    @learned.setter
    def learned(self, state: dict[str, Any]) -> None:
        self.model.set_state(state)

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        if name != "learned":  # which M checks itself
            super().check_state(name, given)

    def rollout_length(self) -> int:
        """One step: M learns from each."""
        return 1

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """See `Agent.act`."""
        codes = np.asarray(obs, np.int64).reshape(-1) - int(self.observation_space.start)
        if self.random:
            actions = np.random.randint(self.action_space.n, size=len(codes))  # noqa: NPY002 (seeded by SB3)
        else:
            q = self._plan()[codes]
            actions = (q + TIE * np.random.random(q.shape)).argmax(1)  # noqa: NPY002 (seeded by Stable-Baselines3)
        return actions + int(self.action_space.start), {"state": codes, "action": actions}, ()

    def _plan(self) -> np.ndarray:
        interest = self.model.interest(self.curiosity)
        rewards = self.curiosity_weight * interest + self.reward_weight * self.model.reward
        unknown = self.curiosity_weight + self.reward_weight * max(0.0, float(self.model.reward.max()))
        return self.model.plan(self._values, rewards, self.gamma, unknown / (1 - self.gamma), SWEEPS)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`: M learns from the steps of all lanes."""
        after = np.asarray(step.next_obs, np.int64).reshape(-1) - int(self.observation_space.start)
        self._errors = [
            self.model.learn(int(state), int(action), int(following), float(reward), bool(terminated))
            for state, action, following, reward, terminated in zip(
                step.act["state"], step.act["action"], after, step.rewards, step.terminated, strict=True
            )
        ]
        np.add.at(self.state_visits, step.act["state"], 1)

    def train(self, steps: int) -> None:
        """The policy plans by what was paid, if anything was."""
        reward = self.model.reward
        q = self.model.plan(self._wanted, reward, self.gamma, 0.0, SWEEPS) if reward.any() else self._plan()
        self.policy.q.copy_(torch.from_numpy(q))
        self.measures = {"curiosity/error": float(np.mean(self._errors))}
