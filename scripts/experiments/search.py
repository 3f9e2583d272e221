"""Najemnik & Geisler (2005, 2009): searchers that know the visibility map, others that learn; what memory is worth."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from foveal_envs.reference import ELMPolicy, ScanPolicy, SeekPolicy, make_reference

from ..shared.environments import make_lanes
from ..shared.rollouts import EVALUATION_SEED, rollout
from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "fixations of raster, random, MAP and ELM searchers to a posterior of 0.95; visual search without memory"
GRID, SEARCH = "Foveal/GridSearch-v0", "Foveal/VisualSearch-v0"
FIGURES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {  # keywords, mean fixations of each searcher
    "9 x 9, e2 1.5": ({}, {"raster": 35.8, "random": 23.0, "map": 9.94, "elm": 8.99}),
    "9 x 9, e2 3": ({"e2": 3.0}, {"raster": 17.2, "random": 7.2, "map": 4.5, "elm": 4.4}),
    "16 x 16, e2 2": ({"n": 16, "e2": 2.0}, {"raster": 109.0, "random": 47.0, "map": 18.9, "elm": 16.5}),
}
TOLERANCE = 0.05  # of a figure
LEARNED = "9 x 9, e2 1.5"  # the grid that is learned
FAST = {"size": 8, "heads": 2, "key_size": 4, "value_size": 8, "learn_initial_state": True}
LEARNERS: dict[str, tuple[str, str, dict[str, Any]]] = {  # policy, core and its keywords
    "LSTM": ("GridPolicy", "lstm", {"size": 8}),
    "gated delta": ("GridPolicy", "gated_delta", FAST),
    "no memory": ("GridPolicy", "feedforward", {"hidden": (8,)}),
    "LSTM of 128 cells, not tiled": ("RecurrentPolicy", "lstm", {"size": 128}),
}
TOLD = ", told"  # by ELM, before they learn by reward
LEARNERS |= {f"{name}{TOLD}": LEARNERS[name] for name in ("LSTM", "gated delta")}
RATES = {"GridPolicy": 1e-2, "RecurrentPolicy": 3e-3}  # of learning, at the start
TOLD_RATES = 3e-3, 3e-4  # of those who are told: in the lessons, and afterwards
GAIN_TEMPERATURE, TOLD_KL = 0.05, 0.02  # of ELM's gain when it tells how good all cells are; bound of a later update
STEPS, TOLD_STEPS, LANES = (0, 400_000), (200_000, 100_000), 128  # of the lessons, and of what follows
PPO = {"n_steps": 16, "n_minibatches": 8, "n_epochs": 6, "gamma": 0.5, "gae_lambda": 0.5}
LOOKERS: dict[str, tuple[str, dict[str, Any]]] = {  # at every place of a FieldPolicy's map: core and its keywords
    "LSTM": ("lstm", {"size": 8}),
    "gated delta": ("gated_delta", {**FAST, "heads": 1}),
    "no memory": ("feedforward", {"hidden": (8,)}),
}
FIELDS = {"actuators": "fields", "proprioception": "saccade"}
TEACHER = "seek by fields"
NEAR = 24.0  # pixels along each axis: a saccade to the field where an object is brings it so near
TEMPERATURE = 64.0  # pixels, of how a teacher tells of objects that are not the nearest
LOOKS = 320_000, 80_000  # steps of the lessons, and of what follows
LOOKER_RATES = 2e-3, 2e-4  # of learning, likewise at the start
LOOKER_BATCHES, LOOKER_EPOCHS = (32, 16), (2, 1)  # minibatches of a pass, and passes, likewise
LOOKER_PPO = {"n_steps": 16, "gamma": 0.97, "gae_lambda": 0.9, "vf_coef": 0.02, "max_grad_norm": 1.0, "target_kl": 0.05}


def measure(job: Job) -> list[Row]:
    """Play one episode in each lane with a reference."""
    keywords, lanes = job.arguments["keywords"], job.arguments["lanes"]
    env = make_lanes(job.arguments["env_id"], keywords, lanes, info="step")
    env.action_space.seed(job.seed)
    policy = job.arguments["policy"]
    if policy == "forgetful scan":
        agent = ScanPolicy(env, memory=False, seed=job.seed)
    else:
        agent = SeekPolicy(env, NEAR) if policy == TEACHER else make_reference(policy, env)
    return [play(env, agent, job.seed)]


def play(env: Any, agent: Any, seed: int, **options: Any) -> Row:
    """One episode in each lane; mean fixations, share found and mean return."""
    lanes = env.num_envs
    fixations, returns, found = np.ones(lanes), np.zeros(lanes), np.zeros(lanes, bool)
    for move in rollout(env, agent, EVALUATION_SEED + lanes * seed, **options):
        if move.number:
            returns += move.held(0.0, move.rewards)
            fixations = move.held(fixations, move.infos.get("fixations", fixations + 1))
            found = move.held(found, move.infos["is_success"])
    spread = float(fixations.std() / np.sqrt(lanes))
    means = {"fixations": float(fixations.mean()), "standard_error": spread, "found": float(found.mean())}
    return {**means, "return": float(returns.mean()), "environment_steps": int(fixations.sum() - lanes)}


def learn(job: Job) -> list[Row]:
    """Train one searcher, then let it search. Without memory it plays at random as it has learned to, or it would look
    at the same cells for ever."""
    import torch

    from agents import RecurrentPPO
    from agents.common.vec_env import make_sb3

    policy, core, keywords = LEARNERS[job.conditions["learner"]]
    lessons, steps = job.arguments["steps"]
    rate, target_kl = (TOLD_RATES[1], TOLD_KL) if lessons else (RATES[policy], None)
    env = make_sb3(GRID, LANES, seed=10_000 * (job.seed + 1), reward="dense")
    torch.manual_seed(job.seed)
    kwargs = {"net_arch": ()} if policy == "RecurrentPolicy" else {}
    agent = RecurrentPPO(
        policy, env, core=core, core_kwargs=keywords, policy_kwargs=kwargs, seed=job.seed, target_kl=target_kl,
        learning_rate=lambda left: rate * left, **PPO,
    )  # fmt: skip
    since = time.process_time()
    if lessons:
        teacher = ELMPolicy(env.env, GAIN_TEMPERATURE)
        agent.imitate(teacher, lessons, learning_rate=lambda left: TOLD_RATES[0] * left, log_interval=None)
        lessons = agent.num_timesteps
    agent.learn(steps, log_interval=None)
    spent = round(time.process_time() - since, 2)
    lanes = make_lanes(GRID, {"moves": 900}, job.arguments["episodes"], info="step")
    played = play(lanes, agent, job.seed, deterministic=core != "feedforward")
    count = sum(part.numel() for part in agent.policy.parameters())
    return [{**played, "parameters": count, "environment_steps": lessons + agent.num_timesteps, "cpu_seconds": spent}]


def look(job: Job) -> list[Row]:
    """Teach a searcher of objects by one that seeks, improve it by reward, then let it search as it does better: by the
    most likely action, or at random as it has learned to."""
    import torch

    from agents import RecurrentPPO
    from agents.common.vec_env import make_sb3

    core, keywords = LOOKERS[job.conditions["learner"]]
    lessons, steps = job.arguments["steps"]
    env = make_sb3(SEARCH, LANES, seed=10_000 * (job.seed + 1), **FIELDS)
    torch.manual_seed(job.seed)
    agent = RecurrentPPO(
        "FieldPolicy", env, core=core, core_kwargs=keywords, n_minibatches=LOOKER_BATCHES[0], n_epochs=LOOKER_EPOCHS[0],
        learning_rate=lambda left: LOOKER_RATES[1] * left, seed=job.seed, **LOOKER_PPO,
    )  # fmt: skip
    since = time.process_time()
    agent.imitate(SeekPolicy(env.env, NEAR, TEMPERATURE), lessons, learning_rate=lambda left: LOOKER_RATES[0] * left,
                  log_interval=None)  # fmt: skip
    agent.n_minibatches, agent.n_epochs = LOOKER_BATCHES[1], LOOKER_EPOCHS[1]
    agent.learn(steps, log_interval=None)
    spent = {"environment_steps": lessons + steps, "cpu_seconds": round(time.process_time() - since, 2)}
    lanes = make_lanes(SEARCH, FIELDS, job.arguments["episodes"], info="step")
    played = [play(lanes, agent, job.seed, deterministic=way) for way in (True, False)]
    return [{**min(played, key=lambda row: row["fixations"]), **spent}]


def grid(seeds: int, quick: bool) -> list[Job]:
    """The twelve figures."""
    jobs = []
    for name, (keywords, figures) in FIGURES.items():
        lanes = 200 if quick else (300 if "n" in keywords else 1000)
        for searcher in figures:
            arguments = {"env_id": GRID, "policy": searcher, "lanes": lanes, "keywords": {**keywords, "moves": 900}}
            conditions = {"grid": name, "searcher": searcher}
            jobs += [Job("grid", conditions, seed, measure, arguments) for seed in range(seeds)]
    return jobs


def memory(seeds: int, quick: bool) -> list[Job]:
    """VisualSearch by the scan with and without memory, by who seeks in what comes into view, and at random."""
    arguments = {"env_id": SEARCH, "lanes": 200 if quick else 500}
    jobs = []
    for policy in ("random", "forgetful scan", "scan", "oracle", "seek", TEACHER):
        more = {"policy": policy, "keywords": FIELDS if policy == TEACHER else {}}
        jobs += [Job("memory", {"policy": policy}, seed, measure, {**arguments, **more}) for seed in range(seeds)]
    return jobs


def learned(seeds: int, quick: bool) -> list[Job]:
    """Searchers that learn by RecurrentPPO what ELM knows, by reward alone or told by it first."""
    episodes = 50 if quick else 2000
    jobs = []
    for seed in range(seeds):
        for name in list(LEARNERS)[:1] if quick else LEARNERS:
            steps = (0, 20_000) if quick else (TOLD_STEPS if name.endswith(TOLD) else STEPS)
            jobs.append(Job("learned", {"learner": name}, seed, learn, {"steps": steps, "episodes": episodes}))
    return jobs


def objects(seeds: int, quick: bool) -> list[Job]:
    """Searchers of objects, with and without memory."""
    arguments = {"steps": (4096, 4096) if quick else LOOKS, "episodes": 50 if quick else 2000}
    names = list(LOOKERS)[: 1 if quick else None]
    return [Job("objects", {"learner": name}, seed, look, arguments) for seed in range(seeds) for name in names]


PARTS = {"grid": grid, "memory": memory, "learned": learned, "objects": objects}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the chosen parts; one seed if quick."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Every figure within 5 percent, and a search that needs memory."""
    found = []
    for name, (_, figures) in FIGURES.items():
        for searcher, figure in figures.items():
            mine = select(rows, table="grid", grid=name, searcher=searcher)
            bounds = (1.0 - TOLERANCE) * figure, (1.0 + TOLERANCE) * figure
            if mine:
                claim = f"{name}: {searcher} needs {figure:g} fixations"
                found.append(make_claim(claim, "fixations", mine, lambda r: _mean(r, "fixations"), *bounds))
    ideal = select(rows, table="grid", grid=LEARNED, searcher="elm")
    for learner in LEARNERS:
        mine = select(rows, table="learned", learner=learner)
        if mine and ideal:
            bound = 1.1 if "GridPolicy" in LEARNERS[learner] and learner != "no memory" else None
            text = f"{learner}: fixations / those of ELM"
            found.append(make_claim(text, "times", mine, lambda r: _mean(r, "fixations") / _mean(ideal, "fixations"),
                                    None, bound))  # fmt: skip
    forgetful, remembers = (select(rows, table="learned", learner=name) for name in ("no memory", "LSTM"))
    if forgetful and remembers and ideal:
        references = [select(rows, table="grid", grid=LEARNED, searcher="random"), remembers]
        found.append(make_claim("learned without memory scores lower by", "score", forgetful,
                                lambda r: _gap(references[0], r, references[1]), 0.2))  # fmt: skip
    return found + _claims_of_objects(rows)


