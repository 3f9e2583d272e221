"""Classic control on a laptop: a controller that learns through its world model, beside PPO, DQN and SAC."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import FlattenObservation, FrameStackObservation, TransformObservation

from ..baselines.rl_zoo import PENDULUM_SAC, TUNED, Normalised, Tuned, make_agent
from ..shared.rollouts import EVALUATION_SEED, run_episodes
from .shared.claims import Claim, Row, make_claim, mean_of, median_of, numbers, select
from .shared.jobs import Job, jobs_of_parts
from .shared.solving import Solving

TITLE = "classic control: environment steps and CPU seconds to the threshold, beside PPO, DQN and SAC"
OURS = "world model"
BLIND, STACKED = "foveal_classic/BlindPendulum-v1", "foveal_classic/StackedPendulum-v1"
THRESHOLDS = {
    "Pendulum-v1": -200.0,
    "CartPole-v1": 475.0,
    "Acrobot-v1": -100.0,
    "MountainCarContinuous-v0": 90.0,
    BLIND: -200.0,
}
OWN: dict[str, dict[str, Any]] = {BLIND: {"core": "gru", "model_core": "gru"}}  # all other keywords are the defaults
STEPS = 10_000  # of ours
FRAMES = 3  # that stand in for the velocity where SAC has no memory
PEERS = {(algorithm, env_id): (env_id, tuned) for (algorithm, env_id), tuned in TUNED.items()}
PEERS["SAC", BLIND] = STACKED, PENDULUM_SAC
EPISODES, CONFIRMED = 20, 100  # of a test, and of the one that confirms it
STOPPED, HORIZON, CANDIDATES = (700, 1500), 10, 16  # environment steps; steps and actions of a look ahead
EVERY, SHARE = 250, 200  # environment steps between tests; a learner's own steps / SHARE, where that is more


def blind(frames: int = 1, **keywords: Any) -> gym.Env[Any, Any]:
    """Pendulum that shows the angle's cosine and sine, not how fast it turns.

    Args:
        frames: the last observations that are seen together.
        **keywords: of Pendulum-v1.
    """
    space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    env: gym.Env[Any, Any] = TransformObservation(gym.make("Pendulum-v1", **keywords), lambda obs: obs[:2], space)
    return env if frames == 1 else FlattenObservation(FrameStackObservation(env, frames))


for _id, _frames in ((BLIND, 1), (STACKED, FRAMES)):
    gym.register(_id, blind, max_episode_steps=200, kwargs={"frames": _frames})


def learn(job: Job) -> list[Row]:
    """Train one learner until its task is solved, and a second look confirms it, or its steps are spent."""
    task, learner = job.conditions["task"], job.conditions["learner"]
    env_id, tuned = PEERS.get((learner, task), (task, Tuned(STEPS, {})))

    def mean(agent: Any, episodes: int) -> float:
        policy = agent if learner == OURS else Normalised(agent)
        return float(
            run_episodes(policy, env_id, episodes, EVALUATION_SEED + 1000 * agent.num_timesteps).returns.mean()
        )

    def test(agent: Any, ends: bool) -> tuple[bool, dict[str, float]]:
        score = mean(agent, EPISODES)
        if score >= THRESHOLDS[task]:
            score = mean(agent, CONFIRMED)
        return score >= THRESHOLDS[task], {"return": score}

    if learner == OURS:
        from agents import WorldModelController, make_sb3

        env = make_sb3(env_id, 1, seed=10_000 * (job.seed + 1))
        agent: Any = WorldModelController("MlpPolicy", env, seed=job.seed, **OWN.get(task, {}))
    else:
        agent = make_agent(learner, env_id, job.seed, tuned)
    budget = min(tuned.steps, job.arguments["steps"])
    tested = Solving(test, max(EVERY, tuned.steps // SHARE), budget)
    agent.learn(tuned.steps, callback=tested, log_interval=None)
    agent.env.close()
    return [tested.row]


def plan(job: Job) -> list[Row]:
    """Stop a controller early; its returns as it is, and with a look ahead in its world model."""
    from agents import WorldModelController, make_sb3

    task = job.conditions["task"]
    env = make_sb3(task, 1, seed=10_000 * (job.seed + 1))
    agent = WorldModelController("MlpPolicy", env, seed=job.seed).learn(int(job.conditions["steps"]), log_interval=None)
    env.close()
    own, planned = (
        float(run_episodes(actor, task, EPISODES, EVALUATION_SEED).returns.mean())
        for actor in (agent, agent.planner(horizon=HORIZON, candidates=CANDIDATES))
    )
    return [{"return": own, "planned_return": planned, "environment_steps": agent.num_timesteps}]


def planning(seeds: int, quick: bool) -> list[Job]:
    """A pendulum and a cart-pole, before they are solved and when most seeds have solved them."""
    names = [] if quick else ("Pendulum-v1", "CartPole-v1")
    return [
        Job("planning", {"task": task, "steps": str(steps)}, seed, plan)
        for task in names
        for steps in STOPPED
        for seed in range(seeds)
    ]


def part(task: str, seeds: int, quick: bool) -> list[Job]:
    """All learners in one task."""
    learners = [OURS, *(name for name, where in PEERS if where == task)]
    steps = 750 if quick else 1_000_000
    return [
        Job("classic_control", {"task": task, "learner": learner}, seed, learn, {"steps": steps})
        for learner in (learners[:1] if quick else learners)
        for seed in range(seeds)
    ]


NAMES = ("pendulum", "cartpole", "acrobot", "mountain-car", "blind-pendulum")
PARTS: dict[str, Any] = {name: partial(part, task) for name, task in zip(NAMES, THRESHOLDS, strict=True)}
PARTS["planning"] = planning
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Steps and CPU seconds to the threshold, medians, and how many times fewer than the best of the others."""
    made = []
    for task, threshold in THRESHOLDS.items():
        mine = select(rows, table="classic_control", task=task, learner=OURS)
        name = task.removeprefix("foveal_classic/")
        if task == "Pendulum-v1":
            text = f"{name}, {OURS}: share of seeds at {threshold:g} within 2,500 steps"
            made.append(make_claim(text, "of seeds", mine, lambda r: float((numbers(r, "solved_steps") <= 2500).mean()),
                                   1.0))  # fmt: skip
        others = {}
        for learner in (OURS, *(name for name, where in PEERS if where == task)):
            own = select(rows, table="classic_control", task=task, learner=learner)
            if learner != OURS and own:
                others[learner] = median_of("solved_steps")(own)
            for measure, unit, bar in (("solved_steps", "steps", None), ("solved_cpu_seconds", "CPU seconds", 60.0)):
                bar = bar if learner == OURS else None
                text = f"{name}, {learner}: {unit} to {threshold:g}, median"
                made.append(make_claim(text, unit, own, median_of(measure), at_most=bar))
        if others and mine:
            best = min(others, key=others.__getitem__)
            text = f"{name}: steps of {best}, the best of the others, / ours"
            made.append(make_claim(text, "times", mine, partial(_times, others[best]), 2.0))
    for task in ("Pendulum-v1", "CartPole-v1"):
        for steps in map(str, STOPPED):
            own = select(rows, table="planning", task=task, steps=steps)
            for measure, text in (("return", "alone"), ("planned_return", "looking ahead")):
                made.append(make_claim(f"{task} after {steps} steps, C {text}: mean return", "return", own,
                                       mean_of(measure)))  # fmt: skip
    return made


def _times(best: float, rows: list[Row]) -> float:
    return best / median_of("solved_steps")(rows)
