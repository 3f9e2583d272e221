"""TakeCover: dodge the fireballs of a growing crowd of monsters, from first-person pixels (2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, one_of, whole_number
from ...compiled import kernel, record
from ...task import Observation, Task
from .take_cover_rules import (
    DEPTH,
    EACH,
    HEALTH,
    HORIZON,
    LIMITS,
    MOST,
    REACH,
    WORLD,
    begin,
    best_push,
    move,
    present,
)
from .take_cover_view import BALL_SIZE, BODY, DISCS, PERTURBATIONS, SIDE, picture, rooms, show

if TYPE_CHECKING:
    from ...rendering import Canvas

ACTUATORS = ("force", "directions")
THIRD = 1.0 / 3.0  # the least force that moves the player
SETTINGS = np.dtype([("tics", np.int64), ("skip", np.int64), ("force", np.bool_)])
VIEW = 512  # pixels of the drawn view
MAP_LEFT, MAP_TOP, METRE = 512.0 - 12.0 - 17.0 * 2 * SIDE, 12.0, 17.0  # of the map, in units of the drawing
GLASS, EDGE, PLAYER, FIRE, MONSTER = "#101418b0", "#90a4ae", "#4fc3f7", "#ff9800", "#bf7355"
BAR, HEALTHY, HURT = (12.0, 496.0, 200.0), "#66bb6a", "#ef5350"


class TakeCover(Task):
    """Dodge the fireballs of a growing crowd of monsters, from first-person pixels.

    In the manner of VizDoom's TakeCover, which Ha & Schmidhuber learned in a dream ("Recurrent World Models Facilitate
    Policy Evolution", NeurIPS 2018). The dynamics are ours, chosen so that neither standing still nor strafing blindly
    pays. The player stands at one end of a room 6 wide and 8 deep and faces the other end, where 5 monsters stand;
    every 80 tics another one arrives, until there are 16. A monster shoots for the first time after 1 to 90 tics, then
    every 40 to 90 tics. Its ball flies straight ahead by 0.15 a tic and arrives after 53 to 67 tics. Of the shots, 30 %
    are aimed: at the player, plus 0 to 1 times the distance that the player's present velocity would cover until then,
    and up to 0.5 beside it; the others go anywhere along the player's wall. A ball that comes within 0.5 of the player
    takes 25 to 45 of 100 points of health. The player's velocity v and place x obey, with a = -1, 0 or 1,

        v <- 0.8 v + 0.04 a,    x <- x + v,    |x| <= 3.

    ### Observation
    Box(0, 255, (size, size, 3)) uint8: the view straight ahead, 90 degrees wide and high. It shows the room in
    perspective, the monsters, and the balls as discs that grow as they approach. Health is not shown.

    ### Actions
    ``force``: Box(-1, 1, (1,)), below -1/3 left, above 1/3 right, otherwise no push, as in the paper; ``directions``:
    Discrete(3), left, stay, right. An action lasts ``frame_skip`` tics.

    ### Reward
    1 for each tic, the last one included.

    ### Episode
    ``terminated`` when health is gone, or after ``tics`` tics, even in the middle of an action. Info: ``is_success``,
    whether the player was alive at that limit; ``survived``, the tics so far; and ``health``. Mean tics survived:

    | policy | ``frame_skip=1`` | ``frame_skip=4`` |
    |---|---|---|
    | stay | 155 | 155 |
    | random | 237 | 249 |
    | blind strafing at its best, 55 tics each way | 320 | 321 |
    | oracle | 2,100 | 2,100 |

    Of 36 plans, each a pair of actions one after the other, the oracle begins the one that the balls in flight hit
    last, and plans again after every action. The game of 2018 counts as solved at 750 tics.

    ### Perturbations
    ``perturbation`` changes what is seen and nothing else. It tests what a policy trained without it has learned to
    look at, as Tang, Nguyen & Ha do ("Neuroevolution of Self-Interpretable Agents", GECCO 2020). "colour" changes the
    colours of the walls and of the floor by up to 0.2 of full brightness in each channel, drawn for the episode; "bars"
    blackens 7.5 % of the frame on each side; "blob" puts a red disc over it.

    Args:
        size: height and width of the frame in pixels, 16 to 128; the papers have 64 and 96.
        frame_skip: tics that an action lasts; their rewards are added, and only the last frame is drawn.
        tics: longest episode.
        actuators: "force" or "directions".
        perturbation: "none", "colour", "bars" or "blob".

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = (512.0, 512.0)
    image_area = (0.0, 0.0, *render_size)
    action_names = ("left", "stay", "right")
    world = WORLD
    limits = LIMITS

    def __init__(
        self,
        size: int = 64,
        frame_skip: int = 1,
        tics: int = 2100,
        actuators: str = "force",
        perturbation: str = "none",
    ) -> None:
        self._size = whole_number("size", size, 16, 128, "a number of pixels")
        skip = whole_number("frame_skip", frame_skip, 1, 1000, "a number of tics")
        self._tics = whole_number("tics", tics, 1, LONGEST, "a number of tics")
        self._force = one_of("actuators", actuators, ACTUATORS) == "force"
        self._perturbation = PERTURBATIONS.index(one_of("perturbation", perturbation, PERTURBATIONS))
        self.observation_space = gym.spaces.Box(0, 255, (self._size, self._size, 3), np.uint8)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32) if self._force else gym.spaces.Discrete(3)
        self._settings = record(SETTINGS, tics=self._tics, skip=skip, force=self._force)
        self._order = np.zeros(MOST * EACH, np.int64)
        rooms(self._size)  # kept for all tasks of this size

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions.reshape(len(worlds)), self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        frames = observation.reshape(len(worlds), self._size, 3 * self._size)
        show(worlds, rows, rooms(self._size), self._perturbation, DISCS, self._order, frames)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        lasted = w["tics"] >= self._tics
        return {"is_success": lasted & (w["health"] > 0.0), "survived": w["tics"], "health": w["health"]}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """The first action of the best plan around the balls in flight."""
        pushes = np.zeros(len(worlds), np.int64)
        _plan(worlds, self._settings, np.zeros(HORIZON), pushes)
        actions: np.ndarray = pushes[:, None] if self._force else pushes + 1
        return actions.astype(self.action_space.dtype)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        canvas.image(picture(w, VIEW, self._perturbation), 0.0, 0.0, *self.render_size)
        left, y, wide = BAR
        canvas.line([(left, y), (left + wide, y)], GLASS, 8.0)
        if w["health"] > 0.0:
            share = float(w["health"]) / HEALTH
            canvas.line([(left, y), (left + wide * share, y)], HEALTHY if share > 0.5 else HURT, 6.0)
        if self.reveal:
            _draw_map(w, canvas)
        canvas.status("tic", f"{int(w['tics'])} of {self._tics}")
        canvas.status("health", f"{w['health']:.0f}")
        canvas.status("monsters", str(present(w["tics"])))
        canvas.status("action", self.action_names[w["push"] + 1])