def _claims_of_objects(rows: list[Row]) -> list[Claim]:
    """Scores in VisualSearch, from random to the scan, and what memory is worth there."""
    zero, middle, one = (select(rows, table="memory", policy=name) for name in ("random", "forgetful scan", "scan"))
    if not (zero and middle and one):
        return []
    found = [make_claim("a scan without memory scores lower by", "score", middle, lambda r: _gap(zero, r, one), 0.2,
                        quick=True)]  # fmt: skip
    lookers = {name: select(rows, table="objects", learner=name) for name in LOOKERS}
    for name, mine in lookers.items():
        if mine:
            bound = None if name == "no memory" else 0.9
            found.append(make_claim(f"VisualSearch, {name}: score", "score", mine, lambda r: 1 - _gap(zero, r, one),
                                    bound))  # fmt: skip
    if lookers["LSTM"] and lookers["no memory"]:
        found.append(make_claim("VisualSearch, learned without memory scores lower by", "score", lookers["no memory"],
                                lambda r: _gap(zero, r, one) - _gap(zero, lookers["LSTM"], one), 0.2))  # fmt: skip
    return found


def _mean(rows: list[Row], measure: str) -> float:
    return float(numbers(rows, measure).mean())


def _gap(zero: list[Row], middle: list[Row], one: list[Row]) -> float:
    """1 less the score of the middle policy, between two others, 0 and 1, by their returns."""
    low, here, high = (_mean(rows, "return") for rows in (zero, middle, one))
    return 1.0 - (here - low) / (high - low)
