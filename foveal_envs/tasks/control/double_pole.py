"""DoublePole: balance two poles on one cart, side by side or one on the other, without seeing any velocity (1991)."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ... import keys
from ...checks import one_of
from ...compiled import kernel, record
from .shared import GRAVITY, METRE, TICK, TOP, TRACK, Cart, cart_limits, cart_record, newtons, tip

POLES = {"double": ("double",), "jointed": ("jointed",), "single": ("single",), "mixed": ("single", "jointed")}
STARTS = ("standard", "uniform", "grid")
CART, LONG, SHORT = 1.0, (0.1, 0.5), (0.01, 0.05)  # kg; each pole's mass in kg and half of its length in metres
RUB_TRACK, RUB_HINGE = 5e-4, 2e-6  # friction of the cart in newtons, of a hinge in newton metres a radian a second
TILT = math.radians(36.0)  # the largest angle
SCALES = TRACK, 3.0, TILT, 3.0, TILT, 3.0  # observed as 1: metres, m/s, radians, rad/s
STEPS, HALF_STEP, STEP = 2, TICK / 4, TICK / 2  # Runge-Kutta steps of a move, seconds of half a step and of one
LEAN, NEAR = math.radians(4.5), 0.05  # of the long pole's standard start; farthest of each number from 0 in "uniform"
SPREAD = 2.16, 1.35, math.radians(3.6), math.radians(8.6)  # metres, m/s, radians, rad/s: ends of the scales in "grid"
NOTCHES = -0.9, -0.5, 0.0, 0.5, 0.9  # of each scale: 0.05, 0.25, 0.5, 0.75 and 0.95 of the way from end to end
CELLS = len(NOTCHES) ** len(SPREAD)
FORM = np.dtype([(name, np.float64) for name in ("mass", "b1", "b2", "j1", "j2", "k", "joint", "track", "hinge")])
PLAN, COSTS, EFFORT = 1000, np.array([0.1, 0.1, 1.0, 0.1, 1.0, 0.1]), 0.001  # of the oracle: moves ahead, weights
Three = tuple[float, float, float]  # of the cart and of both angles


class DoublePole(Cart):
    """Push a cart left and right so that both poles on it stay up and the cart on its track.

    The double pole of Wieland (Evolving neural network controllers for unstable systems, IJCNN 1991), the usual
    benchmark of evolved controllers without velocities; and poles for modular controllers as those of Gomez &
    Schmidhuber (Evolving modular fast-weight networks for control, ICANN 2005), which switch between a single and a
    jointed pole. Their robot moves in a plane, and we do not know its masses and lengths. Every form here has a cart of
    1 kg on a track and the poles of 1991, uniform rods: one of 0.1 kg and 1 m, and one of 0.01 kg and 0.1 m.

    ### Poles
    ``double``: side by side, both hinged to the cart. ``jointed``: the short pole stands on the long one, hinged to its
    top. ``single``: the long pole alone; the angle of the short one reads 0. ``mixed``: single or jointed, as the
    episode's key says. All have the same spaces. In ``mixed`` nothing but the motion tells which one it is; both begin
    alike, except under ``start="uniform"``. The picture shows the short pole three times as long as it is.

    ### Mechanics
    With position x, angles a and c from the vertical, and the force F, all forms obey

        m x'' + b1 cos(a) a'' + b2 cos(c) c'' = F + b1 sin(a) a'^2 + b2 sin(c) c'^2 - 0.0005 sgn(x'),
        b1 cos(a) x'' + j1 a'' + k cos(a - c) c'' = b1 g sin(a) - k sin(a - c) c'^2 - friction,
        b2 cos(c) x'' + j2 c'' + k cos(a - c) a'' = b2 g sin(c) + k sin(a - c) a'^2 - friction,

    where m is the mass of all, g = 9.8, and for poles of the masses m1 and m2 and of the half-lengths l1 and l2

        b1 = m1 l1, b2 = m2 l2, j1 = 4/3 m1 l1^2, j2 = 4/3 m2 l2^2, k = 0 side by side, which are Wieland's equations;
        b1 = (m1 + 2 m2) l1, j1 = (4/3 m1 + 4 m2) l1^2, k = 2 m2 l1 l2, and the same b2 and j2 for the joint.

    The friction of a hinge is 2e-6 times the angular velocity between what it joins. A move takes 0.02 s, two steps of
    the Runge-Kutta method of fourth order.

    ### Observation
    Box(-10, 10, (3,)) float32: position / 2.4 m and both angles / 36 degrees, the long pole first, so that -1 and 1 are
    where it fails; with ``velocities`` then the cart's, in 3 m/s, and the poles', in 3 rad/s; with ``pain`` then 1 at
    failure, else 0.

    ### Actions
    ``force``: Box(-1, 1, (1,)), the push to the right, times ``largest_force``; ``bang-bang``: Discrete(2), the largest
    push to the left (0) or to the right (1).

    ### Reward
    -1 at failure, else 0.

    ### Episode
    ``start="standard"``: all is 0, but the long pole leans by 4.5 degrees, so all episodes begin alike. ``uniform``:
    each position (m), angle (rad) and velocity within 0.05 of 0. ``grid``: one of the 625 starts of the usual test of
    generalisation, in which the cart's position and velocity and the long pole's angle and velocity each stand at 0.05,
    0.25, 0.5, 0.75 or 0.95 of the way from -2.16 to 2.16 m, -1.35 to 1.35 m/s, -3.6 to 3.6 degrees, -8.6 to 8.6 degrees
    a second. Episode key i has start i % 625, the pole's velocity changing fastest; in ``mixed``, under every
    ``start``, keys 0 to 624 have the single pole, 625 to 1249 the jointed one, and so on in turns. So
    ``reset(options={"episode_key": numpy.arange(625)})`` of 625 lanes begins all of them.

    ``terminated`` when a pole leans by more than 36 degrees or the cart is more than 2.4 m from the middle. Nothing
    else ends it: who balances is interrupted after ``max_episode_steps``, 1,000 by registration; the usual test takes
    100,000, and ``gym.make`` may raise it to that. Info: ``is_success``, whether all still stands, so at the end
    whether it was balanced to the limit; ``balanced``, the moves so far; ``distance``, of the cart from the middle in
    metres. In double, jointed and single, no push at all fails after 22, 10 and 36 moves and random pushes after about
    9, 11 and 33. The oracle, a linear-quadratic regulator, goes on for 100,000; of the 625 starts of ``grid`` it
    balances 545, 543 and 569 for 1,000 moves. Controllers need little: the right linear function of the present and
    the last positions balances each form for 1,000 moves from the standard start, and one will do for both forms of
    ``mixed``. From the starts of ``grid``, ``mixed`` needs a switch: the oracle's function for a single pole balances
    1 of 625 with the jointed one, and the other way round.

    Args:
        poles: "double", "jointed", "single" or "mixed".
        start: "standard", "uniform" or "grid".
        actuators: "force" or "bang-bang".
        velocities: whether velocities are observed, too: the easy form, which needs no memory.
        pain: whether the pain is observed as a column of its own.
        largest_force: newtons.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    world = cart_record(2, ("form", np.int64))
    tilt = TILT
    angles = ("long pole", "short pole")

    def __init__(
        self,
        poles: str = "double",
        start: str = "standard",
        actuators: str = "force",
        velocities: bool = False,
        pain: bool = False,
        largest_force: float = 10.0,
    ) -> None:
        forms = POLES[one_of("poles", poles, tuple(POLES))]
        start = one_of("start", start, STARTS)
        super().__init__(actuators, velocities, pain, largest_force, SCALES, start=float(STARTS.index(start)))
        self._forms = np.concatenate([_form(form) for form in forms])
        self.limits = cart_limits(form=(0, len(forms) - 1))

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings, self._forms)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions.reshape(len(worlds)), self._settings, self._forms, rewards, terminated)

    @cached_property
    def _gains(self) -> np.ndarray:
        return np.array([_gains(form) for form in self._forms])

    def _wanted(self, worlds: np.ndarray) -> np.ndarray:
        push: np.ndarray = (worlds["pose"] * self._gains[worlds["form"]]).sum(1)
        return push

    def _poles(self, w: np.void) -> list[tuple[float, float, float, float, float]]:
        """The short one is drawn three times as long as it is, to be seen."""
        x, (_, long), (_, short), form = 256.0 + METRE * w["pose"][0], LONG, SHORT, self._forms[w["form"]]
        if not form["b2"]:
            return [(x, TOP, w["pose"][2], METRE * 2 * long, 8.0)]
        apart = 0.0 if form["joint"] else 10.0
        lower = (x - apart, TOP, w["pose"][2], METRE * 2 * long, 8.0)
        hinge = tip(*lower[:4]) if form["joint"] else (x + apart, TOP)
        return [lower, (*hinge, w["pose"][4], 3 * METRE * 2 * short, 6.0)]


def _form(name: str) -> np.ndarray:
    """The constants of the mechanics of one form, (1,)."""
    (m1, l1), (m2, l2) = LONG, SHORT if name != "single" else (0.0, 0.0)
    joint = float(name == "jointed")
    return record(
        FORM,
        mass=CART + m1 + m2,
        b1=(m1 + 2 * joint * m2) * l1,
        b2=m2 * l2,
        j1=(4 / 3 * m1 + 4 * joint * m2) * l1**2,
        j2=4 / 3 * m2 * l2**2 if m2 else 1.0,  # of no pole: what stays at 0 may have any inertia
        k=2 * joint * m2 * l1 * l2,
        joint=joint,
        track=RUB_TRACK,
        hinge=RUB_HINGE,
    )


def _gains(form: np.void) -> np.ndarray:
    """What the oracle pushes by each number of a pose, (6,): the linear-quadratic regulator of the upright poles."""
    mass, b1, b2, j1, j2, k = (form[name] for name in ("mass", "b1", "b2", "j1", "j2", "k"))
    answer = np.linalg.inv([[mass, b1, b2], [b1, j1, k], [b2, k, j2]])
    rates = np.zeros((7, 7))  # of pose and push, without friction
    rates[[0, 2, 4], [1, 3, 5]] = 1.0
    rates[1:6:2, [2, 4]] = GRAVITY * answer[:, 1:] * [b1, b2]
    rates[1:6:2, 6] = answer[:, 0]
    term = move = np.eye(7)
    for order in range(1, 20):  # exp(rates TICK)
        term = term @ rates * (TICK / order)
        move = move + term
    a, b, value = move[:6, :6], move[:6, 6:], np.diag(COSTS)
    for _ in range(PLAN):  # backward in time, the Riccati equation
        gains = np.linalg.solve(EFFORT + b.T @ value @ b, b.T @ value @ a)
        value = np.diag(COSTS) + a.T @ value @ (a - b @ gains)
    out: np.ndarray = -gains[0]
    return out