def _draw_map(w: np.void, canvas: Canvas) -> None:
    """The room from above: monsters, balls, and the player with the distance at which he is hit."""

    def place(x: float, z: float) -> tuple[float, float]:
        return MAP_LEFT + METRE * (x + SIDE), MAP_TOP + METRE * (DEPTH + 2 * BODY - z)

    corners = [place(x, z) for x, z in ((-SIDE, DEPTH + BODY), (SIDE, DEPTH + BODY), (SIDE, -REACH), (-SIDE, -REACH))]
    canvas.polygon(corners, GLASS)
    canvas.polygon(corners, EDGE, 1.5)
    for monster in w["monsters"][: present(w["tics"])]:
        canvas.circle(*place(monster["x"], DEPTH), METRE * 0.7 * BODY, MONSTER)
    for ball in w["balls"][w["balls"]["flying"]]:
        canvas.circle(*place(ball["x"], ball["z"]), METRE * BALL_SIZE, FIRE)
    canvas.circle(*place(w["x"], 0.0), METRE * 0.5 * REACH, PLAYER)
    canvas.circle(*place(w["x"], 0.0), METRE * REACH, PLAYER, 1.5)


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray) -> None:
    for row in rows:
        begin(worlds[row], episode_keys[row])


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
    for i in range(worlds.shape[0]):
        if active[i]:
            w, push = worlds[i], _push(actions[i], settings["force"])
            for _ in range(settings["skip"]):
                move(w, push)
                rewards[i] += 1.0
                terminated[i] = w["health"] <= 0.0 or w["tics"] >= settings["tics"]
                if terminated[i]:
                    break


@kernel
def _push(action: float, force: bool) -> int:
    """-1, 0 or 1."""
    if force:
        return int(action > THIRD) - int(action < -THIRD)
    return int(action) - 1


@kernel
def _plan(worlds: np.ndarray, all_settings: np.ndarray, path: np.ndarray, pushes: np.ndarray) -> None:
    for i in range(worlds.shape[0]):
        pushes[i] = best_push(worlds[i], all_settings[0]["skip"], path)
