"""A hierarchical agent for new places: it maps what it sees, sets subgoals at the map's edge, and learns detours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.agent import Agent, Step
from ..common.data import check_alike, check_range
from ..common.encoder import Encoder
from ..common.snapshot import keeps_nothing
from ..cores import State
from .leg_evaluator import LegEvaluator, regress
from .map_kernels import FREE, UNSEEN, WALL, find_costs, find_path, find_waypoint, look

Chart = tuple[np.ndarray, np.ndarray, np.ndarray, Any]  # maps, detours and costs, each (N, S, S); controller's state
NEIGHBOURS = 5  # squares on each side that E sees
WINDOW = 2 * NEIGHBOURS + 1
LARGEST = 1024  # squares along the side of a map
EVIDENCE = 100  # squares of a kind that must be alike before all of that kind are assumed to be


class Walker(nn.Module):
    """A controller that walks straight to nearby places: the inverse of a linear model of its moves.

    Args:
        space: Box of actions (A,) around 0.
        place_size: P.
    """

    def __init__(self, space: spaces.Box, place_size: int) -> None:
        super().__init__()
        self.limit = float(space.high.min())
        self.effect: Tensor
        self.register_buffer("effect", torch.zeros(space.shape[0], place_size, dtype=torch.float64))

    def fit(self, actions: np.ndarray, moved: np.ndarray, rounds: int = 30) -> None:
        """Fits moved (B, P) = actions (B, A) effect by least absolute deviations: walls stop under half the moves."""
        for axis in range(moved.shape[1]):
            weight = np.ones((len(actions), 1))
            for _ in range(rounds):
                effect = np.linalg.lstsq(actions * weight, moved[:, axis] * weight[:, 0], rcond=None)[0]
                weight = 1 / np.sqrt(np.abs(moved[:, axis] - actions @ effect) + 1e-7)[:, None]
            self.effect[:, axis] = torch.from_numpy(effect)

    def predict(
        self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, A) towards `desired_goal`, scaled down to their limit, and the unchanged state."""
        way = obs["desired_goal"].astype(np.float64) - obs["achieved_goal"]
        actions = way @ np.linalg.pinv(self.effect.numpy())
        actions /= np.maximum(1, np.abs(actions).max(-1, keepdims=True) / self.limit)
        return actions.astype(np.float32), state


