"""Shared by all tests: one thread, the registered ids and a small variety of configurations of each."""

from __future__ import annotations

import os
from typing import Any

import foveal_envs

# Before PyTorch is imported, and for the processes that tests start. With small nets, two threads mostly wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

IDS = sorted(foveal_envs.IDS)

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "Foveal/TargetDetection-v0": [
        {},
        {"rotate": True, "reward": "sparse", "actuators": "muscles", "shape": ["L", "concave"]},
        {"goal": "pose", "rotate": True, "actuators": "directions", "proprioception": True},
        {"goal_format": "concat", "reward": "terminal", "noise": 0.5, "start": "anywhere", "shape": "ring"},
        {"goal": None, "channels": 3, "randomise": {"size": [0.6, 1.0], "contrast": [0.3, 1.0]}, "retina": "logpolar"},
    ],
    "Foveal/GoalDetection-v0": [{}, {"arrangement": "shuffled", "start": "other", "rotate": True, "moves": 9}],
    "Foveal/TargetTracking-v0": [
        {"motion": "line", "speed": [2.0, 20.0]},
        {"motion": "bounce", "speed": 15, "proprioception": True},
        {"motion": "circle", "goal": "pose"},
        {"motion": "random_walk", "noise": 0.1},
    ],
    "Foveal/ImageSearch-v0": [
        {},
        {"target": "glimpse", "rotate": True, "channels": 3, "noise": 0.2, "start": "anywhere"},
    ],
    "Foveal/GlimpseClassification-v0": [
        {},
        {"reward": "final", "size": 100, "clutter": 0, "moves": 3, "proprioception": False},
    ],
    "Foveal/SameDifferent-v0": [{}, {"reward": "final", "rotate": True, "moves": 4, "noise": 0.3}],
    "Foveal/VisualSearch-v0": [
        {},
        {"items": 4, "dwell": 1, "moves": 6, "reward": "dense", "goal_format": "concat", "proprioception": True},
        {"actuators": "fields", "proprioception": "saccade"},
    ],
    "Foveal/GridSearch-v0": [
        {},
        {"n": 4, "stop": "answer", "view": "posterior", "falloff": "hyperbolic", "moves": 5},
    ],
    "Foveal/FlipFlop-v0": [{}, {"moves": 4, "probabilities": [0.5, 0.3, 0.2], "answers": "real"}],
    "Foveal/Parking-v0": [{}, {"moves": 5, "stop": 0.9, "query": 1.0}],
    "Foveal/AssociativeRecall-v0": [{}, {"pairs": 3, "keys": 4, "values": 2, "queries": 2, "reused": True}],
    "Foveal/Pole-v0": [{}, {"actuators": "bang-bang", "velocities": True, "pain": True}, {"start": 0.2, "pain": True}],
    "Foveal/DoublePole-v0": [
        {},
        {"poles": "jointed", "actuators": "bang-bang", "velocities": True, "pain": True, "start": "uniform"},
        {"poles": "mixed", "start": "grid", "pain": True, "largest_force": 5},
    ],
    "Foveal/TakeCover-v0": [
        {},
        {"size": 37, "frame_skip": 4, "tics": 22, "actuators": "directions", "perturbation": "colour"},
        {"size": 96, "frame_skip": 60, "perturbation": "bars"},
        {"size": 40, "frame_skip": 7, "perturbation": "blob"},
    ],
    "Foveal/Catch-v0": [
        {},
        {"size": 5, "visible": 3, "view": "pixels", "drift": True},
        {"size": 6, "visible": 2, "paddle": 2, "view": "foveal"},
    ],
    "Foveal/FormalLanguage-v0": [
        {},
        {"language": "dyck", "length": 12, "depth": 4, "brackets": 3},
        {"language": "anbn", "length": 5, "depth": 3},
        {"language": "permutations", "length": 4, "elements": 4, "symbols": "generators"},
    ],
    "Foveal/FourRooms-v0": [
        {},
        {"form": "one_hot", "goals": "held_out", "reward": "reached", "moves": 6},
        {"goals": "train", "held_out": "room", "goal_format": "concat", "reward": "terminal", "moves": 5},
    ],
    "Foveal/CuriosityGrid-v0": [
        {"moves": 60},
        {"layout": "open", "moves": 40, "one_hot": True},
        {"layout": ["S.~", "#.~"], "moves": 30},
    ],
    "Foveal/HQMaze-v0": [{}, {"layout": ["S.", ".G"], "moves": 5, "one_hot": True}],
    "Foveal/KeyDoorMaze-v0": [{}, {"layout": ["KSDG"], "moves": 5, "one_hot": True}],
    "Foveal/SwampNavigation-v0": [
        {},
        {"swamps": 5, "actuators": "waypoint", "reward": "sparse", "moves": 4},
        {"swamps": [1, 2], "detour": False, "goal_format": "concat", "reward": "terminal", "moves": 5},
    ],
    "Foveal/MazeNavigation-v0": [
        {"cells": 3, "moves": 12},
        {"cells": 3, "goal": "relative", "rotate": True, "goal_format": "concat", "reward": "terminal", "moves": 5},
        {"cells": 4, "goal": "picture", "rotate": True, "actuators": "directions", "proprioception": False},
        {"layout": ["S.#", ".#G", "..."], "actuators": "muscles", "reward": "dense", "view": 1.5},
    ],
}
CASES = [(id, keywords) for id in IDS for keywords in VARIANTS.get(id, [{}])]


def case_name(value: Any) -> str:
    """Readable names for parametrised cases."""
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items()) or "default"
    return str(value).removeprefix("Foveal/")
