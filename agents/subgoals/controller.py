"""A hierarchical agent: subgoals from a learned cost of legs, which a given controller pursues one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor

from ..common.actor import Actor
from ..common.agent import Agent, Step
from ..common.encoder import Encoder
from ..common.sequences import Replay
from ..common.snapshot import keeps_nothing
from ..common.workers import Workers
from ..cores import State
from .generator import SubgoalGenerator, Topology
from .leg_evaluator import LegEvaluator, regress

Plan = tuple[np.ndarray, np.ndarray, np.ndarray, Any]  # subgoals (N, n, P), index and age (N,), the controller's state


class HierarchicalPolicy(Actor):
    """Gives a goal-conditioned controller the subgoals as its desired goal, one by one, then the real goal.

    Args:
        observation_space: a Dict with the goal keys; places are achieved goals (P,).
        action_space: the controller's.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        controller: anything with Stable-Baselines3's `predict`.
        context: (start, stop) of the slice of the observation that E and S read besides places.
        subgoals, topology: see `SubgoalGenerator`.
        items, features, length_weight: see `LegEvaluator`.
        hidden: widths of the layers of both.
        tolerance: distance at which a subgoal counts as reached.
        patience: moves after which the next subgoal is pursued anyway.
        candidates, refinement: paths and gradient steps of `SubgoalGenerator.refine`; 0 steps: S's proposal.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        controller: Any,
        context: tuple[int, int] = (0, 0),
        subgoals: int = 4,
        topology: Topology = "static",
        items: int = 1,
        features: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
        length_weight: float = 0.0,
        hidden: Sequence[int] = (64, 64, 64),
        tolerance: float = 0.05,
        patience: int = 20,
        candidates: int = 16,
        refinement: int = 100,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.encoder = Encoder(observation_space)
        if not self.encoder.has_goal:
            raise ValueError(
                f"a hierarchy needs achieved_goal and desired_goal in the observation: {observation_space}"
            )
        self.controller, self.context, self.tolerance, self.patience = controller, slice(*context), tolerance, patience
        self.candidates, self.refinement = candidates, refinement
        place, width = self.encoder.goal_size, context[1] - context[0]
        space = observation_space["achieved_goal"]  # type: ignore[index]
        self.low, self.high = float(space.low.min()), float(space.high.max())
        self.evaluator = LegEvaluator(
            place, width, items, features=features, length_weight=length_weight, hidden=hidden
        ).requires_grad_(False)
        self.generator = SubgoalGenerator(
            place, width, subgoals, topology=topology, hidden=hidden, low=self.low, high=self.high
        )

    def plan(self, obs: Any) -> np.ndarray:
        """Subgoals (N, n, P) for observations (N, ...)."""
        start, goal, context = self.places(obs)
        if self.refinement:
            settings = {"candidates": self.candidates, "updates": self.refinement}
            subgoals = self.generator.refine(self.evaluator, start, goal, context, **settings)
        else:
            with torch.no_grad():
                subgoals = self.generator(start, goal, context)
        return subgoals.movedim(0, 1).numpy()

    def places(self, obs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The agent's place (N, P), its goal (N, P), and the context (N, C)."""
        start, goal = (torch.as_tensor(obs[key]).float().flatten(1) for key in ("achieved_goal", "desired_goal"))
        return start, goal, self.encoder.observation(obs)[:, self.context]

    def pursue(self, obs: Any, goals: np.ndarray, state: Any, starts: np.ndarray, deterministic: bool) -> Any:
        """The controller's actions towards goals (N, P), and its next state."""
        towards = {**obs, "desired_goal": goals.reshape(obs["desired_goal"].shape).astype(np.float32)}
        return self.controller.predict(towards, state, starts, deterministic=deterministic)

    def act(
        self, obs: Any, state: Plan | None, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, Plan]:
        """See `Actor.act`. The state holds the plan of every lane."""
        obs = {key: part.numpy() for key, part in obs.items()}
        count = len(episode_start)
        if state is None:
            shape = count, self.generator.subgoals, self.encoder.goal_size
            state = np.zeros(shape, np.float32), np.zeros(count, int), np.zeros(count, int), None
        plans, index, age = (part.copy() for part in state[:3])
        if episode_start.any():
            fresh = {key: part[episode_start] for key, part in obs.items()}
            plans[episode_start], index[episode_start], age[episode_start] = self.plan(fresh), 0, 0
        path = np.concatenate((plans, obs["desired_goal"].reshape(count, 1, -1)), 1)
        lanes, last = np.arange(count), path.shape[1] - 1
        away = np.linalg.norm(path[lanes, index] - obs["achieved_goal"].reshape(count, -1), axis=-1)
        passed = ((away <= self.tolerance) | (age >= self.patience)) & (index < last)
        index, age = index + passed, np.where(passed, 0, age) + 1
        actions, memory = self.pursue(obs, path[lanes, index], state[3], episode_start, deterministic)
        return actions, (plans, index, age, memory)


class HierarchicalController(Agent):
    """Learns what a controller's legs cost (E), and subgoals from the gradient of E (S); the controller is fixed.

    Schmidhuber, ICANN 1991:967-972. During training, the controller walks to random places in every lane; the cost of a
    leg is minus the sum of its rewards. Between rollouts E is regressed on the legs seen, and S descends E for the
    starts and goals seen. It acts with `HierarchicalPolicy`.

    Args:
        policy: "HierarchicalPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id, with goal keys.
        controller: a goal-conditioned algorithm or policy, from Stable-Baselines3, this package or your own code; its
            `predict` steers towards `desired_goal`.
        learning_rate: Adam's, for E and S.
        leg_steps: longest leg, in moves.
        rollout_legs: legs per lane between updates.
        updates: gradient steps of E, and of S, after each rollout.
        batch_size: legs, or problems, in each.
        buffer_size: capacity of the replay, in moves of all lanes together.
        policy_kwargs: other keywords of `HierarchicalPolicy`.
        workers: processes that train in parallel with averaged gradients, each with its own copy of `env` and other
            seeds: a number, of which all but this one are started by `learn` and run on the CPU; or "torchrun", for
            scripts that it starts. The steps of all of them count; callbacks run, and files are written, in the first.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        _init_setup_model: whether to build the nets at once.

    Raises:
        ValueError: the environment has no goals, or the controller no `predict`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("HierarchicalPolicy", "MultiInputPolicy"), HierarchicalPolicy
    )
    STATE = (*Agent.STATE, "replay", "_targets", "_age", "_memory")
    RENAMED = {"capacity": "buffer_size"}  # noqa: RUF012 (declared so by the parent)
    policy: HierarchicalPolicy
    policy_class: type[HierarchicalPolicy]

    def __init__(
        self,
        policy: str | type[HierarchicalPolicy] = "HierarchicalPolicy",
        env: GymEnv | str | None = None,
        *,
        controller: Any = None,
        learning_rate: float = 1e-3,
        leg_steps: int = 16,
        rollout_legs: int = 4,
        updates: int = 200,
        batch_size: int = 256,
        buffer_size: int = 128_000,
        workers: Workers = 1,
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
        )  # fmt: skip
        self.controller = controller.policy if isinstance(controller, BaseAlgorithm) else controller
        self.leg_steps = leg_steps
        self.rollout_legs = rollout_legs
        self.updates = updates
        self.batch_size = batch_size
        self.buffer_size = buffer_size
        self.workers = workers
        if _init_setup_model:
            self._setup_model()

    def rollout_length(self) -> int:
        """Moves of `rollout_legs` whole legs."""
        return self.leg_steps * self.rollout_legs

    def _setup_model(self) -> None:
        if not hasattr(self.controller, "predict"):
            raise ValueError(f"controller must have Stable-Baselines3's predict, got {self.controller!r}")
        super()._setup_model()
        keywords = {"controller": self.controller, **self.policy_kwargs}
        self.policy = self.policy_class(self.observation_space, self.action_space, self.lr_schedule, **keywords)
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ((),)
        place, context = self.policy.encoder.goal_size, self.policy.evaluator.items * self.policy.evaluator.width
        sizes = {"place": place, "desired": place, "context": context}
        sizes |= dict.fromkeys(("cost", "leg_start", "episode_start"), 1)
        self.replay = Replay(sizes, self.lanes, max(2 * self.leg_steps, self.buffer_size // self.lanes))
        self._targets = np.zeros((self.lanes, place), np.float32)
        self._age = np.zeros(self.lanes, np.int64)
        self._memory: Any = None

    @property
    def resumes_exactly(self) -> bool:
        """See `Agent.resumes_exactly`. A controller of your own must say in `STATE` that it keeps nothing."""
        return super().resumes_exactly and keeps_nothing(self.controller)

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """The controller's action towards a random place, a new one for each leg; see `Agent.act`."""
        starts = episode_start.numpy()
        place, desired, context = self.policy.places(obs)
        away = np.linalg.norm(self._targets - place.numpy(), axis=-1)
        fresh = starts | (self._age >= self.leg_steps) | (away <= self.policy.tolerance)
        drawn = np.random.uniform(self.policy.low, self.policy.high, (int(fresh.sum()), place.shape[1]))  # noqa: NPY002
        self._targets[fresh], self._age[fresh] = drawn, 0
        actions, self._memory = self.policy.pursue(obs, self._targets, self._memory, starts, deterministic=False)
        self._age += 1
        leg_start = torch.from_numpy(fresh).float()[:, None]
        return actions, {"place": place, "desired": desired, "context": context, "leg_start": leg_start}, ((),)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`."""
        start, cost = step.episode_start.float()[:, None], -torch.as_tensor(step.rewards).float()[:, None]
        self.replay.add(**step.act, episode_start=start, cost=cost)

    def train(self, steps: int) -> None:
        """Takes `updates` steps of E on the legs seen, then as many of S along E."""
        rate = self.lr_schedule(self._current_progress_remaining)
        evaluator, generator = self.policy.evaluator, self.policy.generator
        evaluator.net.requires_grad_(True)
        errors = regress(evaluator, self._legs, self.updates, self.batch_size, rate)
        evaluator.net.requires_grad_(False)
        costs = generator.fit(evaluator, self._problems, self.updates, self.batch_size, rate)
        self.measures |= {"train/evaluator_error": np.mean(errors[-20:]), "train/path_cost": np.mean(costs[-20:])}

    def _legs(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Starts, ends, contexts and costs of parts of legs, all of the same random length."""
        length = int(torch.randint(1, min(self.leg_steps, len(self.replay) - 1) + 1, ()))
        window = self.replay.windows(length + 1, 4 * count)
        whole = ~(window.flag("leg_start")[1:-1].any(0) | window.flag("episode_start")[-1])
        if not whole.any():  # there are always shorter ones
            return self._legs(count)
        place, cost = window["place"][:, whole], window["cost"][:-1, whole].sum((0, 2))
        return place[0], place[-1], window["context"][0, whole], cost

    def _problems(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Places, the goals wanted there, and contexts."""
        window = self.replay.windows(1, count)
        return window["place"][0], window["desired"][0], window["context"][0]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []
