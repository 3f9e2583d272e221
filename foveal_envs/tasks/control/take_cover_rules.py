"""The rules of TakeCover: how player, monsters and balls move, and the oracle that plans over the balls it sees."""

from __future__ import annotations

import math

import numpy as np

from ... import keys
from ...compiled import kernel
from ...limits import COUNT, KEY

HALF, DEPTH = 3.0, 8.0  # the player is at depth 0 and within this of the middle; the monsters are at this depth
PUSH, FRICTION = 0.04, 0.8  # a tic adds so much to the player's velocity, after it leaves so much of it
MOST, FIRST, ARRIVAL = 16, 5, 80  # monsters at most, monsters at first, tics until the next arrives
RELOAD = 40, 90  # tics between two shots of a monster
SPEED, REACH = 0.15, 0.5  # of a ball in a tic; distance at which it hits
AIMED, SPREAD = 0.3, 0.5  # share of shots at the player, and how far beside their target they may go
HEALTH, DAMAGE = 100.0, (25.0, 45.0)
EACH = 2  # balls in flight of one monster: none flies as long as two reloads take
DRAWS = 6  # of a shot; as many before the first are for the monster's place and its first reload
SWITCHES = np.array([2, 6, 14, 30])  # tics after which a plan goes over to its second action
HORIZON = 80  # tics: by then every ball has come down

MONSTER = np.dtype([("x", np.float64), ("reload", np.int64), ("shots", np.int64)])
BALL = np.dtype(
    [
        ("flying", np.bool_),
        ("x", np.float64),
        ("z", np.float64),  # depth, 0 at the player
        ("dx", np.float64),
        ("dz", np.float64),
        ("damage", np.float64),
    ]
)
WORLD = np.dtype(
    [
        ("key", np.uint64),
        ("tics", np.int64),
        ("health", np.float64),
        ("x", np.float64),
        ("speed", np.float64),
        ("push", np.int64),  # -1 left, 0, 1 right
        ("monsters", MONSTER, (MOST,)),
        ("balls", BALL, (MOST * EACH,)),
    ]
)
LIMITS = {
    "key": KEY,
    "tics": COUNT,
    "health": (0.0, HEALTH),
    "x": (-HALF, HALF),
    "speed": (-1.0, 1.0),
    "push": (-1, 1),
    "monsters": {"x": (-HALF, HALF), "reload": (0, RELOAD[1]), "shots": COUNT},
    "balls": {
        "flying": (0, 1),
        "x": (-1e6, 1e6),
        "z": (-1.0, DEPTH),
        "dx": (-SPEED, SPEED),
        "dz": (-SPEED, 0.0),
        "damage": (0.0, DAMAGE[1]),
    },
}


@kernel
def begin(w: np.void, key: np.uint64) -> None:
    """A new episode: the player in the middle, every monster with its place and its first reload."""
    w["key"] = key
    w["tics"] = 0
    w["health"] = HEALTH
    w["x"] = 0.0
    w["speed"] = 0.0
    w["push"] = 0
    for i in range(MOST):
        monster, own = w["monsters"][i], keys.split(key, i)
        monster["x"] = keys.between(own, 0, -HALF, HALF)
        monster["reload"] = 1 + keys.below(own, 1, RELOAD[1])
        monster["shots"] = 0
    for i in range(MOST * EACH):
        ball = w["balls"][i]
        ball["flying"] = False
        ball["x"] = 0.0
        ball["z"] = 0.0
        ball["dx"] = 0.0
        ball["dz"] = 0.0
        ball["damage"] = 0.0


