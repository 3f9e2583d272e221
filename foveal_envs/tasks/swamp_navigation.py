"""SwampNavigation: from a start to a goal in the plane, around swamps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from .. import keys
from ..compiled import kernel
from ..fovea import TRAIL, require
from ..scenes.swamps import CAPACITY, GRAPH, inside, leg_area, next_waypoint, shortest_way
from ..task import Observation, Task
from .navigating import BEST, GoalSpace, draw_flag, draw_walk, path_measures

if TYPE_CHECKING:
    from ..rendering import Canvas

ACTUATORS = ("velocity", "waypoint")
REWARDS = ("cost", "sparse", "dense", "terminal")
COST, SPARSE, DENSE, TERMINAL = range(4)
SUCCESS_RADIUS = 0.05
BORDER = 0.95  # starts, goals and swamps lie within it
LARGEST_RADIUS = 0.45
HURRY = 0.1  # cost of a move, with reward="cost"
ATTEMPTS = 1000
TURN = 0.2  # radians between the sides of the polygon on which the oracle walks around a swamp


class SwampNavigation(Task):
    """Walk from a start to a goal in the plane, around swamps or through them.

    Schmidhuber, FKI-129-90 (1990); ICANN 1991:967-972; Schmidhuber & Wahnsiedler, SAB 1992:196-202: the world of the
    subgoal generator. A swamp is a cone, its depth is height (1 - r / radius); depths of swamps that overlap add. The
    cost of a straight leg is its length plus ``swamp_weight`` times the area under the cones' surfaces along the leg, in
    closed form (``foveal_envs/scenes/swamps.py``). The published cost is the area alone; then all detours are free.

    ### Observation
    A Dict of float32 vectors in a scene of [-1, 1] x [-1, 1]: ``observation`` (22,) is the position (x, y) and (x, y,
    radius, height) of each of five swamps, four zeros for each one less; ``achieved_goal`` (2,) is the position and
    ``desired_goal`` (2,) the wanted one.

    ### Actions
    ``velocity``: Box(-1, 1, (2,)) times ``largest_step``, the way of this move; ``waypoint``: Box(-1, 1, (2,)), the
    place to which this move goes straight. Every move ends inside the scene.

    ### Reward
    ``cost`` minus the cost of this move's leg, and -0.1 while not at the goal; ``sparse`` 0 within 0.05 of the goal, else
    -1; ``dense`` minus the distance to the goal; ``terminal`` the dense reward, at the end only. All but ``cost`` are
    functions of the two goal vectors. ``cost`` needs ``info["leg_cost"]``, so relabelling works only where the infos of
    moves are kept (``HerReplayBuffer(copy_info_dict=True)``).

    ### Episode
    ``terminated`` within 0.05 of the goal, or after ``moves`` moves. Info: ``is_success``, ``distance``,
    ``path_length``, ``swamp_area``, ``cost``, ``leg_cost`` (of the last move), ``shortest_path`` (that enters no swamp,
    exact), ``cost_ratio`` (cost / shortest path; a little below 1 is possible, by cutting a shallow rim) and ``spl``.
    FIGURES Discount 0.98.

    Args:
        swamps: how many, or a range of numbers, 1 to 5.
        radius: range of radii, within [0.05, 0.45].
        height: of every cone.
        swamp_weight: cost of one unit of area; a unit of length costs 1.
        detour: start and goal are drawn such that the straight line between them crosses a swamp.
        actuators: "velocity" or "waypoint".
        largest_step: of ``velocity``, along each axis.
        reward: "cost", "sparse", "dense" or "terminal".
        moves: longest episode.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = (2.0, 2.0)
    world = np.dtype(
        [
            ("moves", np.int64),
            ("count", np.int64),
            ("swamps", np.float64, (CAPACITY, 4)),
            ("position", np.float64, (2,)),
            ("goal", np.float64, (2,)),
            ("length", np.float64),
            ("area", np.float64),
            ("leg_cost", np.float64),
            ("shortest", np.float64),
            ("trail", np.float32, (TRAIL, 2)),
        ]
    )

    def __init__(
        self,
        swamps: int | Sequence[int] = (1, 5),
        radius: Sequence[float] = (0.15, 0.35),
        height: float = 1.0,
        swamp_weight: float = 10.0,
        detour: bool = True,
        actuators: str = "velocity",
        largest_step: float = 0.1,
        reward: str = "cost",
        moves: int = 80,
        goal_format: str = "dict",
    ) -> None:
        fewest, most = (swamps, swamps) if isinstance(swamps, int) else tuple(swamps)
        require(1 <= fewest <= most <= CAPACITY, "swamps", f"a number or a range within 1 to {CAPACITY}", swamps)
        least, largest = radius
        require(0.05 <= least <= largest <= LARGEST_RADIUS, "radius", f"a range within [0.05, {LARGEST_RADIUS}]", radius)
        require(height > 0, "height", "positive", height)
        require(swamp_weight >= 0, "swamp_weight", "at least 0", swamp_weight)
        require(actuators in ACTUATORS, "actuators", ACTUATORS, actuators)
        require(0 < largest_step <= 2, "largest_step", "in (0, 2]", largest_step)
        require(reward in REWARDS, "reward", REWARDS, reward)
        require(moves >= 1, "moves", "at least 1", moves)
        low, high = np.full(2 + 4 * CAPACITY, -1.0, np.float32), np.ones(2 + 4 * CAPACITY, np.float32)
        low[4::4], low[5::4], high[5::4] = 0.0, 0.0, height
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._spaces = GoalSpace(gym.spaces.Box(low, high), self.action_space, goal_format)
        self.observation_space = self._spaces.space
        self.swamp_weight = swamp_weight
        self._scene = fewest, most, float(least), float(largest), float(height), detour
        self._rules = REWARDS.index(reward), moves, float(swamp_weight), 0.0 if actuators == "waypoint" else largest_step
        self._graph = np.zeros(1, GRAPH)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._scene, self._graph)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._rules, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, *self._spaces.parts(observation))

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        distance = np.linalg.norm((w["goal"] - w["position"]).astype(np.float32), axis=1).astype(np.float64)
        measures = path_measures(distance <= SUCCESS_RADIUS, w["length"], w["shortest"])
        cost = w["length"] + self.swamp_weight * w["area"]
        return {
            **measures,
            "distance": distance,
            "swamp_area": w["area"],
            "cost": cost,
            "leg_cost": w["leg_cost"],
            "cost_ratio": cost / w["shortest"],
        }

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        achieved, desired, shape = self._spaces.pairs(achieved_goal, desired_goal)
        costs = np.zeros(len(achieved))
        if self._rules[0] == COST:
            infos = [info] if isinstance(info, Mapping) else list(info)
            if not all("leg_cost" in one for one in infos):
                raise ValueError("reward='cost' needs the info of every move, with 'leg_cost': keep the infos")
            costs[:] = [one["leg_cost"] for one in infos]
        rewards = np.empty(len(achieved))
        _rewards(achieved, desired, costs, self._rules[0], rewards)
        return rewards.reshape(shape)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        achieved, desired, shape = self._spaces.pairs(achieved_goal, desired_goal)
        rewards = np.empty(len(achieved))
        _rewards(achieved, desired, rewards, SPARSE, rewards)
        return rewards.reshape(shape) == 0.0

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Along the shortest path that enters no swamp."""
        targets = np.empty((len(worlds), 2))
        _aim(worlds, self._graph, targets)
        step = self._rules[3]
        if step == 0.0:
            return targets.astype(np.float32)
        way = (targets - worlds["position"]) / step
        return (way / np.maximum(1.0, np.abs(way).max(1, keepdims=True))).astype(np.float32)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        for x, y, radius, _ in w["swamps"][: w["count"]]:
            for share in np.linspace(1.0, 0.1, 10):
                canvas.circle(x + 1, y + 1, share * radius, "#5d8a661f")
            canvas.circle(x + 1, y + 1, radius, "#4e7a58", 1.5)
        canvas.line(_way(worlds[row : row + 1], self._graph) + 1, BEST, 3.0)
        draw_flag(canvas, w["goal"][0] + 1, w["goal"][1] + 1)
        numbers = range(max(0, int(w["moves"]) - TRAIL + 1), int(w["moves"]) + 1)
        draw_walk(canvas, np.array([w["trail"][m % TRAIL] + 1 for m in numbers]))
        canvas.status("length", f"{w['length']:.2f}")
        canvas.status("swamp area", f"{w['area']:.3f}")
        canvas.status("cost", f"{w['length'] + self.swamp_weight * w['area']:.2f}")
        canvas.status("shortest dry path", f"{w['shortest']:.2f}")


def _way(world: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """What is left of the shortest path of one world (1,), as (P, 2) points; the world does not move."""
    world, points, target = world.copy(), [world["position"][0].copy()], np.empty((1, 2))
    for _ in range(64):
        _aim(world, graph, target)
        world["position"] = target
        points.append(target[0].copy())
        if np.allclose(target[0], world["goal"][0]):
            break
    return np.array(points)


Scene = tuple[int, int, float, float, float, bool]  # fewest and most swamps, least and largest radius, height, detour
Rules = tuple[int, int, float, float]  # kind of reward, longest episode, weight, largest step (0: waypoints)


@kernel
def _place(key: np.uint64, attempt: int, scene: Scene, w: np.void, graph: np.void) -> bool:
    """Draw swamps, start and goal; whether they make a task."""
    fewest, most, least, largest, height, detour = scene
    draws = keys.split(key, attempt)
    count = fewest + keys.below(draws, 0, most - fewest + 1)
    swamps, position, goal = w["swamps"], w["position"], w["goal"]
    w["count"] = count
    for i in range(CAPACITY):
        radius = keys.between(draws, 3 * i + 1, least, largest) if i < count else 0.0
        swamps[i, 0] = keys.between(draws, 3 * i + 2, radius - BORDER, BORDER - radius) if i < count else 0.0
        swamps[i, 1] = keys.between(draws, 3 * i + 3, radius - BORDER, BORDER - radius) if i < count else 0.0
        swamps[i, 2] = radius
        swamps[i, 3] = height if i < count else 0.0
    for axis in range(2):
        position[axis] = keys.between(draws, 20 + axis, -BORDER, BORDER)
        goal[axis] = keys.between(draws, 22 + axis, -BORDER, BORDER)
    if math.hypot(goal[0] - position[0], goal[1] - position[1]) < 2.0 * SUCCESS_RADIUS:
        return False
    if inside(position[0], position[1], 0.0, swamps, count) or inside(goal[0], goal[1], SUCCESS_RADIUS, swamps, count):
        return False
    if detour and leg_area(position[0], position[1], goal[0], goal[1], swamps, count) == 0.0:
        return False
    w["shortest"] = shortest_way(position[0], position[1], goal[0], goal[1], swamps, count, graph)
    return bool(w["shortest"] < math.inf)


@kernel
def _reset(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, scene: Scene, graph: np.ndarray
) -> None:
    for row in rows:
        w = worlds[row]
        for attempt in range(ATTEMPTS):  # about one in two is a task
            if _place(episode_keys[row], attempt, scene, w, graph[0]):
                break
        w["moves"] = 0
        w["length"] = 0.0
        w["area"] = 0.0
        w["leg_cost"] = 0.0
        for axis in range(2):
            w["trail"][0, axis] = w["position"][axis]


@kernel
def _reward(achieved: np.ndarray, goal_x: float, goal_y: float, cost: float, kind: int) -> float:
    """Reward of being at a place (2,) float32; "terminal" pays as "dense" does."""
    away = math.hypot(np.float32(goal_x) - achieved[0], np.float32(goal_y) - achieved[1])
    if kind == COST:
        return -cost - (0.0 if away <= SUCCESS_RADIUS else HURRY)
    if kind == SPARSE:
        return 0.0 if away <= SUCCESS_RADIUS else -1.0
    return -away


@kernel
def _rewards(achieved: np.ndarray, desired: np.ndarray, costs: np.ndarray, kind: int, rewards: np.ndarray) -> None:
    for i in range(achieved.shape[0]):
        rewards[i] = _reward(achieved[i], desired[i, 0], desired[i, 1], costs[i], kind)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    rules: Rules,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    kind, moves, weight, largest_step = rules
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            position, goal = w["position"], w["goal"]
            x, y = position[0], position[1]
            for axis in range(2):
                action = min(1.0, max(-1.0, float(actions[i, axis])))
                place = position[axis] + largest_step * action if largest_step > 0.0 else action
                position[axis] = min(1.0, max(-1.0, place))
            length = math.hypot(position[0] - x, position[1] - y)
            area = leg_area(x, y, position[0], position[1], w["swamps"], w["count"])
            w["moves"] += 1
            w["length"] += length
            w["area"] += area
            w["leg_cost"] = length + weight * area
            slot = w["trail"][w["moves"] % TRAIL]
            slot[0] = position[0]
            slot[1] = position[1]
            terminated[i] = _reward(slot, goal[0], goal[1], 0.0, SPARSE) == 0.0 or w["moves"] >= moves
            if kind != TERMINAL or terminated[i]:
                rewards[i] = _reward(slot, goal[0], goal[1], w["leg_cost"], kind)


@kernel
def _observe(
    worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray, achieved: np.ndarray, desired: np.ndarray
) -> None:
    for row in rows:
        w = worlds[row]
        for axis in range(2):
            observation[row, axis] = w["position"][axis]
            desired[row, axis] = w["goal"][axis]
        for k in range(4 * CAPACITY):
            observation[row, 2 + k] = w["swamps"][k // 4, k % 4]
        for axis in range(achieved.shape[1]):
            achieved[row, axis] = w["position"][axis]


@kernel
def _aim(worlds: np.ndarray, graph: np.ndarray, targets: np.ndarray) -> None:
    """Where each world should go straight next (N, 2): out of a swamp, or along the shortest path."""
    for i in range(worlds.shape[0]):
        w = worlds[i]
        position, goal, swamps = w["position"], w["goal"], w["swamps"]
        shortest_way(position[0], position[1], goal[0], goal[1], swamps, w["count"], graph[0])
        targets[i, 0], targets[i, 1] = next_waypoint(swamps, TURN, graph[0])
        for k in range(w["count"]):
            dx, dy = position[0] - swamps[k, 0], position[1] - swamps[k, 1]
            away, radius = math.hypot(dx, dy), swamps[k, 2]
            if 0.0 < away < 0.999 * radius:
                targets[i, 0] = swamps[k, 0] + dx / away * 1.001 * radius
                targets[i, 1] = swamps[k, 1] + dy / away * 1.001 * radius
