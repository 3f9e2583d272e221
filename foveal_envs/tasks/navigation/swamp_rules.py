"""The compiled rules of SwampNavigation: new scenes, legs, rewards, and the way around the swamps."""

from __future__ import annotations

import math

import numpy as np

from ... import keys
from ...compiled import kernel
from ...fovea.fovea import TRAIL
from ...scenes.swamps import CAPACITY, inside, leg_area, next_waypoint, shortest_way

COST, SPARSE, DENSE, TERMINAL = range(4)
SUCCESS_RADIUS = 0.05
BORDER = 0.95  # starts, goals and swamps lie within it
HURRY = 0.1  # cost of a move, with reward="cost"
ATTEMPTS = 1000
TURN = 0.2  # radians between the sides of the polygon on which the oracle walks around a swamp

SETTINGS = np.dtype(
    [
        ("fewest", np.int64),  # swamps
        ("most", np.int64),
        ("smallest", np.float64),  # radius
        ("largest", np.float64),
        ("height", np.float64),
        ("detour", np.bool_),
        ("reward", np.int64),
        ("moves", np.int64),
        ("weight", np.float64),
        ("largest_step", np.float64),  # 0: waypoints
    ]
)


@kernel
def _place(key: np.uint64, attempt: int, settings: np.void, w: np.void, graph: np.void) -> bool:
    """Draw swamps, start and goal; whether they make a task."""
    fewest, smallest, largest = settings["fewest"], settings["smallest"], settings["largest"]
    draws = keys.split(key, attempt)
    count = fewest + keys.below(draws, 0, settings["most"] - fewest + 1)
    swamps, position, goal = w["swamps"], w["position"], w["goal"]
    w["count"] = count
    for i in range(CAPACITY):
        radius = keys.between(draws, 3 * i + 1, smallest, largest) if i < count else 0.0
        swamps[i, 0] = keys.between(draws, 3 * i + 2, radius - BORDER, BORDER - radius) if i < count else 0.0
        swamps[i, 1] = keys.between(draws, 3 * i + 3, radius - BORDER, BORDER - radius) if i < count else 0.0
        swamps[i, 2] = radius
        swamps[i, 3] = settings["height"] if i < count else 0.0
    for axis in range(2):
        position[axis] = keys.between(draws, 20 + axis, -BORDER, BORDER)
        goal[axis] = keys.between(draws, 22 + axis, -BORDER, BORDER)
    if math.hypot(goal[0] - position[0], goal[1] - position[1]) < 2.0 * SUCCESS_RADIUS:
        return False
    if inside(position[0], position[1], 0.0, swamps, count) or inside(goal[0], goal[1], SUCCESS_RADIUS, swamps, count):
        return False
    if settings["detour"] and leg_area(position[0], position[1], goal[0], goal[1], swamps, count) == 0.0:
        return False
    w["shortest"] = shortest_way(position[0], position[1], goal[0], goal[1], swamps, count, graph)
    return bool(w["shortest"] < math.inf)


@kernel
def reset_swamps(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray, graph: np.ndarray
) -> None:
    """New swamps, starts and goals, and the shortest dry paths."""
    for row in rows:
        w = worlds[row]
        for attempt in range(ATTEMPTS):  # about one in two is a task
            if _place(episode_keys[row], attempt, all_settings[0], w, graph[0]):
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
def reward_pairs(achieved: np.ndarray, desired: np.ndarray, costs: np.ndarray, kind: int, rewards: np.ndarray) -> None:
    """Rewards (P,) of places and goals (P, 2) float32, for the costs (P,) of the moves that led there."""
    for i in range(achieved.shape[0]):
        rewards[i] = _reward(achieved[i], desired[i, 0], desired[i, 1], costs[i], kind)


@kernel
def step_swamps(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    """One leg of every active point."""
    settings = all_settings[0]
    kind, largest_step = settings["reward"], settings["largest_step"]
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
            w["leg_cost"] = length + settings["weight"] * area
            slot = w["trail"][w["moves"] % TRAIL]
            slot[0] = position[0]
            slot[1] = position[1]
            terminated[i] = _reward(slot, goal[0], goal[1], 0.0, SPARSE) == 0.0 or w["moves"] >= settings["moves"]
            if kind != TERMINAL or terminated[i]:
                rewards[i] = _reward(slot, goal[0], goal[1], w["leg_cost"], kind)


@kernel
def observe_swamps(
    worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray, achieved: np.ndarray, desired: np.ndarray
) -> None:
    """Position and swamps; and the goals, the achieved one where there is room for it."""
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
def aim(worlds: np.ndarray, graph: np.ndarray, targets: np.ndarray) -> None:
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