@kernel
def present(tics: int) -> int:
    """Number of monsters after so many tics."""
    return min(MOST, FIRST + tics // ARRIVAL)


@kernel
def move(w: np.void, push: int) -> None:
    """One tic: the player moves, then the balls, then monsters shoot."""
    w["push"] = push
    w["speed"] = FRICTION * w["speed"] + PUSH * push
    w["x"] += w["speed"]
    if abs(w["x"]) > HALF:
        w["x"] = min(HALF, max(-HALF, w["x"]))
        w["speed"] = 0.0
    for i in range(MOST * EACH):
        ball = w["balls"][i]
        if ball["flying"]:
            ball["x"] += ball["dx"]
            ball["z"] += ball["dz"]
            across, away = ball["x"] - w["x"], ball["z"]
            hit = across * across + away * away < REACH * REACH
            if hit:
                w["health"] = max(0.0, w["health"] - ball["damage"])
            ball["flying"] = away > 0.0 and not hit
    for i in range(present(w["tics"])):
        monster = w["monsters"][i]
        monster["reload"] -= 1
        if monster["reload"] <= 0:
            _shoot(w, i)
    w["tics"] += 1


@kernel
def _shoot(w: np.void, i: int) -> None:
    """Monster i shoots; draw j of shot k is draw (k + 1) * DRAWS + j of the monster's own key."""
    monster = w["monsters"][i]
    own, shots = keys.split(w["key"], i), monster["shots"]
    first = DRAWS * (shots + 1)
    if keys.uniform(own, first) < AIMED:
        flight = math.hypot(w["x"] - monster["x"], DEPTH) / SPEED
        lead = keys.uniform(own, first + 1) * w["speed"] * flight
        beside = keys.between(own, first + 2, -SPREAD, SPREAD)
        target = min(HALF, max(-HALF, w["x"] + lead + beside))
    else:
        target = keys.between(own, first + 3, -HALF, HALF)
    distance = math.hypot(target - monster["x"], DEPTH)
    ball = w["balls"][EACH * i + shots % EACH]
    ball["flying"] = True
    ball["x"] = monster["x"]
    ball["z"] = DEPTH
    ball["dx"] = SPEED * (target - monster["x"]) / distance
    ball["dz"] = -SPEED * DEPTH / distance
    ball["damage"] = keys.between(own, first + 4, DAMAGE[0], DAMAGE[1])
    monster["reload"] = RELOAD[0] + keys.below(own, first + 5, RELOAD[1] - RELOAD[0] + 1)
    monster["shots"] += 1


@kernel
def best_push(w: np.void, skip: int, path: np.ndarray) -> int:
    """First action, -1, 0 or 1, of the best of 36 plans: the one that is hit last, and among equals, the one whose
    nearest ball stays farthest away.

    A plan is two actions, one after the other. Only balls that already fly count.

    Args:
        w: the world.
        skip: tics that an action lasts.
        path: (HORIZON,) scratch.
    """
    best, latest, widest = 0, -1, -1.0
    for first in range(-1, 2):
        for second in range(-1, 2):
            for after in SWITCHES:
                switch = (after + skip - 1) // skip * skip
                _walk(w["x"], w["speed"], first, second, switch, path)
                hit, clearance = _outcome(w["balls"], path)
                if hit > latest or (hit == latest and clearance > widest):
                    best, latest, widest = first, hit, clearance
    return best


@kernel
def _walk(x: float, speed: float, first: int, second: int, switch: int, path: np.ndarray) -> None:
    """Where the player is after each tic of a plan."""
    for t in range(HORIZON):
        speed = FRICTION * speed + PUSH * (first if t < switch else second)
        x += speed
        if abs(x) > HALF:
            x, speed = min(HALF, max(-HALF, x)), 0.0
        path[t] = x


@kernel
def _outcome(balls: np.ndarray, path: np.ndarray) -> tuple[int, float]:
    """Tic of the first hit, HORIZON + 1 if there is none, and the squared distance of the nearest ball."""
    hit, nearest = HORIZON + 1, 4.0 * HALF * HALF
    for i in range(balls.shape[0]):
        ball = balls[i]
        if ball["flying"] and ball["dz"] < 0.0:  # always, but in a snapshot from outside
            t = max(1, int(min(float(HORIZON), (ball["z"] - REACH) / -ball["dz"])))  # before, it is too far away
            while t <= HORIZON:
                away = ball["z"] + t * ball["dz"]
                across = ball["x"] + t * ball["dx"] - path[t - 1]
                gap = across * across + away * away
                nearest = min(nearest, gap)
                if gap < REACH * REACH:
                    hit = min(hit, t)
                    break
                if away <= 0.0:
                    break
                t += 1
    return hit, nearest
