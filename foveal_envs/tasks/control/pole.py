"""Pole: balance a pole on a cart without seeing any velocity (1990)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import flag, one_of, real_number
from ...compiled import kernel, record
from ...limits import COUNT
from ...task import Observation, Task

if TYPE_CHECKING:
    from ...rendering import Canvas

ACTUATORS = ("force", "bang-bang")
GRAVITY, CART, POLE, HALF = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, half of the pole's length in metres
TRACK, TILT = 2.4, math.radians(12.0)  # farthest position and largest angle
TICK = 0.02  # seconds of a move
FASTEST = 3.0, 3.0  # velocities that are observed as 1, m/s and rad/s
LARGEST = 10.0  # of any observed number
GAINS = np.array([1.0, 2.2, 28.0, 5.5])  # of the oracle: newtons a metre, a metre a second, a radian, a radian a second
SETTINGS = np.dtype(
    [("force", np.float64), ("start", np.float64), ("bang", np.bool_), ("velocities", np.bool_), ("pain", np.bool_)]
)
INK, SOFT, LIGHT, WOOD, PAIN = "#263238", "#90a4ae", "#dde3e7", "#c77d3b", "#e53935"


class Pole(Task):
    """Push a cart left and right so that the pole on it stays up and the cart on its track.

    Non-Markovian pole balancing of Schmidhuber (FKI-126-90, 1990): the controller sees where cart and pole are, not how
    fast they move, and the only signal is a pain at failure. The mechanics, without friction, and their Euler steps of
    0.02 s are those of Barto, Sutton & Anderson (IEEE Transactions on Systems, Man, and Cybernetics 13, 1983):

        a_angle = (g sin - cos t) / (l (4/3 - m cos^2 / M)),    t = (F + m l v_angle^2 sin) / M,
        a_cart = t - m l a_angle cos / M,

    with the masses m = 0.1 of the pole and M = 1.1 of both, l = 0.5, half of the pole's length, and the force F.

    ### Observation
    Box(-10, 10, (2,)) float32: position / 2.4 m and angle / 12 degrees, so that -1 and 1 are where it fails; with
    ``velocities`` then the cart's, in 3 m/s, and the pole's, in 3 rad/s; with ``pain`` then 1 at failure, else 0.

    ### Actions
    ``force``: Box(-1, 1, (1,)), the push to the right, times ``largest_force``; ``bang-bang``: Discrete(2), the largest
    push to the left (0) or to the right (1).

    ### Reward
    -1 at failure, else 0.

    ### Episode
    ``terminated`` when the pole leans by more than 12 degrees or the cart is more than 2.4 m from the middle. Nothing
    else ends it: who balances is interrupted after ``max_episode_steps``, 1,000 by registration, and ``gym.make`` may
    raise that. Info: ``is_success``, whether it still stands, so at the end whether it was balanced to the limit;
    ``balanced``, the moves so far; ``distance``, of the cart from the middle in metres. Random moves fail after 20 or
    30 moves and return -1; the oracle returns 0. Use a discount of 0.98.

    Args:
        actuators: "force" or "bang-bang".
        velocities: whether velocities are observed, too: the easy form, which needs no memory.
        pain: whether the pain is observed as a column of its own.
        largest_force: newtons.
        start: each of position (m), angle (rad) and velocities begins uniformly within this of 0.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = (512.0, 320.0)
    action_names = ("left", "right")
    world = np.dtype([("moves", np.int64), ("pose", np.float64, (4,)), ("failed", np.bool_), ("push", np.float64)])
    limits = {  # noqa: RUF012 (declared so by the parent)
        "moves": COUNT,
        "pose": (-1e6, 1e6),
        "failed": (0, 1),
        "push": (-1e6, 1e6),
    }

    def __init__(
        self,
        actuators: str = "force",
        velocities: bool = False,
        pain: bool = False,
        largest_force: float = 10.0,
        start: float = 0.05,
    ) -> None:
        self._bang = one_of("actuators", actuators, ACTUATORS) == "bang-bang"
        velocities, pain = flag("velocities", velocities), flag("pain", pain)
        self._force = real_number("largest_force", largest_force, 0.0, 1000.0, "a number of newtons", above=True)
        start = real_number("start", start, 0.0, 0.2)
        seen = 2 + 2 * velocities + pain
        low = np.full(seen, -LARGEST, np.float32)
        if pain:
            low[-1] = 0.0
        high = np.where(low < 0, LARGEST, 1.0).astype(np.float32)
        self.observation_space = gym.spaces.Box(low, high, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2) if self._bang else gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        own = {"force": self._force, "start": start, "bang": self._bang, "velocities": velocities, "pain": pain}
        self._settings = record(SETTINGS, **own)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions.reshape(len(worlds)), self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self._settings, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        return {"is_success": ~w["failed"], "balanced": w["moves"], "distance": np.abs(w["pose"][:, 0])}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """A linear function of positions and velocities."""
        push: np.ndarray = worlds["pose"] @ GAINS
        actions: np.ndarray = push > 0 if self._bang else np.clip(push / self._force, -1.0, 1.0)[:, None]
        return actions.astype(self.action_space.dtype)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        position, _, angle, _ = w["pose"]
        metre, ground = 512.0 / (2 * TRACK + 0.8), 256.0
        x = 256.0 + metre * position
        left, right = 256.0 - metre * TRACK, 256.0 + metre * TRACK
        canvas.line([(left, ground), (right, ground)], LIGHT, 4.0)
        for end in (left, right):
            canvas.line([(end, ground - 10.0), (end, ground + 10.0)], SOFT, 3.0)
        top = ground - 18.0
        tip = x + metre * 2 * HALF * math.sin(angle), top - metre * 2 * HALF * math.cos(angle)
        for lean in (-TILT, TILT):
            reach = metre * 2 * HALF * 1.08
            canvas.line([(x, top), (x + reach * math.sin(lean), top - reach * math.cos(lean))], LIGHT, 1.5)
        canvas.polygon([(x - 26, top - 4), (x + 26, top - 4), (x + 26, ground - 8), (x - 26, ground - 8)], INK)
        for wheel in (-15.0, 15.0):
            canvas.circle(x + wheel, ground - 6.0, 6.0, SOFT)
        canvas.line([(x, top), tip], PAIN if w["failed"] else WOOD, 8.0)
        canvas.circle(x, top, 5.0, SOFT)
        push = w["push"] / self._force
        if push:
            canvas.line([(x, ground + 26.0), (x + 70.0 * push, ground + 26.0)], "#1e88e5", 5.0)
        canvas.status("move", str(int(w["moves"])))
        canvas.status("position", f"{position:+.2f} m")
        canvas.status("angle", f"{math.degrees(angle):+.1f} degrees")
        canvas.status("push", f"{w['push']:+.1f} N")


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray) -> None:
    start = all_settings[0]["start"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        w["moves"] = 0
        w["failed"] = False
        w["push"] = 0.0
        for k in range(4):
            w["pose"][k] = keys.between(key, k, -start, start)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    force, bang, whole = settings["force"], settings["bang"], CART + POLE
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            pose = w["pose"]
            share = 2.0 * actions[i] - 1.0 if bang else min(1.0, max(-1.0, float(actions[i])))
            push = force * share
            sine, cosine = math.sin(pose[2]), math.cos(pose[2])
            thrust = (push + POLE * HALF * pose[3] * pose[3] * sine) / whole
            tilting = (GRAVITY * sine - cosine * thrust) / (HALF * (4.0 / 3.0 - POLE * cosine * cosine / whole))
            driving = thrust - POLE * HALF * tilting * cosine / whole
            pose[0] += TICK * pose[1]
            pose[1] += TICK * driving
            pose[2] += TICK * pose[3]
            pose[3] += TICK * tilting
            w["push"] = push
            w["moves"] += 1
            w["failed"] = not (abs(pose[0]) <= TRACK and abs(pose[2]) <= TILT)
            terminated[i] = w["failed"]
            rewards[i] = -1.0 if w["failed"] else 0.0


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, all_settings: np.ndarray, observation: np.ndarray) -> None:
    settings = all_settings[0]
    for row in rows:
        pose = worlds[row]["pose"]
        observation[row, 0] = _clipped(pose[0] / TRACK)
        observation[row, 1] = _clipped(pose[2] / TILT)
        k = 2
        if settings["velocities"]:
            observation[row, 2] = _clipped(pose[1] / FASTEST[0])
            observation[row, 3] = _clipped(pose[3] / FASTEST[1])
            k = 4
        if settings["pain"]:
            observation[row, k] = 1.0 if worlds[row]["failed"] else 0.0


@kernel
def _clipped(x: float) -> float:
    return min(LARGEST, max(-LARGEST, x))
