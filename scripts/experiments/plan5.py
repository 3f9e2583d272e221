"""PLAN5: one big net learns three tasks of memory in turn, and trains on its own traces so as not to forget them."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector.utils import batch_space

import foveal_envs  # noqa: F401
from agents import GymnasiumVecEnv, OneBigNet

from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "PLAN5: one big net, three tasks in turn, and its own traces"
SYMBOLS = 3  # the most that a task shows
# id, keywords, and the best share of right answers without memory: the 0 of the scores
TASKS: dict[str, tuple[str, dict[str, Any], float]] = {
    "parity": ("Foveal/FormalLanguage-v0", {"language": "parity", "length": 12}, 0.5),
    "flip-flop": ("Foveal/FlipFlop-v0", {"moves": 12, "probabilities": (0.4, 0.4, 0.2)}, 0.5),
    "anbn": ("Foveal/FormalLanguage-v0", {"language": "anbn", "length": 12, "depth": 3}, 0.6),
}
ORDERS = ("parity, flip-flop, anbn", "flip-flop, anbn, parity", "anbn, parity, flip-flop")
LANES, TESTS = 64, 256  # environments; test episodes
ROUND = 4 * 64 * 24  # steps between two tests
STEPS = 25 * ROUND  # of a task, at most
SOLVED = 0.95
UPDATES = 600  # of a consolidation
TEST_SEED = 10**6
SETTINGS: dict[str, Any] = {"core": "lstm", "core_kwargs": {"size": 32}, "n_steps": 24, "gamma": 0.0, "gae_lambda": 0.0,
                            "ent_coef": 0.1}  # fmt: skip


class Numbered(gym.vector.VectorObservationWrapper):
    """Observations of any of the tasks: its symbol as one of three, then its own number as one of three.

    Args:
        env: of `TASKS`.
        number: of the task; it stays the same in all steps, as a goal does.
    """

    def __init__(self, env: Any, number: int) -> None:
        super().__init__(env)
        self.number = number
        self.single_observation_space = gym.spaces.Box(0.0, 1.0, (SYMBOLS + len(TASKS),), np.float32)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def observations(self, observations: np.ndarray) -> np.ndarray:
        """(N, 3 + 3) of (N, 2 or 3)."""
        shown = np.zeros((len(observations), SYMBOLS + len(TASKS)), np.float32)
        shown[:, : observations.shape[1]] = observations
        shown[:, SYMBOLS + self.number] = 1.0
        return shown


def make(name: str, lanes: int, seed: int) -> GymnasiumVecEnv:
    """A task of `TASKS`."""
    env_id, keywords, _ = TASKS[name]
    env = gym.make_vec(env_id, lanes, vectorization_mode="vector_entry_point", autoreset_mode="disabled", **keywords)
    made = GymnasiumVecEnv(Numbered(env, list(TASKS).index(name)))
    made.seed(seed)
    return made


def score(agent: OneBigNet, name: str, episodes: int = TESTS) -> float:
    """The share of right answers, scaled: 0 is the best without memory, 1 all right. Actions are the most likely."""
    env, start = make(name, episodes, TEST_SEED), np.ones(episodes, bool)
    obs, state, ended = env.reset(), None, np.zeros(episodes, bool)
    correct = np.zeros(episodes)
    while not ended.all():
        actions, state = agent.predict(obs, state, start, deterministic=True)
        obs, _, start, infos = env.step(actions)
        for lane in np.flatnonzero(start & ~ended):
            correct[lane] = infos[lane]["correct"]
        ended |= start
    least = TASKS[name][2]
    return float((correct.mean() - least) / (1 - least))


def prediction_error(agent: OneBigNet, name: str, episodes: int = TESTS) -> float:
    """The mean of 1/2 |prediction - (next observation, reward)|^2 over episodes of random actions."""
    env, policy = make(name, episodes, TEST_SEED + 1), agent.policy
    draw = np.random.default_rng(0)
    obs, rows, ended = env.reset(), [], False
    while not ended:  # all episodes of a task are equally long
        actions = draw.integers(0, 2, episodes)
        after, rewards, ends, infos = env.step(actions)
        ended = bool(ends.all())
        last = np.stack([info["terminal_observation"] for info in infos]) if ended else after
        truth = np.concatenate((last, rewards[:, None]), 1)
        rows.append((torch.from_numpy(obs), policy.actions.from_env(actions), torch.from_numpy(truth)))
        obs = after
    x, action, truth = map(torch.stack, zip(*rows, strict=True))
    starts = torch.zeros(x.shape[:2], dtype=torch.bool)
    starts[0] = True
    with torch.no_grad():
        _, _, said = policy.unroll(x, action, policy.core.initial_state(episodes), starts)
    return float(0.5 * (said - truth).square().sum(-1).mean())


def study(agent: OneBigNet, name: str, steps: int) -> tuple[float, float]:
    """Learns a task until two tests in a row say that it is solved: the steps to the first of them, and the score."""
    before, solved, reached = agent.num_timesteps, 0, np.inf
    while solved < 2 and agent.num_timesteps - before < steps:
        agent.learn(ROUND, reset_num_timesteps=False, log_interval=None)
        own = score(agent, name)
        solved = solved + 1 if own >= SOLVED else 0
        reached = float(agent.num_timesteps - before) if solved == 1 else reached if solved else np.inf
    return reached, own


def learn_in_turn(job: Job) -> list[Row]:
    """Three tasks, one after the other, with or without consolidation after each; a row a task."""
    names, given = job.conditions["order"].split(", "), job.arguments
    agent = OneBigNet(env=make(names[0], LANES, job.seed), seed=job.seed, **SETTINGS)
    begin = agent.begin_task if job.conditions["agent"] == "consolidated" else agent.set_env
    rows: list[Row] = []
    for place, name in enumerate(names, 1):
        if place > 1:
            begin(make(name, LANES, job.seed))
        steps, learned = study(agent, name, given["steps"])
        rows.append({"task": name, "place": str(place), "steps": steps, "learned": learned,
                     "error_learned": prediction_error(agent, name)})  # fmt: skip
        if job.conditions["agent"] == "consolidated":
            agent.consolidate(given["updates"])
    for row in rows:
        row["after"] = score(agent, row["task"])
        row["error_after"] = prediction_error(agent, row["task"])
        row["parameters"] = parameters(agent)
        row["environment_steps"] = agent.num_timesteps
    return rows


def learn_alone(job: Job) -> list[Row]:
    """One task by a net of its own."""
    name = job.conditions["task"]
    settings = SETTINGS if job.conditions["net"] == "as large" else of_size(third())
    agent = OneBigNet(env=make(name, LANES, job.seed), seed=job.seed, **settings)
    steps, learned = study(agent, name, job.arguments["steps"])
    return [{"steps": steps, "learned": learned, "parameters": parameters(agent),
             "environment_steps": agent.num_timesteps}]  # fmt: skip


def of_size(size: int) -> dict[str, Any]:
    """Settings of a net with that many units in its core, and in each output's hidden layer."""
    return {**SETTINGS, "core_kwargs": {"size": size}, "policy_kwargs": {"hidden": size}}


