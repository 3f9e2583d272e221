"""Task: the contract between one world's rules and everything around them.

A task knows nothing of seeds, clocks, autoreset or Gymnasium's five-tuples; ``env.py`` knows nothing of what a world
is. Between them stand structured arrays: one record is one world, a batch is an array of them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from .limits import Limits

if TYPE_CHECKING:
    from .fovea.fovea import Fovea
    from .rendering import Canvas

Observation = Any  # np.ndarray for a Box or Discrete space, dict[str, np.ndarray] for a Dict space
Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int]


class Task:
    """Rules of one kind of world. Subclass it, set the three attributes, and write the methods your task needs.

    The three hot methods, ``reset``, ``step`` and ``observe``, are usually one-line calls of functions under
    ``@compiled``: loops over records in plain scalar code. Keyword arguments of the constructor are the task's
    configuration; keep them JSON-able, so that ``gym.spec(...).to_json()`` works.

    Attributes:
        world: dtype of the record that holds everything about one world.
        observation_space: of one world. A goal task has a Dict of ``observation``, ``achieved_goal``, ``desired_goal``.
        action_space: of one world; Box (float32) or Discrete, MultiDiscrete, MultiBinary.
        limits: optional: the range of each field of ``world``, ``{field: (low, high)}``, ends included; numbers, or
            arrays that broadcast to the field. A field that is itself a record has a dict of the same form; None: the
            field may hold anything. ``set_state`` refuses what lies outside, so declare every field with which a kernel
            indexes. Floats without a range must be finite.
        render_size: width and height of what ``draw`` shows, in its own units.
        image_area: where ``draw`` shows the image that is observed: left, top, width and height in units of
            ``render_size``; None: nowhere, or the observation is no image.
        reveal: whether ``draw`` shows what the policy has to find out or to remember; False while a person plays.
        fovea: what the world is seen through; None: the task has no fovea.
        steers_gaze: whether an action moves ``gaze``, a field of the record with x and y in units of ``render_size``.
            Such a task writes ``aim``.
        action_names: of the actions of a Discrete space, or of the first part of a MultiDiscrete one, by which a person
            plays: "left", "right", "up", "down" and "stay" are keys, and so is every digit.
        names: of the classes among which a policy decides by scores. A task that has them writes ``say``.
        reward_needs_info: names of the measures that ``compute_reward`` reads from ``info``. To relabel goals, a
            learner then has to keep the infos of all moves, which a vector environment made with ``info="reward"`` or
            "step" gives.
        columns: places in a row of the raster on which the reference "raster" visits the scene.
    """

    world: np.dtype[Any]
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    limits: Limits = MappingProxyType({})
    render_size: tuple[float, float] = (512.0, 512.0)
    image_area: tuple[float, float, float, float] | None = None
    reveal: bool = True
    fovea: Fovea | None = None
    steers_gaze: bool = False
    action_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    reward_needs_info: tuple[str, ...] = ()
    columns: int = 4

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        """Begin a new episode in each world of ``rows``; a world is a pure function of its key.

        Args:
            worlds: (N,) records, changed in place.
            rows: (R,) int64, indices of the worlds to reset; the others stay untouched.
            keys: (N,) uint64; world ``row`` starts from ``keys[row]``.
        """
        raise NotImplementedError

    def step(
        self,
        worlds: np.ndarray,
        active: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
    ) -> None:
        """One move of every active world, in place.

        Args:
            worlds: (N,) records; worlds with ``active`` False stay untouched.
            active: (N,) bool.
            actions: (N, ...) of the action space's dtype, finite and of the right shape.
            rewards: (N,) float64, zero on entry; write those of active worlds.
            terminated: (N,) bool, False on entry; write those of active worlds.
        """
        raise NotImplementedError

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        """Write the observations of the worlds of ``rows`` to those rows of ``observation``, and no others.

        Args:
            worlds: (N,) records, not changed.
            rows: (R,) int64.
            observation: array (N, ...), or a dict of such arrays where the space is a Dict.
        """
        raise NotImplementedError

    def stored(self, worlds: np.ndarray) -> Observation | None:
        """Views (N, ...) of what the records hold just as ``observe`` would write it. Optional: one world alone is then
        observed by copying them, which takes less time than a call of compiled code.
        """
        return None

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Measures of the worlds of ``rows``: ``is_success`` and the task's own, each (R,). Optional."""
        return {}

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Reward of reaching ``achieved_goal`` where ``desired_goal`` was wanted; ``step``'s reward equals it.

        Args:
            achieved_goal: (..., G).
            desired_goal: (..., G).
            info: a mapping, or a sequence of them; not read unless ``reward_needs_info``.

        Returns:
            (...) float64.
        """
        raise NotImplementedError(f"{type(self).__name__} has no goals to relabel")

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Whether reaching ``achieved_goal`` ends the episode: (...) bool, False unless a task says otherwise."""
        return np.zeros(np.shape(achieved_goal)[:-1], bool)

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Actions (N, ...) of the best policy that knows each whole world: the reference for a score of 1. Optional."""
        raise NotImplementedError(f"{type(self).__name__} has no oracle")

    def targets(self, worlds: np.ndarray) -> np.ndarray | None:
        """Where the target is (N, 2), in the units of ``render_size``; None where the task has none. Optional."""
        return None

    def aim(self, worlds: np.ndarray, places: np.ndarray, turns: float | np.ndarray = 0.0) -> np.ndarray:
        """Actions (N, ...) that bring each gaze nearest to a place. For tasks that steer a gaze.

        Args:
            worlds: (N,) records.
            places: (N, 2) in the units of ``render_size``.
            turns: radians by which the gaze is to turn, (N,) or one for all; does nothing where it cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} has no gaze to steer")

    def say(self, actions: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The same actions (N, ...), with scores that name the classes (N,). For tasks with ``names``."""
        raise NotImplementedError(f"{type(self).__name__} has no classes to name")

    @property
    def table(self) -> Table:
        """A deterministic task as arrays, for learners that can use them: states that actions lead to (S, A),
        observations (S,), rewards (S, A), whether states end the episode (S,), first state, longest episode. Optional.

        Raises:
            AttributeError: the task is no such table.
        """
        raise AttributeError(f"{type(self).__name__} is not known as a table")

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        """Draw the scene of world ``row`` alone, without gaze and measures. For tasks with a fovea."""
        raise NotImplementedError(f"{type(self).__name__} has no scene to paint")

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        """Draw world ``row``. Optional: without it the environment cannot render."""
        raise NotImplementedError(f"{type(self).__name__} does not draw itself")
