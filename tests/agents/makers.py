"""One small agent of every class, for the tests over `AGENTS`: a new agent adds one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import foveal_envs  # noqa: F401
from agents import (
    Agent,
    AttentionAgent,
    CuriousExplorer,
    Evolution,
    HierarchicalController,
    HQLearning,
    MapNavigator,
    OneBigNet,
    Recogniser,
    RecurrentPPO,
    ThinkingController,
    VisionMemoryController,
    WorldModelController,
    make_sb3,
)

FIELDS = np.array([(u, v, 1.0) for u in range(-3, 4) for v in range(-3, 4)])[:40]  # the default retina has 40 fields
HIERARCHY = {"context": (2, 22), "items": 5, "subgoals": 2, "hidden": (16,), "refinement": 2, "candidates": 2}
SMALL_WORLD = {"batch_size": 16, "updates": 3, "n_steps": 4, "buffer_size": 400, "evaluator_kwargs": {"hidden": (8,)}}
SMALL_THOUGHTS = {
    "policy_kwargs": {"hidden": (8,)},
    "model_steps": 40,
    "n_steps": 4,
    "batch_size": 8,
    "buffer_size": 400,
}
SMALL_CORES = {"core_kwargs": {"hidden": (8,)}, "model_core_kwargs": {"hidden": (8,)}}


class Straight:
    """A controller without learning: steps of at most 0.1 along each axis towards the desired goal."""

    STATE = ()

    def predict(
        self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        way = (obs["desired_goal"] - obs["achieved_goal"]) / 0.1
        return (way / np.maximum(1, np.abs(way).max(-1, keepdims=True))).astype(np.float32), state


def env_of(name: str, lanes: int = 4, seed: int = 3) -> Any:
    """The environment that the agent of this name is made in."""
    env_id, keywords = ENVIRONMENTS[name]
    return make_sb3(env_id, lanes, seed=seed, **keywords)


def make(name: str, lanes: int = 4, env: Any = None, **keywords: Any) -> Agent:
    """An untrained agent."""
    return MAKERS[name](env=env_of(name, lanes) if env is None else env, **{"seed": 0, **keywords})


TARGET = ("Foveal/TargetDetection-v0", {"moves": 5})
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "CuriousExplorer": ("Foveal/CuriosityGrid-v0", {"moves": 30}),
    "CuriousExplorer, exploring": ("Foveal/CuriosityGrid-v0", {"moves": 30}),
    "CuriousExplorer, nets": ("Foveal/CuriosityGrid-v0", {"moves": 30}),
    "AttentionAgent": ("Foveal/TakeCover-v0", {"size": 24, "frame_skip": 40}),
    "Evolution": TARGET,
    "HQLearning": ("Foveal/HQMaze-v0", {"moves": 30}),
    "HierarchicalController": ("Foveal/SwampNavigation-v0", {}),
    "MapNavigator": ("Foveal/MazeNavigation-v0", {"cells": 4, "moves": 60}),
    "OneBigNet": ("Foveal/FlipFlop-v0", {"moves": 6}),
    "OneBigNet, goals": TARGET,
    "Recogniser": ("Foveal/GlimpseClassification-v0", {"moves": 3}),
    "RecurrentPPO": ("Foveal/Parking-v0", {}),
    "RecurrentPPO, delta": TARGET,
    "RecurrentPPO, fields": ("Foveal/VisualSearch-v0", {"actuators": "fields", "proprioception": "saccade"}),
    "ThinkingController": ("Foveal/FourRooms-v0", {}),
    "ThinkingController, learned": ("Foveal/FourRooms-v0", {}),
    "VisionMemoryController": ("Foveal/TakeCover-v0", {"size": 24, "frame_skip": 40}),
    "WorldModelController": TARGET,
    "WorldModelController, choices": ("Foveal/Pole-v0", {"actuators": "bang-bang", "pain": True}),
    "WorldModelController, recurrent": TARGET,
}
# Called with the environment and with keywords in place of these.
MAKERS: dict[str, Callable[..., Agent]] = {
    "CuriousExplorer": lambda **more: CuriousExplorer(**{"members": 2, **more}),
    "CuriousExplorer, exploring": lambda **more: CuriousExplorer(**{"members": 2, "explores": True, **more}),
    "CuriousExplorer, nets": lambda **more: CuriousExplorer(**{"members": 2, "net": {"hidden": 4}, **more}),
    "AttentionAgent": lambda **more: AttentionAgent(
        **{
            "population": 4,
            "episodes": 1,
            "test_every": 1000,
            "net_kwargs": {"hidden": 3, "patches": 2, "stride": 6},
            **more,
        }
    ),
    "Evolution": lambda **more: Evolution(**{"net": "recurrent", "population": 6, "test_every": 1000, **more}),
    "HQLearning": lambda **more: HQLearning(**{"trials": 50, "test_every": 10, "agents": 3, **more}),
    "HierarchicalController": lambda **more: HierarchicalController(
        **{
            "controller": Straight(),
            "policy_kwargs": HIERARCHY,
            "updates": 2,
            "leg_steps": 4,
            "rollout_legs": 2,
            "buffer_size": 400,
            **more,
        }
    ),
    "MapNavigator": lambda **more: MapNavigator(
        **{"policy_kwargs": {"fields": FIELDS, "hidden": (8,)}, "n_steps": 20, "updates": 2, "capacity": 300, **more}
    ),
    "OneBigNet": lambda **more: OneBigNet(**{"n_steps": 8, "core_kwargs": {"size": 8}, **more}),
    "OneBigNet, goals": lambda **more: OneBigNet(**{"n_steps": 8, "core": "elman", "core_kwargs": {"size": 6}, **more}),
    "Recogniser": lambda **more: Recogniser(**{"n_steps": 6, "core_kwargs": {"size": 8}, **more}),
    "RecurrentPPO": lambda **more: RecurrentPPO(**{"n_steps": 8, "core_kwargs": {"size": 8}, **more}),
    "RecurrentPPO, delta": lambda **more: RecurrentPPO(**{"n_steps": 8, "core": "delta", **more}),
    "RecurrentPPO, fields": lambda **more: RecurrentPPO(
        **{"policy": "FieldPolicy", "n_steps": 8, "core_kwargs": {"size": 4}, "policy_kwargs": {"tiles": 5}, **more}
    ),
    "ThinkingController": lambda **more: ThinkingController(**{**SMALL_THOUGHTS, **more}),
    "ThinkingController, learned": lambda **more: ThinkingController(
        **{"learned": True, "questions": 2, **SMALL_THOUGHTS, **more}
    ),
    "VisionMemoryController": lambda **more: VisionMemoryController(
        **{"frames": 40, "population": 4, "episodes": 1, "horizon": 3, "test_every": 1000, **more}
    ),
    "WorldModelController": lambda **more: WorldModelController(**{**SMALL_WORLD, **SMALL_CORES, **more}),
    "WorldModelController, choices": lambda **more: WorldModelController(
        **{
            "model_steps": 40,
            "window": 3,
            "burn_in": 2,
            "core": "elman",
            "core_kwargs": {"size": 5},
            "model_core": "lstm",
            "model_core_kwargs": {"size": 6},
            "signals": {"2": 0.0},
            "random_share": 0.2,
            **SMALL_WORLD,
            **more,
        }
    ),
    "WorldModelController, recurrent": lambda **more: WorldModelController(
        **{**SMALL_WORLD, "core": "gru", "model_core": "lstm", "window": 2, **more}
    ),
}
