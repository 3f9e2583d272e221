"""The compiled rules of MazeNavigation: new mazes, moves, views, goals and rewards."""

from __future__ import annotations

import math

import numpy as np

from ... import keys
from ...compiled import kernel
from ...fovea.fovea import TRAIL, displacement
from ...limits import COUNT, NUMBER, Limits
from ...scenes.geodesics import BODY, distance_left, shortest_path
from ...scenes.mazes import grow
from ...scenes.walls import see_walls, sum_free, walk

CELL = 2.0  # units of a cell with its wall
SCALE = 10.0 * CELL  # units in 1 of a goal vector
SUCCESS_RADIUS, SUCCESS_ANGLE = 0.5, math.radians(15.0)
ARRIVAL = SUCCESS_RADIUS / SCALE
APPEARANCE_TOLERANCE = 0.06  # root mean square difference of two views
PLACE, RELATIVE, PICTURE = range(3)
SPARSE, DENSE, TERMINAL = range(3)
TURN_COST = 0.05  # units of way that the oracle gives for a radian
TOUCHING = 1e-5  # a corner so near has been reached
SETTINGS = np.dtype(  # what the kernels know of a task's configuration
    [
        ("size", np.int64),
        ("cells", np.int64),  # 0: the walls are given
        ("loops", np.float64),
        ("goal", np.int64),
        ("rotate", np.bool_),
        ("reward", np.int64),
        ("moves", np.int64),
        ("values", np.int64),
        ("pose", np.int64),  # numbers of proprioception: 0, 2 or 4
        ("low", np.float64),  # smallest strength of a move; the largest is 1
    ]
)


