"""Memory learned by reinforcement: six cores under recurrent PPO, and other implementations of it beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from ..baselines.loop_ppo import LoopPPO, set_forget_bias
from ..shared.plots import interquartile_mean
from ..shared.rollouts import run_episodes
from .shared.claims import Claim, Row, make_claim, median_of, numbers, select
from .shared.jobs import Job
from .shared.sizes import equal_size
from .shared.solving import Solving

TITLE = "memory learned by reinforcement: six cores in four tasks, and other libraries' recurrent PPO"
EPISODES, CONFIRMED = 128, 1000  # of an evaluation, and of the one that confirms a threshold
HEADS = {"heads": 4, "key_size": 16, "value_size": 16}
FAST = {"size": 64, **HEADS}
SIZES = range(4, 129)
REFERENCE = "gated delta"  # cores without a size get that which makes their policy's number of parameters this one's
CORES: dict[str, tuple[str, dict[str, Any]]] = {
    REFERENCE: ("gated_delta", FAST),
    "gated delta, convolution and clock": ("gated_delta", {**HEADS, "convolution": "depthwise", "clock": 8}),
    "delta": ("delta", FAST),
    "linear attention": ("linear_attention", FAST),
    "LSTM, forget bias 3": ("lstm", {"forget_bias": 3.0}),
    "LSTM, forget bias 0": ("lstm", {"forget_bias": 0.0}),
}
PEERS = ("sb3-contrib", "sb3-contrib, own initialisation", "loop over steps", "loop over steps, own initialisation")
NET = (64,)
PPO = {
    "learning_rate": 3e-3,
    "n_epochs": 4,
    "gamma": 0.0,
    "gae_lambda": 0.0,
}  # an answer changes nothing that comes later
MINIBATCHES, LANES = 8, 128
WORLD_MODEL = "LSTM, forget bias 0, through a world model"
MODELLED: dict[str, Any] = {  # the gradient of 1990, along the real stream: cues come from outside
    "gradient": "real",
    "core": "lstm",
    "core_kwargs": {"size": 32, "forget_bias": 0.0},
    "model_core": "lstm",
    "model_core_kwargs": {"size": 64, "forget_bias": 0.0},
    "evaluator": False,
    "gamma": 0.0,
    "n_steps": 20,
    "window": 16,
    "updates": 16,
    "batch_size": 32,
    "burn_in": 0,
    "end_share": 0.0,
    "noise": 0.2,
    "persistence": 0.0,
    "model_steps": 8000,
    "model_learning_rate": 5e-3,
    "head_weights": {"percept": 0.02, "terminated": 0.02},  # most of it is noise that nobody can predict
    "adam_eps": 1e-5,
    "final_rate": 0.03,
}
STREAMS, MODELLED_STEPS = 16, 50_000  # of the world model; its learning rates fall over so many steps


@dataclass(frozen=True)
class Memory:
    """A task of memory.

    Attributes:
        env_id, env_kwargs: the environment.
        measure: of the info at an episode's end, whose mean is the score.
        threshold: of the score from which the task counts as solved.
        steps: budget, environment steps.
        ppo: keywords that depend on the task.
        every: environment steps between evaluations.
    """

    env_id: str
    measure: str
    threshold: float
    steps: int
    ppo: dict[str, Any]
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    every: int = 32_768


TASKS = {
    "recall": Memory("Foveal/AssociativeRecall-v0", "correct", 0.98, 1_000_000, {"n_steps": 32, "ent_coef": 0.01}),
    "flip_flop": Memory("Foveal/FlipFlop-v0", "correct", 0.99, 1_000_000, {"n_steps": 64, "ent_coef": 0.1}),
    "parking": Memory(
        "Foveal/Parking-v0", "correct", 0.99, 1_000_000, {"n_steps": 64, "ent_coef": 0.0, "vf_coef": 0.1}, every=8_192
    ),
    "catch": Memory(
        "Foveal/Catch-v0",
        "is_success",
        0.95,
        3_000_000,
        {"n_steps": 32, "ent_coef": 0.01, "gamma": 0.99, "gae_lambda": 0.95},
        {"size": 24, "visible": 5},
    ),
}


def solving(task: Memory) -> Solving:
    """Ends the training of a learner when a score, and one that confirms it, reach the threshold."""

    def test(learner: Any, ends: bool) -> tuple[bool, dict[str, float]]:
        score = _score(task, learner, EPISODES)
        if score >= task.threshold or ends:
            score = _score(task, learner, CONFIRMED)
        return score >= task.threshold, {"score": score}

    return Solving(test, task.every, task.steps)


def _score(task: Memory, learner: Any, episodes: int) -> float:
    played = run_episodes(learner, task.env_id, episodes, **task.env_kwargs)
    return float(played.measures[task.measure].mean())


def learn(job: Job) -> list[Row]:
    """Train one learner until it solves its task or its budget is spent; one row."""
    from agents.common.vec_env import make_sb3

    task = TASKS[job.table]
    lanes = STREAMS if job.conditions["learner"] == WORLD_MODEL else LANES
    env = make_sb3(task.env_id, lanes, seed=10_000 * (job.seed + 1), **task.env_kwargs)
    tested = solving(task)
    if job.conditions["learner"] in CORES:
        policy = _recurrent_ppo(task, env, job.conditions["learner"], job.seed)
        count = sum(part.numel() for part in policy.policy.parameters())
        policy.learn(task.steps, callback=tested, log_interval=None)
    elif job.conditions["learner"] == WORLD_MODEL:
        policy = _modelled(env, job.seed)
        count = sum(part.numel() for part in (*policy.policy.parameters(), *policy.world_model.parameters()))
        policy.learn(MODELLED_STEPS, callback=tested, log_interval=None)
    else:
        policy, count = _peer(task, env, job.conditions["learner"], job.seed)
        extra = (
            {"callback": tested} if isinstance(policy, BaseAlgorithm) else {"goes_on": lambda: tested.goes_on(policy)}
        )
        policy.learn(task.steps, **extra)
    env.close()
    return [{"parameters": count, **tested.row}]


def _modelled(env: Any, seed: int) -> Any:
    from agents import WorldModelController

    return WorldModelController("MlpPolicy", env, seed=seed, **MODELLED)


def _recurrent_ppo(task: Memory, env: Any, learner: str, seed: int) -> Any:
    from agents import RecurrentPPO

    core, keywords = CORES[learner]
    if "size" not in keywords:
        keywords = {"size": _size(env, core, keywords), **keywords}
    settings = {**PPO, "n_minibatches": MINIBATCHES, "policy_kwargs": {"net_arch": NET}, **task.ppo}
    return RecurrentPPO("MlpPolicy", env, core=core, core_kwargs=keywords, seed=seed, **settings)


def _size(env: Any, core: str, keywords: dict[str, Any]) -> int:
    """Size of a core whose policy has about as many parameters as that of the reference core."""
    return equal_size(
        env.observation_space,
        env.action_space,
        CORES[REFERENCE],
        lambda size: (core, {**keywords, "size": size}),
        SIZES,
    )


def _peer(task: Memory, env: Any, learner: str, seed: int) -> tuple[Any, int]:
    """Another implementation with an LSTM of as many cells as ours, at the same settings; its parameters' number."""
    size, bias = _size(env, "lstm", {}), None if "own" in learner else 3.0
    settings = {**PPO, **task.ppo}
    torch.manual_seed(seed)
    if learner.startswith("loop"):
        steps, epochs = settings.pop("n_steps"), settings.pop("n_epochs")
        loop = LoopPPO(env, steps, epochs, MINIBATCHES, size, forget_bias=bias, **settings)
        return loop, sum(part.numel() for part in loop.parameters)
    from sb3_contrib import RecurrentPPO as Contrib

    batch = settings["n_steps"] * LANES // MINIBATCHES
    policy = {"lstm_hidden_size": size, "net_arch": list(NET)}
    contrib = Contrib("MlpLstmPolicy", env, batch_size=batch, policy_kwargs=policy, seed=seed, device="cpu", **settings)
    if bias is not None:
        set_forget_bias(contrib.policy.lstm_actor, bias)
        set_forget_bias(contrib.policy.lstm_critic, bias)
    return contrib, sum(part.numel() for part in contrib.policy.parameters())


