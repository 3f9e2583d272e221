"""A hierarchical agent for places never seen before: a map from its own views, subgoals at its rim, learned detours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor, nn
from typing_extensions import Self

from ..common.actor import Actor
from ..common.agent import Agent, Step
from ..common.data import check_alike, check_range
from ..common.encoder import Encoder
from ..cores import State
from .leg_evaluator import LegEvaluator, regress
from .map_kernels import FREE, UNSEEN, WALL, find_costs, find_path, find_waypoint, look

Chart = tuple[np.ndarray, np.ndarray, np.ndarray, Any]  # maps, detours and costs, each (N, S, S); controller's state
NEIGHBOURS = 5  # squares on each side that E sees
WINDOW = 2 * NEIGHBOURS + 1
EVIDENCE = 100  # squares of a kind that must have been alike until all are taken to be


class Walker(nn.Module):
    """A controller that walks straight to near places: the inverse of a linear model of what its moves do.

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
        """Learns moved (B, P) = actions (B, A) effect by least absolute deviations: walls stop less than half of it."""
        for axis in range(moved.shape[1]):
            weight = np.ones((len(actions), 1))
            for _ in range(rounds):
                effect = np.linalg.lstsq(actions * weight, moved[:, axis] * weight[:, 0], rcond=None)[0]
                weight = 1 / np.sqrt(np.abs(moved[:, axis] - actions @ effect) + 1e-7)[:, None]
            self.effect[:, axis] = torch.from_numpy(effect)

    def predict(
        self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, A) towards `desired_goal`, at most as large as allowed, and the unchanged state."""
        way = obs["desired_goal"].astype(np.float64) - obs["achieved_goal"]
        actions = way @ np.linalg.pinv(self.effect.numpy())
        actions /= np.maximum(1, np.abs(actions).max(-1, keepdims=True) / self.limit)
        return actions.astype(np.float32), state


class MapPolicy(Actor):
    """Walks the way of least expected cost: over what it has seen, and over what it has not at length plus E.

    The map of a lane holds what follows with certainty from its views. The subgoal is where the cheapest way to the
    goal leaves the map, and the controller gets the first bend of the way there as its desired goal. The cost of a leg
    beyond the map adds up over its squares: length plus E >= 0, what it costs in the mean that there may be a wall. E
    sees the squares around.

    Args:
        observation_space: a Dict with the goal keys, places (2,) around 0; the observation begins with the view.
        action_space: the controller's.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        fields: (K, 3) receptive fields of the view, (u, v, side), squares; the view is the share of wall in each.
        square: side of a square, in units of a place.
        body: half-width of the body, squares.
        controller: whatever has Stable-Baselines3's `predict`; None: a `Walker`.
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
        self.square, self.body = square, body
        self.controller = controller if controller is not None else Walker(action_space, 2)  # type: ignore[arg-type]
        self.evaluator = LegEvaluator(0, 2 * WINDOW**2, features=lambda *parts: parts[2], hidden=hidden)
        self.evaluator.requires_grad_(False)
        self.alike: Tensor
        self.register_buffer("alike", torch.zeros(8, 2, dtype=torch.int64))  # squares seen FREE and WALL of each kind
        self._size_up(observation_space)

    def _size_up(self, space: Any) -> None:
        self.size = round(2 * float(space["achieved_goal"].high[0]) / self.square)
        row, column = np.indices((self.size, self.size))
        rim = (np.minimum(row, column) == 0) | (np.maximum(row, column) == self.size - 1)
        self.kinds = 4 * rim + 2 * (row % 2) + column % 2

    def in_space(self, space: spaces.Space[Any]) -> Self:
        """The same policy, nets shared, in a world of another size."""
        other = copy.copy(self)
        other.observation_space = space
        other._size_up(space)
        return other

    def blank(self) -> np.ndarray:
        """The map (S, S) before the first view: UNSEEN, but for kinds of squares that were alike wherever seen."""
        counts = self.alike.numpy()
        sure = (counts.sum(1) >= EVIDENCE) & (counts.min(1) == 0)
        known = np.where(sure, counts.argmax(1), UNSEEN).astype(np.int8)
        squares: np.ndarray = known[self.kinds]
        return squares

    @torch.no_grad()
    def detours(self, patches: np.ndarray) -> np.ndarray:
        """E (B,) of squares from what is around them (B, WINDOW, WINDOW)."""
        nowhere = torch.zeros(len(patches), 0)
        expected: Tensor = self.evaluator(nowhere, nowhere, one_hot(torch.from_numpy(patches)))
        return expected.numpy()

    def squares(self, places: Any) -> np.ndarray:
        """Places (N, 2) in squares from the map's top left corner."""
        return np.asarray(places, np.float64).reshape(-1, 2) / self.square + 0.5 * self.size

    def plan(self, obs: Any, chart: Chart | None, starts: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], Chart]:
        """Takes in a view and finds the ways to go.

        Args:
            obs: arrays (N, ...).
            chart: the state before it.
            starts: (N,) bool.

        Returns:
            Where to walk straight now (N, 2), ways (P, 2) of squares (row, column), and the next state.
        """
        count, shape = len(starts), (len(starts), self.size, self.size)
        before = chart or (np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape), None)
        maps, extra, costs = (part.copy() for part in before[:3])
        maps[starts], extra[starts] = self.blank(), 0.0
        old = np.where(starts[:, None, None], WALL + UNSEEN, maps)  # at a start all is new
        here, goal = self.squares(obs["achieved_goal"]), self.squares(obs["desired_goal"])
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
    """Learns to find places in worlds of squares that are new in every episode, from views and places alone.

    After a first rollout of random moves it knows what its moves do; then it acts by `MapPolicy`. When squares on its
    way become known, each has cost what the way has grown by (0 where it is free), and E is regressed on these costs.

    Args:
        policy: "MapPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id, with places as goals.
        learning_rate: Adam's.
        n_steps: moves of every lane between updates.
        updates: gradient steps after each rollout.
        batch_size: squares in each.
        capacity: squares remembered.
        policy_kwargs: keywords of `MapPolicy`; `fields` has no default.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3, but that the CPU computes on
            any device.
        _init_setup_model: whether the nets are built at once.

    Raises:
        ValueError: an environment without places as goals.
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
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self._refuse_scaled_goals()
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
        elif name in ("_paths", "_waiting") and given:
            if len(given) != lanes:
                raise ValueError(f"{name} must be of {lanes} lanes, not {len(given)}")
            for path in given if name == "_paths" else []:
                check_alike(name, np.zeros((len(path), 2), np.int64), path)
                check_range(name, path, 0, size - 1)
            for place, patch in [noted for lane in given for noted in lane] if name == "_waiting" else []:
                check_range(name, np.array(place, np.int64), 0, size - 1)
                check_alike(name, np.zeros((WINDOW, WINDOW), np.int8), patch)
        elif name == "_count" and (type(given) is not int or given < 0):
            raise ValueError(f"{name} must be a whole number of at least 0, not {given!r}")
        else:
            super().check_state(name, given)

    @property
    def babbling(self) -> bool:
        """Whether it still has to learn what its moves do."""
        walker = self.policy.controller
        return isinstance(walker, Walker) and not bool(walker.effect.any())

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """The policy's action, a random one in the first rollout; see `Agent.act`."""
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
        for i in np.flatnonzero(noted).tolist():  # what is now thought of the way
            around = windows(chart[0][i : i + 1])[0]
            ahead = [(a, b) for a, b in paths[i].tolist() if chart[0][i, a, b] == UNSEEN]
            self._waiting[i] += [((a, b), around[a, b].copy()) for a, b in ahead]
        return actions, {"place": place, "actions": actions}, ((),)

    def _experience(self, lane: int, starts: bool, chart: Chart, here: np.ndarray) -> None:
        """Counts squares that became known, and remembers what those on the way have cost."""
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
        """Keeps random moves and what they did; see `Agent.remember`."""
        if self.babbling:
            self._moves.append((step.act["actions"], step.next_obs["achieved_goal"] - step.act["place"]))

    def train(self, steps: int) -> None:
        """Learns what moves do, once; else `updates` steps of E on what squares have cost."""
        if self.babbling:
            actions, moved = (np.concatenate(part) for part in zip(*self._moves, strict=True))
            self.policy.controller.fit(actions.astype(np.float64), moved)
            self._moves = []
            return
        if not self._count:
            return
        evaluator = self.policy.evaluator.requires_grad_(True)
        rate = self.lr_schedule(self._current_progress_remaining)
        errors = regress(evaluator, self._squares, self.updates, self.batch_size, rate)
        evaluator.requires_grad_(False)
        self.measures["train/evaluator_error"] = np.mean(errors[-50:])

    def _squares(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Squares as E sees them, turned and mirrored at random, and their costs."""
        index = torch.randint(min(self._count, self.capacity), (count,)).numpy()
        patches, turn = torch.from_numpy(self._patches[index]), int(torch.randint(8, ()))
        patches = torch.rot90(patches.flip(2) if turn >= 4 else patches, turn % 4, (1, 2))
        nowhere = torch.zeros(count, 0)
        return nowhere, nowhere, one_hot(patches), torch.from_numpy(self._costs[index])

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


def windows(maps: np.ndarray) -> np.ndarray:
    """What is around each square of maps (N, S, S): a view (N, S, S, WINDOW, WINDOW); outside all is wall."""
    padded = np.pad(maps, ((0, 0), (NEIGHBOURS,) * 2, (NEIGHBOURS,) * 2), constant_values=WALL)
    return np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), axis=(1, 2))


def one_hot(patches: Tensor) -> Tensor:
    """What E sees (B, 2 W W) of windows (B, W, W): where it is free, and where there is wall."""
    return torch.cat([(patches == value).flatten(1) for value in (FREE, WALL)], 1).float()


def _around(new: np.ndarray) -> np.ndarray:
    """Squares (N, S, S) that E may judge anew, with anything of `new` (N, S, S) in their window."""
    sums = np.pad(new, ((0, 0), (NEIGHBOURS + 1, NEIGHBOURS), (NEIGHBOURS + 1, NEIGHBOURS))).cumsum(1).cumsum(2)
    inside = sums[:, WINDOW:, WINDOW:] - sums[:, :-WINDOW, WINDOW:] - sums[:, WINDOW:, :-WINDOW]
    near: np.ndarray = inside + sums[:, :-WINDOW, :-WINDOW] > 0
    return near