def maze_record(side: int, values: int) -> np.dtype[np.void]:
    """Record of a world of at most side x side blocks and a view of so many numbers; poses are (x, y, heading)."""
    return np.dtype(
        [
            ("moves", np.int64),
            ("pose", np.float64, (3,)),
            ("trial", np.float64, (3,)),  # work space
            ("start", np.float64, (3,)),
            ("goal", np.float64, (3,)),
            ("length", np.float64),
            ("shortest", np.float64),
            ("arrived", np.uint8),
            ("trail", np.float32, (TRAIL, 2)),
            ("view", np.float32, (values,)),
            ("place", np.float32, (2,)),  # position as a goal vector
            ("desired", np.float32, (max(values, 2),)),
            ("walls", np.uint8, (side, side)),
            ("sums", np.int16, (side + 1, side + 1)),
            ("stack", np.int16, (side * side // 4,)),
        ]
    )


def maze_limits(side: int, size: int) -> Limits:
    """Limits of a ``maze_record`` for mazes of size x size blocks."""
    pose, far = ((0.0, 0.0, -math.pi), (size, size, math.pi)), size / SCALE
    return {
        "moves": COUNT,
        **dict.fromkeys(("pose", "trial", "start", "goal"), pose),
        "length": (0.0, NUMBER[1]),
        "shortest": (0.0, math.inf),
        "arrived": (0, 1),
        "trail": (0.0, size),
        "view": (0.0, 1.0),
        "place": (-far, far),
        "desired": (-max(1.0, far), max(1.0, far)),
        "walls": (0, 1),
        "sums": (0, side * side),
        "stack": (0, side * side // 4),
    }


@kernel
def _choose(key: np.uint64, squares: np.ndarray, draw: int, rotate: bool, pose: np.ndarray) -> None:
    """A pose in one of the squares (P, 2), where the body has room on all sides."""
    k = keys.below(key, draw, squares.shape[0])
    for axis in range(2):
        pose[axis] = squares[k, 1 - axis] + 0.5 + keys.between(key, draw + 1 + axis, BODY - 0.5, 0.5 - BODY)
    pose[2] = keys.between(key, draw + 3, -math.pi, math.pi) if rotate else 0.0


@kernel
def _write_place(w: np.void, settings: np.void, x: float, y: float, out: np.ndarray) -> None:
    """A position as two numbers: from the start or from the middle of the maze, over SCALE."""
    middle = 0.5 * settings["size"]
    relative = settings["goal"] == RELATIVE
    out[0] = (x - (w["start"][0] if relative else middle)) / SCALE
    out[1] = (y - (w["start"][1] if relative else middle)) / SCALE


@kernel
def _perceive(w: np.void, settings: np.void, fields: np.ndarray) -> None:
    """See and feel at the present pose, and notice arrival."""
    pose, goal = w["pose"], w["goal"]
    see_walls(w["sums"], settings["size"], pose[0], pose[1], pose[2], fields, w["view"])
    _write_place(w, settings, pose[0], pose[1], w["place"])
    if settings["goal"] == PICTURE:
        turned = abs((pose[2] - goal[2] + math.pi) % (2.0 * math.pi) - math.pi)
        near = math.hypot(pose[0] - goal[0], pose[1] - goal[1]) <= SUCCESS_RADIUS
        w["arrived"] = near and turned <= SUCCESS_ANGLE
    else:
        w["arrived"] = _reward(w["place"], w["desired"], settings["goal"], SPARSE, 2) == 0.0


@kernel
def _reward(achieved: np.ndarray, desired: np.ndarray, goal: int, kind: int, length: int) -> float:
    """Reward of two float32 goal vectors; "terminal" pays as "dense" does."""
    if goal != PICTURE:
        away = math.hypot(desired[0] - achieved[0], desired[1] - achieved[1])
        if kind == SPARSE:
            return 0.0 if away <= ARRIVAL else -1.0
        return -away
    squares = 0.0
    for k in range(length):
        gap = desired[k] - achieved[k]
        squares += gap * gap
    if kind == SPARSE:
        return 0.0 if squares <= length * APPEARANCE_TOLERANCE * APPEARANCE_TOLERANCE else -1.0
    return -0.5 * squares


@kernel
def reward_pairs(achieved: np.ndarray, desired: np.ndarray, all_settings: np.ndarray, rewards: np.ndarray) -> None:
    """Rewards (P,) of goal vectors (P, G) float32."""
    settings = all_settings[0]
    for i in range(achieved.shape[0]):
        rewards[i] = _reward(achieved[i], desired[i], settings["goal"], settings["reward"], achieved.shape[1])


@kernel
def reset_mazes(
    worlds: np.ndarray,
    rows: np.ndarray,
    episode_keys: np.ndarray,
    all_settings: np.ndarray,
    walls: np.ndarray,
    starts: np.ndarray,
    goals: np.ndarray,
    fields: np.ndarray,
    graph: np.ndarray,
) -> None:
    """New mazes (or the given walls), starts and goals in squares (P, 2), and their shortest paths."""
    settings = all_settings[0]
    size, rotate = settings["size"], settings["rotate"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        if settings["cells"] > 0:
            grow(key, settings["cells"], settings["loops"], w["walls"], w["stack"])
        else:
            for i in range(size):
                for j in range(size):
                    w["walls"][i, j] = walls[i, j]
        sum_free(w["walls"], size, w["sums"])
        pose, start, goal = w["pose"], w["start"], w["goal"]
        _choose(key, starts, 0, rotate, start)
        draw = 4
        _choose(key, goals, draw, rotate, goal)
        while int(goal[0]) == int(start[0]) and int(goal[1]) == int(start[1]):
            draw += 4
            _choose(key, goals, draw, rotate, goal)
        for axis in range(3):
            pose[axis] = start[axis]
        w["moves"] = 0
        w["length"] = 0.0
        w["shortest"] = shortest_path(w["walls"], size, start[0], start[1], goal[0], goal[1], graph[0], False)
        if settings["goal"] == PICTURE:
            see_walls(w["sums"], size, goal[0], goal[1], goal[2], fields, w["desired"])
        else:
            _write_place(w, settings, goal[0], goal[1], w["desired"])
        w["trail"][0, 0] = pose[0]
        w["trail"][0, 1] = pose[1]
        _perceive(w, settings, fields)


@kernel
def step_mazes(
    worlds: np.ndarray,
    active: np.ndarray,
    strengths: np.ndarray,
    all_settings: np.ndarray,
    moves: np.ndarray,
    fields: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    """One move of every active body: walk, turn, see, reward."""
    settings = all_settings[0]
    kind, goal = settings["reward"], settings["goal"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            pose = w["pose"]
            right, down, turn = displacement(strengths, i, settings, moves)
            cos, sin = math.cos(pose[2]), math.sin(pose[2])
            w["length"] += walk(w["walls"], settings["size"], pose, cos * right - sin * down, sin * right + cos * down)
            pose[2] = (pose[2] + turn + math.pi) % (2.0 * math.pi) - math.pi
            w["moves"] += 1
            slot = w["moves"] % TRAIL
            w["trail"][slot, 0] = pose[0]
            w["trail"][slot, 1] = pose[1]
            _perceive(w, settings, fields)
            terminated[i] = w["arrived"] == 1 or w["moves"] >= settings["moves"]
            if kind != TERMINAL or terminated[i]:
                if goal == PICTURE:
                    rewards[i] = _reward(w["view"], w["desired"], goal, kind, settings["values"])
                else:
                    rewards[i] = _reward(w["place"], w["desired"], goal, kind, 2)


@kernel
def observe_mazes(
    worlds: np.ndarray,
    rows: np.ndarray,
    all_settings: np.ndarray,
    observation: np.ndarray,
    achieved: np.ndarray,
    desired: np.ndarray,
) -> None:
    """View, place and heading; and the goals, as many numbers as each array is wide."""
    settings = all_settings[0]
    values, picture = settings["values"], settings["goal"] == PICTURE
    for row in rows:
        w = worlds[row]
        for k in range(values):
            observation[row, k] = w["view"][k]
        if settings["pose"] >= 2:
            observation[row, values] = w["place"][0]
            observation[row, values + 1] = w["place"][1]
        if settings["pose"] == 4:
            observation[row, values + 2] = math.cos(w["pose"][2])
            observation[row, values + 3] = math.sin(w["pose"][2])
        for k in range(achieved.shape[1]):
            achieved[row, k] = w["view"][k] if picture else w["place"][k]
        for k in range(desired.shape[1]):
            desired[row, k] = w["desired"][k]


@kernel
def aim(worlds: np.ndarray, all_settings: np.ndarray, graph: np.ndarray, targets: np.ndarray) -> None:
    """Where each body should go straight next (N, 2): the first corner of its shortest path, or the goal."""
    size = all_settings[0]["size"]
    x, y, following = graph[0]["x"], graph[0]["y"], graph[0]["next"]
    for i in range(worlds.shape[0]):
        pose, goal = worlds[i]["pose"], worlds[i]["goal"]
        shortest_path(worlds[i]["walls"], size, pose[0], pose[1], goal[0], goal[1], graph[0], False)
        corner = following[0] if following[0] >= 0 else 1
        while corner != 1 and math.hypot(x[corner] - pose[0], y[corner] - pose[1]) < TOUCHING:
            corner = following[corner]
        targets[i, 0], targets[i, 1] = x[corner], y[corner]


@kernel
def choose_moves(
    worlds: np.ndarray, all_settings: np.ndarray, moves: np.ndarray, graph: np.ndarray, actions: np.ndarray
) -> None:
    """The moves (N,) int64, of A discrete ones (A, 3), after which the least is left of the shortest path."""
    settings = all_settings[0]
    size = settings["size"]
    for i in range(worlds.shape[0]):
        w = worlds[i]
        walls, pose, goal, trial = w["walls"], w["pose"], w["goal"], w["trial"]
        shortest_path(walls, size, pose[0], pose[1], goal[0], goal[1], graph[0], True)
        cos, sin = math.cos(pose[2]), math.sin(pose[2])
        least = math.inf
        for k in range(moves.shape[0]):
            trial[0], trial[1] = pose[0], pose[1]
            walk(walls, size, trial, cos * moves[k, 0] - sin * moves[k, 1], sin * moves[k, 0] + cos * moves[k, 1])
            left = distance_left(walls, size, trial[0], trial[1], graph[0])
            if settings["goal"] == PICTURE:
                error = (pose[2] + moves[k, 2] - goal[2] + math.pi) % (2.0 * math.pi) - math.pi
                left += TURN_COST * abs(error)
            if left < least:
                least = left
                actions[i] = k
