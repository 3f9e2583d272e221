"""Catch: a ball falls, soon unseen; be where it comes down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import flag, one_of, real_number, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import EYE, FOVEA_LIMITS, SCENE, Fovea, begin_gaze, fovea_fields, move_gaze
from ...fovea.sensing import look
from ...limits import COUNT, KEY
from ...retinas import Retina
from ...scenes.objects import OBJECT, OBJECT_LIMITS, copy_shape, set_disc, set_polygon
from ...task import Observation, Task

if TYPE_CHECKING:
    from ...rendering import Canvas

VIEWS = ("plain", "pixels", "foveal")
WIDE = {"name": "multiscale", "size": 8, "scales": 3, "pixel": 16.0}  # from the middle it holds the whole board
LARGEST = 128
BOARD = np.dtype(
    [
        ("size", np.int64),
        ("visible", np.int64),  # number of observations that show the ball
        ("paddle", np.int64),  # width
        ("drift", np.bool_),
    ]
)
SETTINGS = np.dtype(EYE)
BALL, PADDLE, GHOST, GRID = "#263238", "#1e88e5", "#b0bec5", "#eceff1"


class Catch(Task):
    """Catch a ball that cannot be seen for most of its fall.

    The partially observable Catch of Ba, Hinton, Mnih, Leibo & Ionescu, "Using fast weights to attend to the recent
    past" (NIPS 2016; there size 16 with ``visible=3`` and size 24 with ``visible=5``). On a board of size x
    size cells a ball falls from a random column of the top row, one row a step. Only the first ``visible`` observations
    show it. The paddle lies in the bottom row; it can reach every column in time from every start.

    ### Observation
    A float32 Box. ``view="plain"`` (4,) in [0, 1]: the ball's column and row and 1 while it is visible, else three
    zeros; the column of the paddle's middle. Perception is trivial, memory is everything. ``view="pixels"`` (size *
    size,): the board as in the paper, row by row, 1 where ball or paddle is. ``view="foveal"`` (195,): the board is a
    scene of 512 x 512 pixels under a steerable retina; its glimpse (192,) in [0, 1], then the gaze (x / 256 - 1, y /
    256 - 1) and the paddle's middle in [-1, 1], for a body knows where its eye and its hand are. The coarse periphery
    shows roughly where the ball is, the centre shows its column.

    ### Actions
    Discrete(3): the paddle goes one cell left, stays, goes one cell right. With ``view="foveal"``
    MultiDiscrete([3, 17]), hand and eye at once: the eye jumps as with the ``directions`` of TargetDetection, in 8
    directions at ``largest_jump`` and at a quarter of it, or (16) stays. It begins in the middle of the board.

    ### Reward
    1 at the end if the ball comes down on the paddle, otherwise 0: the mean return is the share caught.

    ### Episode
    One ball, size - 1 steps, then ``terminated``. Info: ``is_success``, whether it was caught (False before the end),
    and ``distance``, cells between the paddle's middle and the ball's column. The oracle catches every ball, a random
    paddle about paddle / size of them, 0.12 by default; a paddle that follows the ball while it can be seen and then
    stays, about 0.5. A discount of 1 suits the fixed length, and so does 0.99.

    Args:
        size: of the board, cells along a side.
        visible: number of observations that show the ball.
        paddle: width of the paddle, cells (the default is ours). It starts at a random place.
        drift: the ball also moves by -1, 0 or 1 columns a row, drawn for the episode, and bounces off the walls.
        view: "plain", "pixels" or "foveal".
        retina: of the foveal view, as in TargetDetection; by default three nested grids that hold the whole board.
        largest_jump: of the eye, along each axis, scene pixels.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = (SCENE, SCENE)
    action_names = ("left", "stay", "right")

    def __init__(
        self,
        size: int = 24,
        visible: int = 5,
        paddle: int = 3,
        drift: bool = False,
        view: str = "plain",
        retina: str | Mapping[str, Any] | Retina = WIDE,
        largest_jump: float = 128.0,
    ) -> None:
        view = one_of("view", view, VIEWS)
        size = whole_number("size", size, 4, LARGEST, "a number of cells")
        paddle = whole_number("paddle", paddle, 1, size - 1, "a number of cells")
        drift = flag("drift", drift)
        visible = whole_number("visible", visible, 2 if drift else 1, size, "a number of observations")
        fields: list[tuple[Any, ...]] = [(name, np.int64) for name in ("column", "row", "way", "paddle")]
        self._board = record(BOARD, size=size, visible=visible, paddle=paddle, drift=drift)
        self._size, self._visible, self._paddle, self._view = size, visible, paddle, view
        self.fovea: Fovea | None = None
        self.action_space: gym.Space[Any] = gym.spaces.Discrete(3)
        largest_jump = real_number("largest_jump", largest_jump, 0.0, SCENE, "a number of pixels", above=True)
        if view == "foveal" or retina is not WIDE:  # the default need not be made to be checked
            fovea = Fovea(retina, "directions", largest_jump, 1.0, False, 1, 0.0)
        if view == "foveal":
            self.fovea = fovea
            low = np.zeros(fovea.values + 3, np.float32)
            low[fovea.values :] = -1.0
            self.observation_space = gym.spaces.Box(low, np.ones_like(low), dtype=np.float32)
            self.action_space = gym.spaces.MultiDiscrete([3, len(fovea.moves)])
            scene = [*fovea_fields(fovea.values), ("count", np.int64), ("objects", OBJECT, (2,))]
            self._things = _things(SCENE / size, paddle)
            self._settings = record(SETTINGS, **fovea.settings)
        else:
            numbers = 4 if view == "plain" else size * size
            self.observation_space = gym.spaces.Box(0.0, 1.0, (numbers,), np.float32)
            scene = [("key", np.uint64), ("moves", np.int64)]
        self.world = np.dtype(scene + fields)
        eye = {**FOVEA_LIMITS, "count": (0, 2), "objects": OBJECT_LIMITS} if view == "foveal" else {}
        body = {"column": (0, size - 1), "row": COUNT, "way": (-1, 1), "paddle": (0, size - paddle)}
        self.limits = {"key": KEY, "moves": COUNT, **eye, **body}

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._board)
        if self.fovea is not None:
            fields, scratch = self.fovea.retina.fields, self.fovea.scratch
            _open_eye(worlds, rows, self._board, self._settings, self._things, fields, scratch)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        if fovea is None:
            _step(worlds, active, actions, self._board, rewards, terminated)
            return
        _step(worlds, active, actions[:, 0], self._board, rewards, terminated)
        _move_eye(
            worlds, active, actions[:, 1], self._board, self._settings, fovea.moves, fovea.retina.fields, fovea.scratch
        )

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        if self.fovea is not None:
            _observe_glimpse(worlds, rows, self._board, self.fovea.values, observation)
        elif self._view == "pixels":
            _observe_pixels(worlds, rows, self._board, observation)
        else:
            _observe_places(worlds, rows, self._board, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        size, width = self._size, self._paddle
        left, column = worlds["paddle"][rows], worlds["column"][rows]
        caught = (worlds["row"][rows] == size - 1) & (left <= column) & (column < left + width)
        return {"is_success": caught, "distance": np.abs(left + 0.5 * (width - 1) - column)}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """The paddle goes to where the ball will come down, the eye to the ball."""
        size, width = self._size, self._paddle
        bounce = 2 * (size - 1)  # a straight path on a board folded out
        path = (worlds["column"] + worlds["way"] * (size - 1 - worlds["row"])) % bounce
        left = np.minimum(path, bounce - path) - width // 2
        hand: np.ndarray = np.sign(np.clip(left, 0, size - width) - worlds["paddle"]) + 1
        if self.fovea is None:
            return hand
        gap = np.zeros((len(worlds), 3))
        for axis, name in enumerate(("column", "row")):
            gap[:, axis] = (worlds[name] + 0.5) * SCENE / size - worlds["gaze"][:, axis]
        return np.stack([hand, self.fovea.aim(gap, worlds["gaze"][:, 2])], axis=1)

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        size, visible, width, w = self._size, self._visible, self._paddle, worlds[row]
        cell = SCENE / size
        canvas.fill("white")
        for i in range(1, size):
            canvas.line([(i * cell, 0), (i * cell, SCENE)], GRID, 1.0)
            canvas.line([(0, i * cell), (SCENE, i * cell)], GRID, 1.0)
        left, top = w["paddle"] * cell, SCENE - cell
        right = left + width * cell
        canvas.polygon([(left, top), (right, top), (right, SCENE), (left, SCENE)], PADDLE)
        x, y, seen = (w["column"] + 0.5) * cell, (w["row"] + 0.5) * cell, w["moves"] < visible
        if seen or self.reveal:
            canvas.circle(x, y, 0.5 * cell, BALL if seen else GHOST, 0.0 if seen else 2.0)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        self.paint(worlds, row, canvas)
        if self.fovea is not None:
            table = self.fovea.retina.table
            canvas.fovea(table, w["gaze"])
            canvas.scanpath(w["trail"], int(w["moves"]))
            canvas.retina_inset("Retina", table, w["glimpse"][: self.fovea.values])
        canvas.status("ball", "visible" if w["moves"] < self._visible else "hidden")
        canvas.status("rows to fall", str(self._size - 1 - int(w["row"])))
        if w["row"] == self._size - 1:
            canvas.status("caught", "yes" if self.info(worlds, np.array([row]))["is_success"][0] else "no")


def _things(cell: float, width: int) -> np.ndarray:
    """Paddle and ball (2,) as objects around (0, 0), for cells of so many pixels."""
    things = np.zeros(2, OBJECT)
    half, tall = 0.5 * width * cell, 0.5 * cell
    board, ball = things[0]["part"][0], things[1]["part"][0]
    board["vertex_x"][:4] = -half, half, half, -half
    board["vertex_y"][:4] = -tall, -tall, tall, tall
    set_polygon(board, 1.0, 4)
    set_disc(ball, 1.0, 0.0, 0.0, tall)
    things["radius"], things["parts"], things["value"] = (np.hypot(half, tall), tall), 1, 1.0
    return things


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, boards: np.ndarray) -> None:
    board = boards[0]
    size, width = board["size"], board["paddle"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        w["key"] = key
        w["moves"] = 0
        w["column"] = keys.below(key, 0, size)
        w["row"] = 0
        w["paddle"] = keys.below(key, 1, size - width + 1)
        w["way"] = keys.below(key, 2, 3) - 1 if board["drift"] else 0


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    boards: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    size, width = boards[0]["size"], boards[0]["paddle"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            w["moves"] += 1
            w["paddle"] = min(size - width, max(0, w["paddle"] + actions[i] - 1))
            if not 0 <= w["column"] + w["way"] < size:
                w["way"] = -w["way"]
            w["column"] += w["way"]
            w["row"] += 1
            if w["row"] == size - 1:
                terminated[i] = True
                rewards[i] = w["paddle"] <= w["column"] < w["paddle"] + width


@kernel
def _observe_places(worlds: np.ndarray, rows: np.ndarray, boards: np.ndarray, observation: np.ndarray) -> None:
    board = boards[0]
    size, visible, width = board["size"], board["visible"], board["paddle"]
    for row in rows:
        w = worlds[row]
        seen = w["moves"] < visible
        observation[row, 0] = (w["column"] + 0.5) / size if seen else 0.0
        observation[row, 1] = (w["row"] + 0.5) / size if seen else 0.0
        observation[row, 2] = 1.0 if seen else 0.0
        observation[row, 3] = (w["paddle"] + 0.5 * width) / size


@kernel
def _observe_pixels(worlds: np.ndarray, rows: np.ndarray, boards: np.ndarray, observation: np.ndarray) -> None:
    board = boards[0]
    size, visible, width = board["size"], board["visible"], board["paddle"]
    for row in rows:
        w, out = worlds[row], observation[row]
        for k in range(out.shape[0]):
            out[k] = 0.0
        for k in range(width):
            out[size * (size - 1) + w["paddle"] + k] = 1.0
        if w["moves"] < visible and w["row"] < size:  # below the board only in a snapshot from outside
            out[size * w["row"] + w["column"]] = 1.0


@kernel
def _observe_glimpse(
    worlds: np.ndarray, rows: np.ndarray, boards: np.ndarray, values: int, observation: np.ndarray
) -> None:
    size, width = boards[0]["size"], boards[0]["paddle"]
    for row in rows:
        w, out = worlds[row], observation[row]
        glimpse = w["glimpse"]
        for k in range(values):
            out[k] = glimpse[k]
        for axis in range(2):
            out[values + axis] = 2.0 * w["gaze"][axis] / SCENE - 1.0
        out[values + 2] = (2 * w["paddle"] + width) / size - 1.0


@kernel
def _see(w: np.void, board: np.void, settings: np.void, fields: np.ndarray, scratch: np.ndarray) -> None:
    """Put paddle and ball where they are now, and look."""
    size, visible, width = board["size"], board["visible"], board["paddle"]
    cell, objects, gaze = SCENE / size, w["objects"], w["gaze"]
    objects[0]["x"] = (w["paddle"] + 0.5 * width) * cell
    objects[0]["y"] = SCENE - 0.5 * cell
    objects[1]["x"] = (w["column"] + 0.5) * cell
    objects[1]["y"] = (w["row"] + 0.5) * cell
    w["count"] = 2 if w["moves"] < visible else 1
    look(w, settings, gaze[0], gaze[1], 0.0, fields, scratch, w["glimpse"])


@kernel
def _open_eye(
    worlds: np.ndarray,
    rows: np.ndarray,
    boards: np.ndarray,
    all_settings: np.ndarray,
    things: np.ndarray,
    fields: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """The gaze in the middle of the board, on a scene of paddle and ball."""
    board, settings = boards[0], all_settings[0]
    for row in rows:
        w = worlds[row]
        begin_gaze(w, w["key"], 0.5 * SCENE, 0.5 * SCENE, 0.0)
        for i in range(2):
            copy_shape(things[i], w["objects"][i], 1.0)
            w["objects"][i]["value"][0] = things[i]["value"][0]
        _see(w, board, settings, fields, scratch)


@kernel
def _move_eye(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    boards: np.ndarray,
    all_settings: np.ndarray,
    moves: np.ndarray,
    fields: np.ndarray,
    scratch: np.ndarray,
) -> None:
    board, settings = boards[0], all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            move_gaze(w, moves[actions[i], 0], moves[actions[i], 1], 0.0)
            _see(w, board, settings, fields, scratch)