@cache
def third() -> int:
    """The size of a net with a third of the parameters."""
    env = make("parity", 1, 0)
    whole = parameters(OneBigNet(env=env, **SETTINGS))
    return min(range(4, 32), key=lambda size: abs(3 * parameters(OneBigNet(env=env, **of_size(size))) - whole))


def parameters(agent: OneBigNet) -> int:
    """Numbers that the net has learned."""
    return sum(part.numel() for part in agent.policy.parameters())


def in_turn(table: str, orders: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the tasks in turn."""
    arguments = {"steps": ROUND if quick else STEPS, "updates": 3 if quick else UPDATES}
    return [
        Job(table, {"order": order, "agent": agent}, seed, learn_in_turn, arguments)
        for order in orders
        for agent in ("consolidated", "fine-tuned")
        for seed in range(1 if quick else seeds)
    ]


def alone(seeds: int, quick: bool) -> list[Job]:
    """Jobs of every task by itself."""
    return [
        Job("alone", {"task": task, "net": net}, seed, learn_alone, {"steps": ROUND if quick else STEPS})
        for net in ("as large", "a third")
        for task in TASKS
        for seed in range(1 if quick else seeds)
    ]


PARTS = {
    "sequence": partial(in_turn, "sequence", ORDERS[:1]),
    "alone": alone,
    "orders": partial(in_turn, "orders", ORDERS[1:]),
}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts, all if none is given."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def kept(rows: list[Row]) -> float:
    """The score after the third task over that when just learned, both as means over seeds."""
    return float(numbers(rows, "after").mean() / numbers(rows, "learned").mean())


def claims(rows: list[Row]) -> list[Claim]:
    """What is kept of each task after the third, and what the third costs with and without the earlier two."""
    made = []
    for table, orders in (("sequence", ORDERS[:1]), ("orders", ORDERS[1:])):
        for order in orders:
            for agent, bar in (("consolidated", 0.95), ("fine-tuned", None)):
                own = select(rows, table=table, order=order, agent=agent)
                for place, task in enumerate(order.split(", "), 1):
                    here = select(own, task=task)
                    words = f"{order}; {agent}: {task}"
                    made.append(make_claim(f"{words}, after the third / just learned", "score", here, kept, bar))
                    if place == 3:
                        made.append(make_claim(f"{words}, steps as the third", "steps", here, median_steps))
    for task in TASKS:
        for net in ("as large", "a third"):
            own = select(rows, table="alone", task=task, net=net)
            made.append(make_claim(f"alone, {net}: {task}, steps", "steps", own, median_steps))
            made.append(make_claim(f"alone, {net}: parameters", "numbers", own, mean_of("parameters")))
    return made


def median_steps(rows: list[Row]) -> float:
    """The median of the steps, which are endless where a task was not solved."""
    return float(np.median(numbers(rows, "steps")))