class MapPolicy(Actor):
    """Takes the path of least expected cost: its length, plus E for squares not yet seen.

    A lane's map holds what is certain from its views. The subgoal is where the cheapest path to the goal leaves the
    map, and the controller's desired goal is the first bend on the way there. Beyond the map, each square costs its
    length plus E >= 0, the average cost of a possible wall there. E sees the squares around it.

    Args:
        observation_space: a Dict with the goal keys, places (2,) around 0; the observation starts with the view.
        action_space: the controller's.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        fields: (K, 3) receptive fields of the view, (u, v, side), squares; the view is the share of wall in each.
        square: side of a square, in units of a place.
        body: half-width of the body, squares.
        controller: anything with Stable-Baselines3's `predict`; None: a `Walker`.
        hidden: widths of E's layers.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        fields: Any,
        square: float = 0.05,
        body: float = 0.1,
        controller: Any = None,
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__(observation_space, action_space)
        if not Encoder(observation_space).has_goal or observation_space["achieved_goal"].shape != (2,):  # type: ignore[index]
            raise ValueError(f"a map needs places (2,) as achieved_goal and desired_goal: {observation_space}")
        self.fields = np.array(fields, np.float64)
        if self.fields.ndim != 2 or self.fields.shape[1] != 3 or not (np.abs(self.fields) <= 100).all():
            raise ValueError(f"fields must be (K, 3) numbers of at most 100 squares, got shape {self.fields.shape}")
        if not 0 < square <= 1 or not 0 <= body <= 1:
            raise ValueError(f"square and body must lie in (0, 1] and [0, 1], got {square=}, {body=}")
        self.square, self.body = square, body
        self.controller = controller if controller is not None else Walker(action_space, 2)  # type: ignore[arg-type]
        self.evaluator = LegEvaluator(0, 2 * WINDOW**2, features=lambda *parts: parts[2], hidden=hidden)
        self.evaluator.requires_grad_(False)
        self.alike: Tensor
        self.register_buffer("alike", torch.zeros(8, 2, dtype=torch.int64))  # squares seen FREE and WALL of each kind
        self._size_up(observation_space)

    def _size_up(self, space: Any) -> None:
        self.size = round(2 * float(space["achieved_goal"].high[0]) / self.square)
        if not 1 <= self.size <= LARGEST:
            raise ValueError(f"a map has 1 to {LARGEST} squares a side, not {self.size}: choose another square")
        row, column = np.indices((self.size, self.size))
        rim = (np.minimum(row, column) == 0) | (np.maximum(row, column) == self.size - 1)
        self.kinds = 4 * rim + 2 * (row % 2) + column % 2

    def in_space(self, space: spaces.Space[Any]) -> Self:
        """The same policy, nets shared, in a world of another size."""
        other = copy.copy(self)
        other.observation_space = space
        other._arguments = {**self._arguments, "observation_space": space}
        other._size_up(space)
        return other

    def blank(self) -> np.ndarray:
        """The map (S, S) before the first view: UNSEEN, except for kinds of squares that have always been the same."""
        counts = self.alike.numpy()
        sure = (counts.sum(1) >= EVIDENCE) & (counts.min(1) == 0)
        known = np.where(sure, counts.argmax(1), UNSEEN).astype(np.int8)
        squares: np.ndarray = known[self.kinds]
        return squares

    @torch.no_grad()
    def detours(self, patches: np.ndarray) -> np.ndarray:
        """E (B,) of squares from their surroundings (B, WINDOW, WINDOW)."""
        nowhere = torch.zeros(len(patches), 0)
        expected: Tensor = self.evaluator(nowhere, nowhere, one_hot(torch.from_numpy(patches)))
        return expected.numpy()

    def squares(self, places: Any) -> np.ndarray:
        """Converts places (N, 2) to squares from the map's top left corner."""
        return np.asarray(places, np.float64).reshape(-1, 2) / self.square + 0.5 * self.size

    def plan(self, obs: Any, chart: Chart | None, starts: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], Chart]:
        """Adds a view to the map and finds paths.

        Args:
            obs: arrays (N, ...).
            chart: the state before the view.
            starts: (N,) bool.

        Returns:
            Places (N, 2) to walk straight to now, paths (P, 2) of squares (row, column), and the next state.
        """
        count, shape = len(starts), (len(starts), self.size, self.size)
        before = chart or (np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape), None)
        maps, extra, costs = (part.copy() for part in before[:3])
        maps[starts], extra[starts] = self.blank(), 0.0
        old = np.where(starts[:, None, None], WALL + UNSEEN, maps)  # at the start of an episode everything is new
        inside = np.nextafter(self.size, 0)  # kernels use whole squares as indices
        here, goal = (self.squares(obs[key]).clip(0, inside) for key in ("achieved_goal", "desired_goal"))
        view = obs["observation"][:, : len(self.fields)].astype(np.float64)
        for i, (x, y) in enumerate(here):
            look(maps[i], x, y, view[i], self.fields, self.body)
        new = maps != old
        changed = new.any((1, 2))
        lane, row, column = np.nonzero((maps == UNSEEN) & _around(new))
        extra[maps != UNSEEN] = 0.0
        if len(lane):
            extra[lane, row, column] = self.detours(windows(maps)[lane, row, column])
        waypoints, paths, room = np.empty((count, 2)), [], np.empty((self.size**2, 2), np.int64)
        for i, ((x, y), (goal_x, goal_y)) in enumerate(zip(here, goal, strict=True)):
            if changed[i]:
                find_costs(maps[i], extra[i], goal_x, goal_y, costs[i])
            paths.append(room[: find_path(maps[i], extra[i], costs[i], x, y, room)].copy())
            waypoints[i] = find_waypoint(maps[i], paths[i], x, y, goal_x, goal_y, self.body)
        return (waypoints - 0.5 * self.size) * self.square, paths, (maps, extra, costs, before[3])

    def pursue(self, obs: Any, goals: np.ndarray, memory: Any, starts: np.ndarray) -> tuple[np.ndarray, Any]:
        """The controller's actions towards goals (N, 2), and its next state."""
        towards = {**obs, "desired_goal": goals.reshape(obs["desired_goal"].shape)}
        actions, memory = self.controller.predict(towards, memory, starts, deterministic=True)
        return actions, memory

    def act(
        self, obs: Any, state: Chart | None, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, Chart]:
        """See `Actor.act`. The state holds the map of every lane."""
        obs = {key: part.numpy() for key, part in obs.items()}
        goals, _, chart = self.plan(obs, state, episode_start)
        actions, memory = self.pursue(obs, goals, chart[3], episode_start)
        return actions, (*chart[:3], memory)


