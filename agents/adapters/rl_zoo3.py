"""RL Zoo: our agents among its algorithms, with samplers of their settings for its Optuna."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..common.agent import Agent
from ..ppo.recurrent_ppo import RecurrentPPO
from ..world_model.controller import WorldModelController

try:
    from rl_zoo3 import ALGOS
    from rl_zoo3 import hyperparams_opt as zoo
except ImportError as error:
    raise ImportError("agents.adapters.rl_zoo3 needs RL Zoo: pip install rl-zoo3") from error

Settings = dict[str, Any]


def register() -> None:
    """Enters `RecurrentPPO` as "foveal_ppo" and `WorldModelController` as "world_model", for --algo and --optimize."""
    for name, (agent, sample) in ENTRIES.items():
        ALGOS[name] = agent
        zoo.HYPERPARAMS_SAMPLER[name] = sample
        zoo.HYPERPARAMS_CONVERTER[name] = convert


def sample_recurrent_ppo(trial: Any, n_actions: int, n_envs: int, additional_args: Settings) -> Settings:
    """Settings of `RecurrentPPO` for a trial of Optuna; the arguments are those of RL Zoo's samplers."""
    return {
        "gamma": 1 - trial.suggest_float("one_minus_gamma", 1e-4, 0.1, log=True),
        "gae_lambda": 1 - trial.suggest_float("one_minus_gae_lambda", 1e-3, 0.2, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "ent_coef": trial.suggest_float("ent_coef", 1e-8, 0.1, log=True),
        "n_steps": trial.suggest_categorical("n_steps", (16, 32, 64, 128)),
        "n_epochs": trial.suggest_categorical("n_epochs", (1, 4, 8)),
        "core": trial.suggest_categorical("core", ("feedforward", "lstm", "gru", "gated_delta")),
    }


def sample_world_model(trial: Any, n_actions: int, n_envs: int, additional_args: Settings) -> Settings:
    """Settings of `WorldModelController`, likewise."""
    return {
        "gamma": 1 - trial.suggest_float("one_minus_gamma", 1e-3, 0.1, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "model_learning_rate": trial.suggest_float("model_learning_rate", 3e-4, 1e-2, log=True),
        "updates": trial.suggest_categorical("updates", (5, 10, 20, 40)),
        "noise": trial.suggest_float("noise", 0.2, 1.0),
    }


def convert(drawn: Settings) -> Settings:
    """The settings that a trial's parameters stand for."""
    inverse = {f"one_minus_{name}": name for name in ("gamma", "gae_lambda")}
    return {inverse.get(name, name): 1 - value if name in inverse else value for name, value in drawn.items()}


ENTRIES: dict[str, tuple[type[Agent], Callable[[Any, int, int, Settings], Settings]]] = {
    "foveal_ppo": (RecurrentPPO, sample_recurrent_ppo),
    "world_model": (WorldModelController, sample_world_model),
}
