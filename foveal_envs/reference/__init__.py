"""Policies that need no learning: they give the 0 and the 1 of every score."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from .gaze import CentrePolicy, RasterPolicy, ScanPolicy, SeekPolicy
from .planner import PlannerPolicy
from .policies import OraclePolicy, RandomPolicy
from .searchers import Belief, ELMPolicy, IdealPolicy, MAPPolicy

REFERENCES: dict[str, Any] = {
    "random": RandomPolicy,
    "oracle": OraclePolicy,
    "raster": RasterPolicy,
    "centre": CentrePolicy,
    "scan": ScanPolicy,
    "seek": SeekPolicy,
    "map": MAPPolicy,
    "elm": ELMPolicy,
    "ideal": IdealPolicy,
    "planner": PlannerPolicy,
}


def make_reference(name: str, env: gym.vector.VectorEnv[Any, Any, Any], **keywords: Any) -> Any:
    """A reference by name, with its own keywords: an object with the ``predict`` of Stable-Baselines3.

    Raises:
        ValueError: an unknown name, or one that does not suit the task; the message lists the known ones.
    """
    if name not in REFERENCES:
        raise ValueError(f"unknown reference {name!r}; known: {', '.join(map(repr, REFERENCES))}")
    return REFERENCES[name](env, **keywords)


__all__ = [
    "REFERENCES",
    "Belief",
    "CentrePolicy",
    "ELMPolicy",
    "IdealPolicy",
    "MAPPolicy",
    "OraclePolicy",
    "PlannerPolicy",
    "RandomPolicy",
    "RasterPolicy",
    "ScanPolicy",
    "SeekPolicy",
    "make_reference",
]
