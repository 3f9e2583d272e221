"""Sizes of V and M and how they learn: as published for Doom and CarRacing, and small, for pictures of few things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Keywords of `ConvVAE`, `ConvVAE.learn`, `MixtureModel` and `MixtureModel.learn`. From 100,000 frames of 32 x 32 x 3
# the small V and the small M learn in about a minute of one CPU core each.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "doom": {
        "vae": {"codes": 64, "size": 64},
        "vae_learning": {"epochs": 10},
        "model": {"core_kwargs": {"size": 512}, "restart_flag": True},
        "model_learning": {"window": 500},
    },
    "car_racing": {
        "vae": {"codes": 32, "size": 64},
        "vae_learning": {"epochs": 10},
        "model": {"core_kwargs": {"size": 256}, "ends": False},
        "model_learning": {"window": 1_000},
    },
    "small": {
        "vae": {"codes": 16, "size": 32, "width": 16, "error_weight": 40.0},
        "vae_learning": {"epochs": 1, "batch_size": 32, "learning_rate": 2e-3},
        "model": {"core_kwargs": {"size": 64}, "hidden": 256},
        "model_learning": {"batch_size": 16, "window": 16, "learning_rate": 4e-3},
    },
}
