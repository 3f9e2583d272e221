"""MazeNavigation: find a place in a maze never seen before, with a fovea that sees only the walls nearby."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, flag, one_of, real_number, require, whole_number
from ...compiled import record
from ...fovea.fovea import Fovea, wrap
from ...retinas import Retina
from ...scenes.geodesics import graph_record
from ...scenes.mazes import FREE, WALL, fault, place_of, read_layout, require_reach
from ...task import Observation
from .maze_rules import (
    ARRIVAL,
    CELL,
    SCALE,
    SETTINGS,
    aim,
    choose_moves,
    maze_limits,
    maze_record,
    observe_mazes,
    reset_mazes,
    reward_pairs,
    step_mazes,
)
from .shared import BEST, GoalNavigation, draw_flag, draw_squares, draw_walk, path_measures, trail_of

if TYPE_CHECKING:
    from ...rendering import Canvas

ACTUATORS = ("saccade", "muscles", "directions")
GOALS = ("place", "relative", "picture")
REWARDS = ("sparse", "dense", "terminal")
LARGEST_VIEW = 3.0  # cells
LARGEST_STEP = 0.7  # along each axis, so that no diagonal is longer than a block
SIDES = (24, 48, 96)  # blocks, so that few sizes of record are ever compiled


class MazeNavigation(GoalNavigation):
    """Find a place in a maze never seen before, with a fovea that sees only the walls nearby.

    Every episode has a new maze of ``cells`` x ``cells`` cells: a random spanning tree, in which a share of the walls
    left standing is opened, so that there are loops and every place can be reached. Corridors and walls are 1 unit
    wide, a cell and its wall 2 units. The body, a square of 0.2 units, moves continuously and slides along walls.

    ### Observation
    A Dict of float32 vectors. ``observation`` (42,): the egocentric view, 40 numbers in [0, 1], and the position. Each
    number of the view is the share of wall in one receptive field around the body (exact, the field a square of its
    area), small and dense in the centre, large at the rim, ``view`` cells away; beyond it the agent sees nothing.
    ``achieved_goal`` and ``desired_goal`` are, with ``goal="place"`` (2,), the present and the wanted position (x, y)
    from the middle of the maze, in units of 10 cells, right and down; with "relative" (2,), the same from the start;
    with "picture" (40,), the view here and at the goal, without any position. ``rotate=True`` adds the heading as
    (cos, sin) to the position in the observation.

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times ``largest_step`` right and down; with ``rotate`` right and down of the body, and
    a third for the turn, clockwise. ``muscles`` and ``directions`` (Discrete) as in TargetDetection.

    ### Reward
    ``sparse`` 0 at the goal, else -1: within 0.5 units of the place, or with "picture" a root mean square difference of
    at most 0.06 between the views; ``dense`` minus the distance of the positions, or with "picture" -1/2 |desired -
    achieved|^2; ``terminal`` the dense reward, at the end only. All are functions of the two goal vectors.

    ### Episode
    ``terminated`` on arrival, within 0.5 units of the goal (with "picture" and ``rotate`` also within 15 degrees of its
    heading), or after ``moves`` moves. Info: ``is_success``, ``distance`` (straight), ``path_length``,
    ``shortest_path`` (exact, around all corners), ``cost_ratio`` and ``spl``.
    The shortest path is 26 units long on average. The oracle returns -54 at an ``spl`` of 1.0 (``directions``: 0.88);
    random moves return -391 and arrive in 4 % of episodes. Nobody can know what they have not seen: the reference
    ``planner``, with a perfect map of everything it has seen, reaches an ``spl`` of 0.91, and 0.84 with ``cells=22``.
    Use a discount of 0.99.

    Args:
        cells: along each side, 2 to 47.
        loops: probability that a wall which the spanning tree left standing is opened.
        view: radius of what is seen, cells, at most 3.
        goal: "place", "relative" or "picture".
        rotate: the body has a heading, the view turns with it, and so do the actions.
        retina: as in TargetDetection; scaled to ``view``.
        actuators: "saccade", "muscles" or "directions".
        largest_step: units along each axis, at most 0.7.
        largest_turn: radians.
        reward: "sparse", "dense" or "terminal".
        moves: longest episode.
        proprioception: the position (and heading) stands behind the view in the observation.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).
        layout: strings of ``#`` wall and ``.`` free unit squares, with or without one ``S``, the start, and one ``G``,
            the goal; None: a new maze in every episode.

    Raises:
        ValueError: an impossible keyword, or a layout with squares that cannot be reached, drawn with the fault marked.
    """

    def __init__(
        self,
        cells: int = 11,
        loops: float = 0.1,
        view: float = 3.0,
        goal: str = "place",
        rotate: bool = False,
        retina: str | Mapping[str, Any] | Retina = "rings",
        actuators: str = "saccade",
        largest_step: float = 0.5,
        largest_turn: float = math.radians(50.0),
        reward: str = "sparse",
        moves: int = 400,
        proprioception: bool = True,
        goal_format: str = "dict",
        layout: Sequence[str] | None = None,
    ) -> None:
        cells = whole_number("cells", cells, 2, (SIDES[-1] - 1) // 2)
        loops = real_number("loops", loops, 0.0, 1.0, "a probability")
        view = real_number("view", view, 0.0, LARGEST_VIEW, "a number of cells", above=True)
        goal = one_of("goal", goal, GOALS)
        actuators = one_of("actuators", actuators, ACTUATORS)
        largest_step = real_number("largest_step", largest_step, 0.0, LARGEST_STEP, above=True)
        reward = one_of("reward", reward, REWARDS)
        moves = whole_number("moves", moves, 1, LONGEST)
        proprioception = flag("proprioception", proprioception)
        self._body = Fovea(retina, actuators, largest_step, largest_turn, rotate, 1, 0.0)
        self.action_space = self._body.action_space
        self._walls, self._starts, self._goals = _places(cells, layout)
        size = len(self._walls)
        side = next(side for side in SIDES if side >= size)
        table = self._body.retina.table * np.float32(CELL * view / self._body.retina.reach)
        self.receptive_fields = table  # (K, 3) of (u, v, diameter), units
        self._fields = table.astype(np.float64) * [1.0, 1.0, 0.5 * math.sqrt(math.pi)]
        self.world, self.limits = maze_record(side, len(table)), maze_limits(side, size)
        self._graph = np.zeros(1, graph_record(side))
        pose = (4 if rotate else 2) if proprioception else 0
        self._settings = record(
            SETTINGS,
            size=size,
            cells=0 if layout is not None else cells,
            loops=loops,
            goal=GOALS.index(goal),
            rotate=self._body.rotate,
            reward=REWARDS.index(reward),
            moves=moves,
            values=len(table),
            pose=pose,
            low=self._body.settings["low"],
        )
        self._goal, self.view = goal, view
        farthest = np.float32((0.5 if goal != "relative" else 1.0) * size / SCALE)
        low, high = np.zeros(len(table) + pose, np.float32), np.ones(len(table) + pose, np.float32)
        low[len(table) :], high[len(table) : len(table) + 2] = -1.0, farthest
        low[len(table) : len(table) + 2] = -farthest
        place = gym.spaces.Box(-farthest, farthest, (2,), np.float32)
        vector = gym.spaces.Box(0.0, 1.0, (len(table),), np.float32) if goal == "picture" else place
        super().__init__(gym.spaces.Box(low, high), vector, goal_format)
        self.render_size = (float(size), float(size))

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        walls, starts, goals = self._walls, self._starts, self._goals
        reset_mazes(worlds, rows, keys, self._settings, walls, starts, goals, self._fields, self._graph)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        body = self._body
        strengths = body.strengths(actions)
        step_mazes(worlds, active, strengths, self._settings, body.moves, self._fields, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        observe_mazes(worlds, rows, self._settings, *self._spaces.parts(observation))

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        distance = np.linalg.norm(w["goal"][:, :2] - w["pose"][:, :2], axis=1)
        return {**path_measures(w["arrived"] == 1, w["length"], w["shortest"]), "distance": distance}

    def pay(self, achieved: np.ndarray, desired: np.ndarray, info: Any, rewards: np.ndarray) -> None:
        reward_pairs(achieved, desired, self._settings, rewards)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Arrival at a place; a picture alone does not tell where one is, and never ends an episode."""
        achieved, desired, shape = self._spaces.pairs(achieved_goal, desired_goal)
        if self._goal == "picture":
            return np.zeros(shape, bool)
        gap = desired - achieved
        ends: np.ndarray = np.hypot(gap[:, 0], gap[:, 1]) <= ARRIVAL
        return ends.reshape(shape)

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Along the shortest path, from corner to corner."""
        if self._body.actuators == "directions":
            actions = np.zeros(len(worlds), np.int64)
            choose_moves(worlds.copy(), self._settings, self._body.moves, self._graph, actions)
            return actions
        targets = np.empty((len(worlds), 2))
        aim(worlds, self._settings, self._graph, targets)
        way = np.zeros((len(worlds), 3))
        way[:, :2] = targets - worlds["pose"][:, :2]
        length = np.hypot(way[:, 0], way[:, 1])[:, None]
        way[:, :2] *= np.minimum(1.0, self._body.largest_jump / np.maximum(length, 1e-12))  # straight, if shorter
        if self._goal == "picture":
            way[:, 2] = wrap(worlds["goal"][:, 2] - worlds["pose"][:, 2])
        return self._body.aim(way, worlds["pose"][:, 2])

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w, size = worlds[row], int(self._settings["size"][0])
        draw_squares(canvas, np.where(w["walls"][:size, :size] == 1, WALL, FREE), {})
        if self.reveal:
            canvas.line(self._way(worlds[row : row + 1]), BEST, 3.0)
        draw_flag(canvas, *w["goal"][:2])
        canvas.fovea(self.receptive_fields, w["pose"])
        draw_walk(canvas, trail_of(w))
        canvas.retina_inset("View", self.receptive_fields, w["view"][: len(self.receptive_fields)])
        if self._goal == "picture":
            canvas.retina_inset("Goal", self.receptive_fields, w["desired"][: len(self.receptive_fields)])
        canvas.status("moves", str(int(w["moves"])))
        canvas.status("path", f"{w['length']:.1f}")
        canvas.status("shortest path", f"{w['shortest']:.1f}")

    def _way(self, world: np.ndarray) -> np.ndarray:
        """What is left of the shortest path of one world (1,), as (P, 2) points; the world does not move."""
        world, target = world.copy(), np.empty((1, 2))
        points = [world["pose"][0, :2].copy()]
        while not np.array_equal(points[-1], world["goal"][0, :2]) and len(points) < len(self._graph["x"][0]):
            aim(world, self._settings, self._graph, target)
            world["pose"][:, :2] = target
            points.append(target[0].copy())
        return np.array(points)


def _places(cells: int, layout: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walls (S, S) uint8 of a given layout, or room for a grown one; squares (P, 2) of starts and of goals."""
    if layout is None:
        size = 2 * cells + 1
        squares = np.array([(2 * i + 1, 2 * j + 1) for i in range(cells) for j in range(cells)])
        return np.ones((size, size), np.uint8), squares, squares
    grid = read_layout(layout, "SG")
    free = grid != WALL
    if free.sum() < 2:
        raise fault(grid, ~free, "a layout needs at least two free squares")
    size = max(grid.shape)
    require(size <= SIDES[-1], "the longer side of a layout", f"at most {SIDES[-1]}", size)
    first = np.argwhere(free)[0].tolist()
    require_reach(grid, free, (first[0], first[1]), free, "every free square must be reachable from the first")
    walls = np.ones((size, size), np.uint8)
    walls[: grid.shape[0], : grid.shape[1]] = ~free
    places = [
        np.array([place_of(grid, mark, meaning)]) if (grid == mark).any() else np.argwhere(free)
        for mark, meaning in (("S", "start"), ("G", "goal"))
    ]
    return walls, places[0], places[1]