@kernel
def _reset(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray, forms: np.ndarray
) -> None:
    start = int(all_settings[0]["start"])
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        pose, cell = w["pose"], np.int64(key % np.uint64(CELLS))
        w["moves"] = 0
        w["failed"] = False
        w["push"] = 0.0
        w["form"] = int((key // np.uint64(CELLS)) % np.uint64(len(forms)))
        for k in range(6):
            pose[k] = keys.between(key, k, -NEAR, NEAR) if start == 1 else 0.0
        if start == 0:
            pose[2] = LEAN
        elif start == 2:
            for k in range(3, -1, -1):
                pose[k] = NOTCHES[cell % 5] * SPREAD[k]
                cell //= 5
        if forms[w["form"]]["b2"] == 0.0:
            pose[4] = pose[5] = 0.0


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    forms: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            pose = w["pose"]
            w["push"] = newtons(settings, actions[i])
            _move(pose, w["push"], forms[w["form"]])
            w["moves"] += 1
            w["failed"] = not (abs(pose[0]) <= TRACK and abs(pose[2]) <= TILT and abs(pose[4]) <= TILT)
            terminated[i] = w["failed"]
            rewards[i] = -1.0 if w["failed"] else 0.0


@kernel
def _move(pose: np.ndarray, push: float, form: np.void) -> None:
    """One move of a pose (6,), in place. Accelerations depend on velocities too, so both go through Runge-Kutta."""
    q, v = (pose[0], pose[2], pose[4]), (pose[1], pose[3], pose[5])
    for _ in range(STEPS):
        first = _accelerations(q, v, push, form)
        v2 = _along(v, first, HALF_STEP)
        second = _accelerations(_along(q, v, HALF_STEP), v2, push, form)
        v3 = _along(v, second, HALF_STEP)
        third = _accelerations(_along(q, v2, HALF_STEP), v3, push, form)
        v4 = _along(v, third, STEP)
        fourth = _accelerations(_along(q, v3, STEP), v4, push, form)
        q = _along(q, _mean(v, v2, v3, v4), STEP)
        v = _along(v, _mean(first, second, third, fourth), STEP)
    pose[0], pose[2], pose[4] = q
    pose[1], pose[3], pose[5] = v


@kernel
def _accelerations(q: Three, v: Three, push: float, form: np.void) -> Three:
    """Those of the cart and of both angles: the three equations of the class, solved for them."""
    b1, b2, j1, j2 = form["b1"], form["b2"], form["j1"], form["j2"]
    sin_1, cos_1, sin_2, cos_2 = math.sin(q[1]), math.cos(q[1]), math.sin(q[2]), math.cos(q[2])
    c1, c2 = b1 * cos_1, b2 * cos_2
    k = form["k"] * (cos_1 * cos_2 + sin_1 * sin_2)
    swing = form["k"] * (sin_1 * cos_2 - cos_1 * sin_2)
    rubbing = form["hinge"] * (v[2] - form["joint"] * v[1])
    track = form["track"] * np.sign(v[0])
    cart = push + b1 * sin_1 * v[1] * v[1] + b2 * sin_2 * v[2] * v[2] - track
    first = GRAVITY * b1 * sin_1 - swing * v[2] * v[2] - form["hinge"] * v[1] + form["joint"] * rubbing
    second = GRAVITY * b2 * sin_2 + swing * v[1] * v[1] - rubbing
    both = j1 * j2 - k * k  # first the poles' equations for a cart at rest, then what the cart adds
    d1, d2 = c1 * j2 - c2 * k, c2 * j1 - c1 * k
    x = (both * cart - d1 * first - d2 * second) / (both * form["mass"] - d1 * c1 - d2 * c2)
    first, second = first - c1 * x, second - c2 * x
    return x, (first * j2 - k * second) / both, (second * j1 - k * first) / both


@kernel
def _along(start: Three, slope: Three, time: float) -> Three:
    return start[0] + time * slope[0], start[1] + time * slope[1], start[2] + time * slope[2]


@kernel
def _mean(a: Three, b: Three, c: Three, d: Three) -> Three:
    """The mean of slopes by Runge and Kutta's weights."""
    return (
        (a[0] + 2.0 * (b[0] + c[0]) + d[0]) / 6.0,
        (a[1] + 2.0 * (b[1] + c[1]) + d[1]) / 6.0,
        (a[2] + 2.0 * (b[2] + c[2]) + d[2]) / 6.0,
    )
