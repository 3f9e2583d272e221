"""Named sets of constructor keywords of `WorldModelController`."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The real trajectory instead of imagination: a few small updates on each short rollout of the current C.
    "real_forward": {
        "gradient": "real",
        "n_steps": 2,
        "updates": 8,
        "learning_rate": 3e-4,
        "noise": 0.3,
    },
    # Schmidhuber & Huber (1990): logistic nets 40-20-4 and 44-40-40, plain gradient descent, M's at rate 0.1, weights
    # uniform in +-0.1, 50,000 random moves for M, then C by the error at the trajectory's end. Use it with one lane
    # and actuators="muscles". Ours: C's rate is a fifth of the 0.1 of 1990, with which two or three seeds in ten move
    # into the white and stay there (docs/papers/att.md).
    "published": {
        "gradient": "real",
        "error": "terminal",
        "match_widths": None,
        "schedule": "model_first",
        "model_steps": 50_000,
        "online": True,
        "n_steps": None,
        "evaluator": False,
        "gamma": 1.0,
        "noise": 0.0,
        "goal_input": False,
        "saturation": 0.0,
        "core_kwargs": {"hidden": (20,), "activation": "logistic"},
        "model_core_kwargs": {"hidden": (40,), "activation": "logistic"},
        "model_output": "logistic",
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "model_learning_rate": 0.1,
        "final_rate": 1.0,
        "weight_range": 0.1,
        "buffer_size": 1_000,
    },
}
