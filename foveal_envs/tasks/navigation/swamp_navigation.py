"""SwampNavigation: from a start to a goal in the plane, around swamps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, flag, number_range, one_of, real_number, whole_number
from ...compiled import record
from ...fovea.fovea import TRAIL
from ...limits import COUNT, NUMBER
from ...scenes.swamps import CAPACITY, GRAPH
from ...task import Observation
from .shared import BEST, GoalNavigation, draw_flag, draw_walk, path_measures, trail_of
from .swamp_rules import (
    COST,
    SETTINGS,
    SPARSE,
    SUCCESS_RADIUS,
    aim,
    observe_swamps,
    reset_swamps,
    reward_pairs,
    step_swamps,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

ACTUATORS = ("velocity", "waypoint")
REWARDS = ("cost", "sparse", "dense", "terminal")
LARGEST_RADIUS = 0.45


class SwampNavigation(GoalNavigation):
    """Walk from a start to a goal in the plane, around swamps or through them.

    Schmidhuber, FKI-129-90 (1990); ICANN 1991:967-972; Schmidhuber & Wahnsiedler, SAB 1992:196-202: the world of the
    subgoal generator. A swamp is a cone of depth height (1 - r / radius); where swamps overlap, their depths add up.
    The cost of a straight leg is its length plus ``swamp_weight`` times the area under the cones' surfaces along the
    leg, in closed form (``foveal_envs/scenes/swamps.py``). The published cost is the area alone; then all detours are
    free.

    ### Observation
    A Dict of float32 vectors in a scene of [-1, 1] x [-1, 1]: ``observation`` (22,) is the position (x, y) and (x, y,
    radius, height) of each of five swamps, with four zeros for each missing swamp; ``achieved_goal`` (2,) is the
    position and ``desired_goal`` (2,) the wanted one.

    ### Actions
    ``velocity``: Box(-1, 1, (2,)) times ``largest_step``, the displacement; ``waypoint``: Box(-1, 1, (2,)), the place
    to which the move goes in a straight line. Every move ends inside the scene.

    ### Reward
    ``cost`` minus the cost of this move's leg, and -0.1 while not at the goal; ``sparse`` 0 within 0.05 of the goal,
    else -1; ``dense`` minus the distance to the goal; ``terminal`` the dense reward, at the end only. All but ``cost``
    are functions of the two goal vectors. ``cost`` needs ``info["leg_cost"]``, so relabelling works only where the
    vector environment gives it for all moves (``info="reward"``, which ``agents.make_sb3`` sets by itself) and the
    learner keeps the infos (``HerReplayBuffer(copy_info_dict=True)``).

    ### Episode
    ``terminated`` within 0.05 of the goal, or after ``moves`` moves. Info: ``is_success``, ``distance``,
    ``path_length``, ``swamp_area``, ``cost``, ``leg_cost`` (of the last move), ``shortest_path`` (that enters no swamp,
    exact), ``cost_ratio`` (cost / shortest path; a little below 1 is possible, by cutting a shallow rim) and ``spl``.
    The oracle returns -3.3 on average, at a ``cost_ratio`` of 0.99; random moves return -16.8. Use a discount of 0.98.

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
        fewest, most = number_range("swamps", swamps, 1, CAPACITY, whole_number)
        least, largest = number_range("radius", radius, 0.05, LARGEST_RADIUS)
        height = real_number("height", height, 0.0, 1000.0, above=True)
        swamp_weight = real_number("swamp_weight", swamp_weight, 0.0, 1e6)
        actuators = one_of("actuators", actuators, ACTUATORS)
        largest_step = real_number("largest_step", largest_step, 0.0, 2.0, above=True)
        reward = one_of("reward", reward, REWARDS)
        moves = whole_number("moves", moves, 1, LONGEST)
        low, high = np.full(2 + 4 * CAPACITY, -1.0, np.float32), np.ones(2 + 4 * CAPACITY, np.float32)
        low[4::4], low[5::4], high[5::4] = 0.0, 0.0, height
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        super().__init__(gym.spaces.Box(low, high), self.action_space, goal_format)
        self.swamp_weight = swamp_weight
        self.reward_needs_info = ("leg_cost",) if reward == "cost" else ()
        self._reward, self._largest_step = REWARDS.index(reward), 0.0 if actuators == "waypoint" else largest_step
        self._settings = record(
            SETTINGS,
            fewest=fewest,
            most=most,
            smallest=least,
            largest=largest,
            height=height,
            detour=flag("detour", detour),
            reward=self._reward,
            moves=moves,
            weight=swamp_weight,
            largest_step=self._largest_step,
        )
        self._graph = np.zeros(1, GRAPH)
        scene, positive = (-1.0, 1.0), (0.0, NUMBER[1])
        self.limits = {
            "moves": COUNT, "count": (0, CAPACITY),
            "swamps": ((-1.0, -1.0, 0.0, 0.0), (1.0, 1.0, LARGEST_RADIUS, height)),
            **dict.fromkeys(("position", "goal", "trail"), scene),
            **dict.fromkeys(("length", "area", "leg_cost"), positive), "shortest": (0.0, math.inf),
        }  # fmt: skip

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        reset_swamps(worlds, rows, keys, self._settings, self._graph)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        step_swamps(worlds, active, actions, self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        observe_swamps(worlds, rows, *self._spaces.parts(observation))

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

    def pay(self, achieved: np.ndarray, desired: np.ndarray, info: Any, rewards: np.ndarray) -> None:
        costs = np.zeros(len(achieved))
        if self._reward == COST:
            infos = [info] if isinstance(info, Mapping) else list(info)
            if not all("leg_cost" in one for one in infos):
                raise ValueError(
                    "reward='cost' needs 'leg_cost' from the info of every move: make the vector environment with "
                    "info='reward', as make_sb3 does, and keep the infos, as HerReplayBuffer(copy_info_dict=True) does"
                )
            costs[:] = [one["leg_cost"] for one in infos]
        reward_pairs(achieved, desired, costs, self._reward, rewards)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        achieved, desired, shape = self._spaces.pairs(achieved_goal, desired_goal)
        rewards = np.empty(len(achieved))
        reward_pairs(achieved, desired, rewards, SPARSE, rewards)
        ends: np.ndarray = rewards.reshape(shape) == 0.0
        return ends

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Along the shortest path that enters no swamp."""
        targets = np.empty((len(worlds), 2))
        aim(worlds, self._graph, targets)
        step = self._largest_step
        if step == 0.0:
            return targets.astype(np.float32)
        way = (targets - worlds["position"]) / step
        actions: np.ndarray = way / np.maximum(1.0, np.abs(way).max(1, keepdims=True))
        return actions.astype(np.float32)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        for x, y, radius, _ in w["swamps"][: w["count"]]:
            for share in np.linspace(1.0, 0.1, 10):
                canvas.circle(x + 1, y + 1, share * radius, "#5d8a661f")
            canvas.circle(x + 1, y + 1, radius, "#4e7a58", 1.5)
        if self.reveal:
            canvas.line(_way(worlds[row : row + 1], self._graph) + 1, BEST, 3.0)
        draw_flag(canvas, w["goal"][0] + 1, w["goal"][1] + 1)
        draw_walk(canvas, trail_of(w) + 1)
        canvas.status("length", f"{w['length']:.2f}")
        canvas.status("swamp area", f"{w['area']:.3f}")
        canvas.status("cost", f"{w['length'] + self.swamp_weight * w['area']:.2f}")
        canvas.status("shortest dry path", f"{w['shortest']:.2f}")


def _way(world: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """What is left of the shortest path of one world (1,), as (P, 2) points; the world does not move."""
    world, points, target = world.copy(), [world["position"][0].copy()], np.empty((1, 2))
    for _ in range(64):
        aim(world, graph, target)
        world["position"] = target
        points.append(target[0].copy())
        if np.allclose(target[0], world["goal"][0]):
            break
    return np.array(points)
