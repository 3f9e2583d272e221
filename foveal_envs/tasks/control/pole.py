"""Pole: balance a pole on a cart without seeing any velocity (1990)."""

from __future__ import annotations

import math

import numpy as np

from ... import keys
from ...checks import real_number
from ...compiled import kernel
from .shared import GRAVITY, METRE, TICK, TOP, TRACK, Cart, cart_limits, cart_record, newtons

CART, POLE, HALF = 1.0, 0.1, 0.5  # kg, kg, half of the pole's length in metres
TILT = math.radians(12.0)  # the largest angle
SCALES = TRACK, 3.0, TILT, 3.0  # observed as 1: metres, m/s, radians, rad/s
GAINS = np.array([1.0, 2.2, 28.0, 5.5])  # of the oracle: newtons a metre, a metre a second, a radian, a radian a second


class Pole(Cart):
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

    world = cart_record(1)
    limits = cart_limits()
    tilt = TILT

    def __init__(
        self,
        actuators: str = "force",
        velocities: bool = False,
        pain: bool = False,
        largest_force: float = 10.0,
        start: float = 0.05,
    ) -> None:
        start = real_number("start", start, 0.0, 0.2)
        super().__init__(actuators, velocities, pain, largest_force, SCALES, start=start)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions.reshape(len(worlds)), self._settings, rewards, terminated)

    def _wanted(self, worlds: np.ndarray) -> np.ndarray:
        push: np.ndarray = worlds["pose"] @ GAINS
        return push

    def _poles(self, w: np.void) -> list[tuple[float, float, float, float, float]]:
        return [(256.0 + METRE * w["pose"][0], TOP, w["pose"][2], METRE * 2 * HALF, 8.0)]


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
    settings, whole = all_settings[0], CART + POLE
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            pose = w["pose"]
            push = newtons(settings, actions[i])
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