class MapNavigator(Agent):
    """Learns to find places in grid worlds that are new in every episode, from views and places alone.

    In a first rollout of random moves it learns what its moves do; from then on it acts with `MapPolicy`. When a square
    on its path becomes known, its cost is how much the path has grown (0 if it is free), and E is regressed on these
    costs.

    Args:
        policy: "MapPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id, with places as goals.
        learning_rate: Adam's.
        n_steps: moves per lane between updates.
        updates: gradient steps after each rollout.
        batch_size: squares in each.
        capacity: number of squares to remember.
        policy_kwargs: keywords of `MapPolicy`; `fields` has no default.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, except that it always
            runs on the CPU.
        _init_setup_model: whether to build the nets at once.

    Raises:
        ValueError: the environment's goals are not places (2,).
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(("MapPolicy", "MultiInputPolicy"), MapPolicy)
    STATE = (*Agent.STATE, "_chart", "_paths", "_waiting", "_patches", "_costs", "_count", "_moves")
    RENAMED = {"rollout_steps": "n_steps"}  # noqa: RUF012 (declared so by the parent)
    policy: MapPolicy
    policy_class: type[MapPolicy]

    def __init__(
        self,
        policy: str | type[MapPolicy] = "MapPolicy",
        env: GymEnv | str | None = None,
        *,
        learning_rate: float = 2e-3,
        n_steps: int = 200,
        updates: int = 300,
        batch_size: int = 256,
        capacity: int = 200_000,
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
        self.n_steps = n_steps
        self.updates = updates
        self.batch_size = batch_size
        self.capacity = capacity
        if _init_setup_model:
            self._setup_model()

    def rollout_length(self) -> int:
        """`n_steps`."""
        return self.n_steps

    def _setup_model(self) -> None:
        super()._setup_model()
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self._patches = np.zeros((self.capacity, WINDOW, WINDOW), np.int8)
        self._costs, self._count = np.zeros(self.capacity, np.float32), 0
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = ((),)
        self._chart: Chart | None = None
        self._paths: list[np.ndarray] = []
        self._waiting: list[list[tuple[tuple[int, int], np.ndarray]]] = [[] for _ in range(self.lanes)]
        self._moves: list[tuple[np.ndarray, np.ndarray]] = []

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        size, lanes = self.policy.size, self.lanes
        if name == "_chart" and given is not None:
            maps, *others, _ = given
            check_alike(name, np.zeros((lanes, size, size), np.int8), maps)
            check_range(name, maps, min(FREE, UNSEEN, WALL), max(FREE, UNSEEN, WALL))
            for part in others:
                check_alike(name, np.zeros((lanes, size, size)), part)
                if not (part >= 0).all():
                    raise ValueError(f"{name} must hold detours and costs of at least 0")
        elif name in ("_paths", "_waiting") and given:
            if len(given) != lanes:
                raise ValueError(f"{name} must have {lanes} lanes, not {len(given)}")
            for path in given if name == "_paths" else []:
                check_alike(name, np.zeros((len(path), 2), np.int64), path)
                check_range(name, path, 0, size - 1)
            for place, patch in [noted for lane in given for noted in lane] if name == "_waiting" else []:
                check_range(name, np.array(place, np.int64), 0, size - 1)
                check_alike(name, np.zeros((WINDOW, WINDOW), np.int8), patch)
        elif name == "_count" and (type(given) is not int or given < 0):
            raise ValueError(f"{name} must be an integer of at least 0, not {given!r}")
        else:
            super().check_state(name, given)

    @property
    def resumes_exactly(self) -> bool:
        """See `Agent.resumes_exactly`. A controller of your own must say in `STATE` that it keeps nothing."""
        return super().resumes_exactly and keeps_nothing(self.policy.controller)

    @property
    def babbling(self) -> bool:
        """Whether it has yet to learn what its moves do."""
        walker = self.policy.controller
        return isinstance(walker, Walker) and not bool(walker.effect.any())

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """The policy's actions, random ones in the first rollout; see `Agent.act`."""
        starts, place = episode_start.numpy() | (self._chart is None), np.array(obs["achieved_goal"], np.float64)
        if self.babbling:
            actions = np.stack([self.action_space.sample() for _ in starts])
            return actions, {"place": place, "actions": actions}, ((),)
        goals, paths, chart = self.policy.plan(obs, self._chart, starts)
        for i in range(len(starts)):
            self._experience(i, bool(starts[i]), chart, self.policy.squares(place[i])[0])
        actions, memory = self.policy.pursue(obs, goals, chart[3], starts)
        self._chart, self._paths = (*chart[:3], memory), paths
        noted = starts | (torch.rand(len(starts)).numpy() < 0.1)
        for i in np.flatnonzero(noted).tolist():  # what is believed about the path now
            around = windows(chart[0][i : i + 1])[0]
            ahead = [(a, b) for a, b in paths[i].tolist() if chart[0][i, a, b] == UNSEEN]
            self._waiting[i] += [((a, b), around[a, b].copy()) for a, b in ahead]
        return actions, {"place": place, "actions": actions}, ((),)

    def _experience(self, lane: int, starts: bool, chart: Chart, here: np.ndarray) -> None:
        """Counts squares that have become known, and stores what those on the path have cost."""
        maps, _, costs, _ = chart
        old = self.policy.blank() if starts else self._chart[0][lane]  # type: ignore[index]
        new = (maps[lane] != UNSEEN) & (old == UNSEEN)
        np.add.at(self.policy.alike.numpy(), (self.policy.kinds[new], maps[lane][new]), 1)
        if starts:
            self._waiting[lane] = []
            return
        met = [(a, b) for a, b in self._paths[lane].tolist() if new[a, b]]
        if not met:
            return
        _, extra, before, _ = self._chart  # type: ignore[misc]
        row, column = int(here[1]), int(here[0])
        grown = costs[lane, row, column] - before[lane, row, column] + sum(extra[lane, a, b] for a, b in met)
        walls = [at for at in met if maps[lane][at] == WALL]
        costs_of = {at: 0.0 for at in met if maps[lane][at] == FREE} | {at: max(0.0, grown) for at in walls[:1]}
        for at, patch in self._waiting[lane]:
            if at in costs_of:
                slot = self._count % self.capacity
                self._patches[slot], self._costs[slot] = patch, costs_of[at]
                self._count += 1
        self._waiting[lane] = [(at, patch) for at, patch in self._waiting[lane] if not new[at]]

    def remember(self, step: Step) -> None:
        """Stores random moves and their effects; see `Agent.remember`."""
        if self.babbling:
            self._moves.append((step.act["actions"], step.next_obs["achieved_goal"] - step.act["place"]))

    def train(self, steps: int) -> None:
        """First learns what moves do; after that, takes `updates` steps of E on what squares have cost."""
        if self.babbling:
            actions, moved = (np.concatenate(part) for part in zip(*self._moves, strict=True))
            self.policy.controller.fit(actions.astype(np.float64), moved)
            self._moves = []
            return
        if not self._count:
            return
        evaluator = self.policy.evaluator
        evaluator.net.requires_grad_(True)
        rate = self.lr_schedule(self._current_progress_remaining)
        errors = regress(evaluator, self._squares, self.updates, self.batch_size, rate)
        evaluator.net.requires_grad_(False)
        self.measures["train/evaluator_error"] = np.mean(errors[-50:])

    def _squares(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Squares as E sees them, randomly rotated and mirrored, and their costs."""
        index = torch.randint(min(self._count, self.capacity), (count,)).numpy()
        patches, turn = torch.from_numpy(self._patches[index]), int(torch.randint(8, ()))
        patches = torch.rot90(patches.flip(2) if turn >= 4 else patches, turn % 4, (1, 2))
        nowhere = torch.zeros(count, 0)
        return nowhere, nowhere, one_hot(patches), torch.from_numpy(self._costs[index])

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


def windows(maps: np.ndarray) -> np.ndarray:
    """The surroundings of each square of maps (N, S, S): a view (N, S, S, WINDOW, WINDOW); outside is wall."""
    padded = np.pad(maps, ((0, 0), (NEIGHBOURS,) * 2, (NEIGHBOURS,) * 2), constant_values=WALL)
    return np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), axis=(1, 2))


def one_hot(patches: Tensor) -> Tensor:
    """E's inputs (B, 2 W W) for windows (B, W, W): where squares are free, and where they are wall."""
    return torch.cat([(patches == value).flatten(1) for value in (FREE, WALL)], 1).float()


def _around(new: np.ndarray) -> np.ndarray:
    """Squares (N, S, S) whose E may change: those with any of `new` (N, S, S) in their window."""
    sums = np.pad(new, ((0, 0), (NEIGHBOURS + 1, NEIGHBOURS), (NEIGHBOURS + 1, NEIGHBOURS))).cumsum(1).cumsum(2)
    inside = sums[:, WINDOW:, WINDOW:] - sums[:, :-WINDOW, WINDOW:] - sums[:, WINDOW:, :-WINDOW]
    near: np.ndarray = inside + sums[:, :-WINDOW, :-WINDOW] > 0
    return near
