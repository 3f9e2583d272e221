"""Raster and centre, gazes that ignore what is seen; the scan of VisualSearch, and seeking in what comes into view."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..tasks.looking.same_different import SameDifferent
from ..tasks.looking.visual_search import VisualSearch
from ..vector_env import FovealVectorEnv

State = Any
ARRIVED = 1e-3  # of the scene's side
ON = 10.0  # pixels from gaze to an object that is looked at
SQUARES = 8  # along a side of what was seen


class RasterPolicy:
    """The gaze visits a square grid of places row by row, each as fast as its jumps allow, and begins again.

    Args:
        env: a vector environment of this package whose task steers a gaze; the task says by ``columns`` how many places
            a row has.

    Raises:
        ValueError: the environment is not one of this package, or its task steers no gaze.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = looking(env)
        task = self._env.task
        columns = task.columns
        line, column = np.divmod(np.arange(columns * columns), columns)
        size = np.array(task.render_size)
        self._near = ARRIVED * float(size.max())
        self._places = (np.stack([column, line], axis=1) + 0.5) / columns * size

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and the number of the place (N,) that each gaze makes for."""
        worlds = self._env.get_state()["worlds"]
        state = np.full(len(worlds), -1) if state is None else state.copy()
        if episode_start is not None:
            state[episode_start] = -1
        at = np.abs(worlds["gaze"][:, :2] - self._places[state]).max(1) <= self._near
        state = np.where(at | (state < 0), state + 1, state) % len(self._places)
        return self._env.task.aim(worlds, self._places[state]), state


class CentrePolicy:
    """The gaze rests in the middle of the scene.

    Args:
        env: as for RasterPolicy.

    Raises:
        ValueError: the environment is not one of this package, or its task steers no gaze.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = looking(env)

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...) and the unchanged state."""
        worlds, task = self._env.get_state()["worlds"], self._env.task
        middle = np.broadcast_to(0.5 * np.array(task.render_size), (len(worlds), 2))
        return task.aim(worlds, middle), state


class ScanPolicy:
    """VisualSearch as an eye would do it that sees where all objects are, but what they are only under the gaze.

    It goes to the nearest object that it has not fixated yet, and rests on the target. With a perfect memory it needs
    half of the objects on average: the 1 of that score. Without, it goes to any other object in reach, seen or not.

    Args:
        env: a native vector environment of VisualSearch.
        memory: False: forget what was fixated, but for the present object.
        seed: of the choices without memory.

    Raises:
        ValueError: the environment is another one.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], memory: bool = True, seed: int = 0) -> None:
        self._env, self._memory = native(env), memory
        self._random, task = np.random.default_rng(seed), self._env.task
        if not isinstance(task, VisualSearch):
            raise ValueError(f"the scan needs a VisualSearch, got {type(task).__name__}")
        self._task = task

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and which objects were fixated (N, M)."""
        worlds = self._env.get_state()["worlds"]
        lanes, things = np.arange(len(worlds)), worlds["objects"]
        seen = np.zeros(things.shape, bool) if state is None or not self._memory else state.copy()
        if episode_start is not None:
            seen[episode_start] = False
        fixated = worlds["fixated"]
        seen[lanes[fixated >= 0], fixated[fixated >= 0]] = True
        places = np.stack([things["x"], things["y"]], axis=2)
        away = np.hypot(*(places - worlds["gaze"][:, None, :2]).transpose(2, 0, 1))
        if not self._memory:  # any object in reach of one jump, or else the nearest
            near = away <= self._task.fovea.largest_jump
            away = np.where(near, self._random.random(away.shape) - 1.0, away)
        away[seen | (np.arange(things.shape[1]) >= worlds["count"][:, None])] = np.inf
        goal = np.where(fixated == worlds["target"], fixated, away.argmin(1))
        return self._task.aim(worlds, places[lanes, goal]), seen


class SeekPolicy:
    """Looks at one object after the other, knowing of them only what has come into view; then rests.

    It goes to the nearest object that has come into view and that it has not looked at yet, and if there is none, to
    where the next glimpse shows most that none has shown. It rests on the target once it has looked at it; where there
    is no target, when it has looked at all objects.

    Args:
        env: a native vector environment of SameDifferent or VisualSearch.
        near: pixels from gaze to centre within which an object is looked at.
        temperature: of `probabilities`, pixels.

    Raises:
        ValueError: the environment is another one.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], near: float = ON, temperature: float = 0.0) -> None:
        self._env, self._near, self._temperature = native(env), near, temperature
        task = self._env.task
        if not isinstance(task, SameDifferent | VisualSearch):
            raise ValueError(f"seeking needs a SameDifferent or a VisualSearch, got {type(task).__name__}")
        self._task, self._searches = task, isinstance(task, VisualSearch)
        table, size = task.fovea.retina.table, np.array(task.render_size)
        self._reach = reach = float((np.abs(table[:, :2]).max(1) + 0.5 * table[:, 2]).max())
        self._squares = np.stack(np.meshgrid(*(np.arange(SQUARES) + 0.5,) * 2), -1).reshape(-1, 2) / SQUARES * size
        self._places = np.stack(np.meshgrid(*np.linspace(reach, size - reach, 3).T), -1).reshape(-1, 2)
        self._shown = np.abs(self._places[:, None] - self._squares).max(2) < reach  # (9, 64), from each place

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and which objects (N, M) were looked at and in view, and which squares (N, 64) seen."""
        worlds, goal, _, state = self._seek(state, episode_start)
        return self._task.aim(worlds, goal), state

    def probabilities(self, obs: Any, state: State = None, episode_start: Any = None) -> tuple[np.ndarray, State]:
        """Probabilities (N, actions) of Discrete actions, and the next state: see `predict`.

        Where it chooses among objects in view, those in proportion to exp(-distance / temperature) lead to each of
        them, so that a pupil is told of all; else its action is certain, and so it is without a temperature.
        """
        worlds, goal, away, state = self._seek(state, episode_start)
        wanted = certain(self._task.aim(worlds, goal), self._task.action_space)
        if self._temperature <= 0:
            return wanted, state
        lanes, things = np.nonzero(away < self._reach)
        places = np.stack([worlds["objects"][name][lanes, things] for name in "xy"], axis=1)
        weights = np.exp((away.min(1)[lanes] - away[lanes, things]) / self._temperature)
        wanted[lanes] = 0.0
        np.add.at(wanted, (lanes, self._task.aim(worlds[lanes], places)), weights)
        return wanted / wanted.sum(1, keepdims=True), state

    def _seek(self, state: State, episode_start: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, State]:
        """Worlds, where each gaze (N, 2) shall go, how far (N, M) it is to the objects among which that was chosen,
        infinitely to others, and the next state."""
        worlds = self._env.get_state()["worlds"]
        lanes, gaze, things = np.arange(len(worlds)), worlds["gaze"][:, None, :2], worlds["objects"]
        if state is None:
            state = *(np.zeros(things.shape, bool) for _ in range(2)), np.zeros((len(worlds), SQUARES**2), bool)
        looked, found, seen = (part.copy() for part in state)
        if episode_start is not None:
            looked[episode_start] = found[episode_start] = seen[episode_start] = False
        places = np.stack([things["x"], things["y"]], axis=2)
        away = np.abs(places - gaze).max(2)
        looked |= away < self._near
        found |= away < self._reach
        seen |= np.abs(self._squares - gaze).max(2) < self._reach
        away[looked | ~found] = np.inf
        far = np.hypot(*(self._places - gaze).transpose(2, 0, 1))
        worth = ~seen @ self._shown.T.astype(float) - far / sum(self._task.render_size)
        unseen, nearest = self._places[worth.argmax(1)], places[lanes, away.argmin(1)]
        goal = np.where(np.isinf(away).all(1)[:, None], unseen, nearest)
        goal = np.where(looked.all(1)[:, None], gaze[:, 0], goal)
        if self._searches:
            target = worlds["target"]
            known, there = looked[lanes, target], worlds["fixated"] == target
            goal = np.where(known[:, None], places[lanes, target], goal)
            goal = np.where(there[:, None], gaze[:, 0], goal)
            away[known | there] = np.inf
        return worlds, goal, away, (looked, found, seen)


def certain(actions: np.ndarray, space: gym.Space[Any]) -> np.ndarray:
    """Probabilities (N, n) of discrete actions (N,) that are certain.

    Raises:
        ValueError: a space that is not Discrete.
    """
    if not isinstance(space, gym.spaces.Discrete):
        raise ValueError(f"only Discrete actions have probabilities, not those of {space}")
    rows: np.ndarray = np.eye(int(space.n), dtype=np.float32)[actions]
    return rows


def native(env: gym.vector.VectorEnv[Any, Any, Any]) -> FovealVectorEnv:
    """The vector environment of this package under its wrappers.

    Raises:
        ValueError: it is of another kind.
    """
    if not isinstance(env.unwrapped, FovealVectorEnv):
        raise ValueError(f"this reference needs a native vector environment of foveal_envs, got {env.unwrapped!r}")
    return env.unwrapped


def looking(env: gym.vector.VectorEnv[Any, Any, Any]) -> FovealVectorEnv:
    """The same, if its task steers a gaze.

    Raises:
        ValueError: it is of another kind, or its task steers no gaze.
    """
    found = native(env)
    if not found.task.steers_gaze:
        raise ValueError(f"{type(found.task).__name__} has no gaze to steer")
    return found
