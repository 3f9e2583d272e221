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
from .tables import Curiosity, NetTableModel, TableModel, plan

TIE = 1e-9  # of values below which the choice is left to chance
SWEEPS = 30  # of all states, at most, before every action
NOISY = 0.5  # M's error, above which a policy that explores takes a pair for noise


class TablePolicy(Actor):
    """Acts greedily by a table Q (S, A); of equals the first is taken.

    If it `explores`, it goes, in every episode anew, to the nearest pair of state and action that it has not tried in
    that episode: M says where the moves lead, and which pairs are noise, not worth a visit.

    Args:
        observation_space, action_space: Discrete.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        explores: see above.
        gamma: discount of what it plans when it explores.
    """

    q: Tensor
    tried: Tensor
    continued: Tensor
    noise: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        explores: bool = False,
        gamma: float = 0.95,
    ) -> None:
        super().__init__(observation_space, action_space)
        shape = int(observation_space.n), int(action_space.n)  # type: ignore[attr-defined]
        self.explores, self.gamma = explores, gamma
        self.register_buffer("q", torch.zeros(shape, dtype=torch.float64))
        if explores:
            for name in ("tried", "noise"):
                self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
            self.register_buffer("continued", torch.zeros(*shape, shape[0], dtype=torch.float64))

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        """See `Actor.act`; the state is None, or what was tried in the episodes (N, S, A) bool."""
        codes = obs.numpy().astype(np.int64).reshape(-1) - int(self.observation_space.start)  # type: ignore[attr-defined]
        check_range("an observation", codes, 0, len(self.q) - 1)
        if self.explores:
            actions, state = self._explore(codes, state, episode_start)
        else:
            actions = self.q.numpy()[codes].argmax(1)
        return actions + int(self.action_space.start), state  # type: ignore[attr-defined]

    def _explore(self, codes: np.ndarray, state: Any, episode_start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lanes, worthless = np.arange(len(codes)), self.noise.numpy() > 0
        shape = len(codes), *self.q.shape
        done = np.zeros(shape, bool) if state is None else state & ~episode_start[:, None, None]
        tried = np.where(done | worthless, self.tried.numpy(), 0.0)  # the rest is unknown once more
        actions = (tried[lanes, codes] == 0).argmax(1)
        for lane in np.flatnonzero((tried[lanes, codes] > 0).all(1) & (tried == 0).any((1, 2))):  # must go elsewhere
            q = plan(tried[lane], self.continued.numpy(), np.zeros(shape[1:]), self.gamma, 1.0, SWEEPS)
            actions[lane] = q[codes[lane]].argmax()
        done[lanes, codes, actions] = True
        return actions, done


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
        explores: whether the trained policy explores, in every episode anew, instead of seeking reward: see
            `TablePolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        policy_kwargs: none.
        _init_setup_model: whether to make the tables at once.

    Attributes:
        model: M.
        state_visits: (S,) how often each state was left, for a map.
    """

    PROGRESS: ClassVar[tuple[str, ...]] = (*Agent.PROGRESS, "learned", "state_visits", "_values", "_wanted")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TablePolicy": TablePolicy, "MlpPolicy": TablePolicy}
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
        explores: bool = False,
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
        self.explores = explores
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        if not isinstance(self.observation_space, spaces.Discrete):
            raise ValueError(f"tables need Discrete observations, not {self.observation_space}")
        if self.gamma >= 1:
            raise ValueError(f"gamma must be below 1, got {self.gamma}: the return of the unknown is 1 / (1 - gamma)")
        super()._setup_model()
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space, self.action_space, explores=self.explores, gamma=self.gamma, **self.policy_kwargs
        )
        states, actions = self.policy.q.shape
        seed = int(np.random.randint(1 << 31))  # noqa: NPY002 (seeded by Stable-Baselines3)
        if self.net is None:
            self.model = TableModel(states, actions, self.members, self.rate, seed)
        else:
            try:
                self.model = NetTableModel(states, actions, self.members, seed=seed, **self.net)
            except (TypeError, ValueError) as error:
                raise ValueError(f"net does not fit: {error}") from error
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
        model, hope = self.model, unknown / (1 - self.gamma)
        return plan(model.tried, model.continued, rewards, self.gamma, hope, SWEEPS, self._values)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`: M learns from the steps of all lanes."""
        after = np.asarray(step.next_obs, np.int64).reshape(-1) - int(self.observation_space.start)
        self._errors = [
            self.model.learn(int(state), int(action), int(following), float(reward), bool(terminated))
            for state, action, following, reward, terminated in zip(
                step.act["state"], step.act["action"], after, step.rewards, step.terminated, strict=True
            )
        ]
        self._left = np.unique(step.act["state"])
        np.add.at(self.state_visits, step.act["state"], 1)

    def train(self, steps: int) -> None:
        """The policy plans by what was paid, if anything was, or knows what M does."""
        model, policy = self.model, self.policy
        if self.explores:
            left, tried = self._left, model.tried[self._left]
            noise = (model.fast[left] > NOISY) & (tried > 0)
            for name, rows in (("tried", tried), ("continued", model.continued[left]), ("noise", noise)):
                getattr(policy, name)[left] = torch.from_numpy(rows).double()
        elif model.reward.any():
            q = plan(model.tried, model.continued, model.reward, self.gamma, 0.0, SWEEPS, self._wanted)
            policy.q.copy_(torch.from_numpy(q))
        else:
            policy.q.copy_(torch.from_numpy(self._plan()))
        self.measures = {"curiosity/error": float(np.mean(self._errors))}