# ---------------------------------------------------------------------------------------- the parts and what they claim

PARTS = ("recall", "flip_flop", "parking", "catch", "peers", "world-model")
OTHERS = {"peers": PEERS, "world-model": (WORLD_MODEL,)}  # in the table of parking


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts (all if none is given); quick: one seed of one core in one task."""
    if quick:
        return [Job("parking", {"learner": REFERENCE}, 0, learn)] if "parking" in (parts or PARTS) else []
    made = []
    for part in parts or PARTS:
        table, learners = ("parking", OTHERS[part]) if part in OTHERS else (part, tuple(CORES))
        made += [Job(table, {"learner": learner}, seed, learn) for seed in range(seeds) for learner in learners]
    return made


def claims(rows: list[Row]) -> list[Claim]:
    """The project's bars, each measured over the rows at hand."""
    made = []
    for name, task in TASKS.items():
        for learner in CORES:
            own = select(rows, table=name, learner=learner)
            bar = task.threshold if learner == REFERENCE else None
            text = f"{name.replace('_', ' ')}, {learner}: mean share, IQM of seeds"
            made.append(make_claim(text, "share", own, _iqm("score"), bar, quick=name == "parking"))
    own, others = (select(rows, table="parking", learner=name) for name in (WORLD_MODEL, "LSTM, forget bias 0"))
    if own and others:
        text = "parking: steps to the threshold, LSTM of RecurrentPPO / the same through a world model, medians"
        made.append(make_claim(text, "times", own, lambda r: _times("solved_steps", others, r), 1.0))
    ours = select(rows, table="parking", learner="LSTM, forget bias 3")
    for peer, factor in zip(PEERS, (5.0, 5.0, 3.0, 3.0), strict=True) if ours else ():
        theirs = select(rows, table="parking", learner=peer)
        text = f"parking: CPU seconds to the threshold, {peer} / our LSTM, medians"
        made.append(make_claim(text, "times", theirs, lambda r: _times("solved_cpu_seconds", r, ours), factor))
    return made


def _iqm(measure: str) -> Callable[[list[Row]], float]:
    return lambda rows: float(interquartile_mean(numbers(rows, measure)))


def _times(measure: str, over: list[Row], under: list[Row]) -> float:
    median = median_of(measure)
    return median(over) / median(under)
