"""PLAN4: a controller that learns to ask its world model, in a world of 64 contexts that then changes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from agents import GymnasiumVecEnv, ThinkingController

from .shared.claims import Claim, Row, make_claim, mean_of, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "PLAN4: a controller that learns to ask its world model"
BITS, ACTIONS, OUTCOMES = 6, 6, 8
CONTEXTS = 2**BITS
MODEL_STEPS, LANES = 12_800, 16
EPISODES = 20_000  # of C
MEMORY = 50_000  # episodes that M remembers: all, so that it does not forget the contexts that C no longer meets
TESTS = 2_000
AGENTS: dict[str, dict[str, Any]] = {
    "fixed questions": {},
    "learned questions": {"learned": True},
    "no questions": {"asks": False},
}


class Table(gym.vector.VectorEnv[Any, Any, np.ndarray]):
    """One step: what action brings about the wanted outcome in this context? A random table says.

    Observation: Dict of ``observation`` (6,) bits of the context, ``achieved_goal`` (8,), zeros before the action, then
    the outcome as one of 8, and ``desired_goal`` (8,), an outcome that some action brings about there.

    Args:
        num_envs: N.
        world: seeds the table; another world, another table.
        contexts: those that occur.
    """

    def __init__(self, num_envs: int, world: int, contexts: np.ndarray) -> None:
        self.num_envs, self.contexts = num_envs, contexts
        self.table = np.random.default_rng((7, world)).integers(0, OUTCOMES, (CONTEXTS, ACTIONS))
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        sizes = {"observation": BITS, "achieved_goal": OUTCOMES, "desired_goal": OUTCOMES}
        self.single_observation_space = gym.spaces.Dict(
            {name: gym.spaces.Box(0.0, 1.0, (size,), np.float32) for name, size in sizes.items()}
        )
        self.single_action_space = gym.spaces.Discrete(ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._begin(), {}

    def _begin(self) -> dict[str, np.ndarray]:
        self._context = self.np_random.choice(self.contexts, self.num_envs)
        self._wanted = self.table[self._context, self.np_random.integers(0, ACTIONS, self.num_envs)]
        return self._seen(np.zeros((self.num_envs, OUTCOMES), np.float32))

    def _seen(self, achieved: np.ndarray) -> dict[str, np.ndarray]:
        bits = (self._context[:, None] >> np.arange(BITS) & 1).astype(np.float32)
        wanted = np.eye(OUTCOMES, dtype=np.float32)[self._wanted]
        return {"observation": bits, "achieved_goal": achieved, "desired_goal": wanted}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        outcome = self.table[self._context, np.asarray(actions)]
        rewards = (outcome == self._wanted).astype(np.float64)
        last = self._seen(np.eye(OUTCOMES, dtype=np.float32)[outcome])
        final = np.empty(self.num_envs, object)
        for lane in range(self.num_envs):
            final[lane] = {name: part[lane] for name, part in last.items()}
        ended = np.ones(self.num_envs, bool)
        infos = {"final_obs": final, "_final_obs": ended, "final_info": {}, "_final_info": ended}
        return self._begin(), rewards, ended, np.zeros(self.num_envs, bool), infos


def share(agent: ThinkingController, world: int, contexts: np.ndarray, seed: int) -> float:
    """Share of episodes in which the wanted outcome came about."""
    env, total = Table(LANES, world, contexts), 0.0
    obs, _ = env.reset(seed=seed)
    for _ in range(TESTS // LANES):
        actions, _ = agent.predict(obs, deterministic=True)
        obs, rewards, *_ = env.step(actions)
        total += float(rewards.mean())
    return total / (TESTS // LANES)


def halves(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The contexts in which C learns, and the others."""
    mixed = np.random.default_rng(seed).permutation(CONTEXTS)
    return mixed[: CONTEXTS // 2], mixed[CONTEXTS // 2 :]


def make_env(world: int, contexts: np.ndarray, seed: int) -> GymnasiumVecEnv:
    """A world for an agent."""
    made = GymnasiumVecEnv(Table(LANES, world, contexts))
    made.seed(seed)
    return made


def taught(name: str, seed: int, model_steps: int) -> ThinkingController:
    """An agent whose M knows all contexts of its world, and whose C knows nothing."""
    env = make_env(2 * seed, np.arange(CONTEXTS), seed)
    agent = ThinkingController(env=env, seed=seed, learns="model", buffer_size=MEMORY, updates=4, **AGENTS[name])
    agent.learn(model_steps, log_interval=None)
    agent.learns = "both"
    return agent


def trained(name: str, seed: int) -> tuple[ThinkingController, Table]:
    """An agent whose C has learned, too, and contexts that it has never met, for a look at what it does there."""
    seen, unseen = halves(seed)
    agent = taught(name, seed, MODEL_STEPS)
    agent.set_env(make_env(2 * seed, seen, seed))
    agent.learn(EPISODES, reset_num_timesteps=False, log_interval=None)
    return agent, Table(TESTS, 2 * seed, unseen)


def learn(job: Job) -> list[Row]:
    """M learns by itself, then C with it; then the world changes, and M alone learns again."""
    seed, given = job.seed, job.arguments
    seen, unseen = halves(seed)
    world, changed = 2 * seed, 2 * seed + 1
    agent = taught(job.conditions["agent"], seed, given["model_steps"])
    agent.set_env(make_env(world, seen, seed))
    rows: Row = {}
    solved = np.inf
    for part in range(1, given["parts"] + 1):
        agent.learn(given["episodes"] // given["parts"], reset_num_timesteps=False, log_interval=None)
        score = share(agent, world, seen, 10**6 + seed)
        if score >= 0.95 and np.isinf(solved):
            solved = part * given["episodes"] // given["parts"]
    rows |= {"trained": score, "solved_episodes": solved, "unseen": share(agent, world, unseen, 10**6 + seed)}
    everywhere = np.arange(CONTEXTS)
    rows["changed"] = share(agent, changed, everywhere, 10**6 + seed)
    agent.learns = "model"
    agent.set_env(make_env(changed, everywhere, seed))
    agent.replay.count = 0  # what was true of the old world
    agent.learn(given["model_steps"], reset_num_timesteps=False, log_interval=None)
    rows["relearned"] = share(agent, changed, everywhere, 10**6 + seed)
    return [{**rows, "environment_steps": agent.num_timesteps}]


def part(seeds: int, quick: bool) -> list[Job]:
    """All agents."""
    arguments = {"model_steps": 640 if quick else MODEL_STEPS, "episodes": 640 if quick else EPISODES,
                 "parts": 2 if quick else 25}  # fmt: skip
    return [
        Job("table", {"agent": agent}, seed, learn, arguments)
        for agent in AGENTS
        for seed in range(1 if quick else seeds)
    ]


PARTS = {"table": part}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts, all if none is given."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Shares of episodes that end as wanted, means over seeds."""
    made = []
    bars = {"fixed questions": 0.95, "learned questions": 0.8, "no questions": None}
    for agent, bar in bars.items():
        own = select(rows, table="table", agent=agent)
        for column, text in (("trained", "contexts of training"), ("unseen", "other contexts"),
                             ("relearned", "a changed world, after M alone relearned")):  # fmt: skip
            made.append(make_claim(f"{agent}: {text}", "share", own, mean_of(column), bar))
    return made
