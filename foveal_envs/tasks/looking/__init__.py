"""Tasks whose gaze looks at a scene, and the parts of which a task of your own is made, in one import."""

from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea, begin_gaze, displacement, move_gaze
from ...fovea.goals import GOAL, Goal, set_goal
from ...fovea.sensing import perceive, see
from .shared import (
    LOOKS,
    GoalLooking,
    Looking,
    Looks,
    looking_limits,
    looking_record,
    place_object,
    set_background,
    start_near,
)

__all__ = [
    "EYE",
    "GOAL",
    "LOOKS",
    "SCENE",
    "Fovea",
    "Goal",
    "GoalLooking",
    "Looking",
    "Looks",
    "begin_gaze",
    "displacement",
    "kernel",
    "looking_limits",
    "looking_record",
    "move_gaze",
    "perceive",
    "place_object",
    "record",
    "see",
    "set_background",
    "set_goal",
    "start_near",
]
