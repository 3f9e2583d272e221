"""Schmidhuber & Huber (1990, 1991): fovea trajectories for target detection, and what stands beside them today."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from foveal_envs.scenes.objects import FIXED_SHAPES

from ..shared.rollouts import detection_scores, run_episodes, tracking_scores
from ..shared.runs import Run
from .shared.budget import STARTS, Budget, first_reaching, train
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job

TITLE = "fovea trajectories for target detection: detection, rotation, several targets, tracking"
DETECTION, GOALS, TRACKING = (f"Foveal/{name}-v0" for name in ("TargetDetection", "GoalDetection", "TargetTracking"))
# Environment steps with rotation. The sides of the triangle look alike, so it takes longer to tell its angle.
ROTATED = {"triangle": 180_000, "L": 120_000, "T": 120_000, "arrow": 120_000}
LENGTHS = (5, 3, 7, 10, 15)
SPEEDS = {5: 3.0, 10: 6.0, 15: 10.0}  # pixels a step -> largest allowed mean error, pixels
PPO = {
    "n_steps": 25,
    "batch_size": 400,
    "learning_rate": 1e-3,
    "gamma": 0.95,
    "policy_kwargs": {"net_arch": [128, 128], "log_std_init": -0.5},
}
SAC = {
    "gamma": 0.95,
    "learning_rate": 1e-3,
    "learning_starts": 5_000,
    "policy_kwargs": {"net_arch": [128, 128]},
}


# ---------------------------------------------------------------------------------------- how a policy is scored


def score_detection(policy: Any, starts: int, keywords: dict[str, Any]) -> dict[str, float]:
    """Near starts, and, with all starts, from anywhere in the scene too."""
    rotate = bool(keywords.get("rotate", False))
    scores = detection_scores(run_episodes(policy, DETECTION, starts, **keywords), rotate)
    if starts == STARTS:
        far = detection_scores(run_episodes(policy, DETECTION, starts, **{**keywords, "start": "anywhere"}), rotate)
        scores |= {"anywhere_within_10": far["within_10"], "anywhere_median": far["median"]}
    return scores


def score_goals(policy: Any, starts: int, keywords: dict[str, Any]) -> dict[str, float]:
    """Each target apart, and the swapped-goal control: begin at one target with the goal of another."""
    near = run_episodes(policy, GOALS, starts, **keywords)
    swapped = run_episodes(policy, GOALS, starts, start="other", **keywords)
    arrived, target = near.distance[-1] <= 10.0, near.measures["target"]
    ended = swapped.measures["fixated"]
    return {
        **detection_scores(near),
        "worst_target": float(min(arrived[target == i].mean() for i in set(target.tolist()))),
        "swapped_at_original": float((ended == swapped.measures["origin"]).mean()),
        "swapped_at_goal": float((ended == swapped.measures["target"]).mean()),
    }


def score_tracking(policy: Any, starts: int, keywords: dict[str, Any]) -> dict[str, float]:
    """Mean error at each speed, the first ten moves left out."""
    episodes = {speed: run_episodes(policy, TRACKING, starts // 4, speed=speed, **keywords) for speed in SPEEDS}
    return {f"error_at_{speed}": tracking_scores(played)["error"] for speed, played in episodes.items()}


SCORES = {DETECTION: score_detection, GOALS: score_goals, TRACKING: score_tracking}


def measure(job: Job) -> list[Row]:
    """Run one job: score a reference, or train an agent and score it when each of its budgets is spent.

    ``job.arguments``: ``run`` (a Run, or the name of a reference), ``env_id``, ``keywords`` of the evaluation, and
    optionally ``cpu_seconds`` (a second budget), ``level`` (a measure: the row tells the steps until it reached 0.95)
    and ``points`` (of a learning curve: rows are these, instead of the final scores).
    """
    arguments = job.arguments
    run, keywords = arguments["run"], arguments["keywords"]

    def score(policy: Any, starts: int) -> dict[str, float]:
        return SCORES[arguments["env_id"]](policy, starts, keywords)

    if isinstance(run, str):
        return [{"environment_steps": 0, "cpu_seconds": 0.0, **score(run, STARTS)}]
    level, two = arguments.get("level"), "cpu_seconds" in arguments
    points = arguments.get("points", 10 if level else None)
    budget = Budget(score, run.steps, arguments.get("cpu_seconds"), run.steps // points if points else None)
    train(run, budget)
    if "points" in arguments:
        return budget.curve
    rows = []
    for name, scored in budget.results.items():
        row = {**({"budget": name} if two else {}), **scored}
        if level:
            row["steps_to_95"] = first_reaching(budget.curve, level, 0.95)
        rows.append(row)
    return rows


# ---------------------------------------------------------------------------------------- the parts and their jobs


def _jobs(
    table: str, conditions: dict[str, str], run: Run, seeds: int, evaluation: dict[str, Any], **arguments: Any
) -> list[Job]:
    """One job a seed."""
    more = {"env_id": run.env_id, "keywords": evaluation, **arguments}
    return [Job(table, conditions, seed, measure, {"run": replace(run, seed=seed), **more}) for seed in range(seeds)]


def _references(table: str, conditions: dict[str, str], env_id: str, evaluation: dict[str, Any]) -> list[Job]:
    arguments = {"env_id": env_id, "keywords": evaluation}
    return [
        Job(table, {"agent": name, **conditions}, 0, measure, {"run": name, **arguments, "level": None})
        for name in ("random", "oracle")
    ]


def published(seeds: int, quick: bool) -> list[Job]:
    """The nets of 1990, over trajectory lengths, then C at the rate of 1990; evaluated over 25 moves."""
    cases = [("triangle", 5)] if quick else [(s, t) for t in LENGTHS for s in ("triangle", "L")]
    jobs = []
    for shape, length in cases:
        evaluation = {"shape": shape, "actuators": "muscles"}
        steps = 50_000 + 5_000 * length
        run = Run(DETECTION, {**evaluation, "moves": length}, preset="published", lanes=1, steps=steps)
        jobs += _jobs("published", {"shape": shape, "trajectory": f"T={length}"}, run, seeds, evaluation)
    if not quick:
        evaluation = {"shape": "triangle", "actuators": "muscles"}
        run = Run(DETECTION, {**evaluation, "moves": 5}, preset="published", lanes=1, steps=75_000)
        run.agent_kwargs["learning_rate"] = 0.1
        jobs += _jobs("published_rate", {"trajectory": "T=5", "rate": "C at 0.1"}, run, seeds, evaluation)
    return sorted(jobs, key=lambda job: job.seed)


def default(seeds: int, quick: bool) -> list[Job]:
    """The default preset on the eight fixed shapes."""
    jobs = []
    for shape in ("triangle",) if quick else FIXED_SHAPES:
        run = Run(DETECTION, {"shape": shape}, steps=60_000)
        jobs += _jobs("default", {"agent": "ours", "shape": shape}, run, seeds, {"shape": shape}, level="within_10")
        jobs += _references("default_references", {"shape": shape}, DETECTION, {"shape": shape})
    return sorted(jobs, key=lambda job: job.seed)


def rotation(seeds: int, quick: bool) -> list[Job]:
    """The fovea turns too; shapes without symmetry."""
    jobs = []
    for shape, steps in ({} if quick else ROTATED).items():
        evaluation = {"shape": shape, "rotate": True}
        run = Run(DETECTION, evaluation, steps=steps)
        jobs += _jobs("rotation", {"agent": "ours", "shape": shape}, run, seeds, evaluation, level="pose")
        jobs += _references("rotation_references", {"shape": shape}, DETECTION, evaluation)
    return sorted(jobs, key=lambda job: job.seed)


def goals(seeds: int, quick: bool) -> list[Job]:
    """Four targets, each trained from starts near it; the goals of imagined trajectories are exchanged."""
    if quick:
        return []
    run = Run(GOALS, steps=130_000)
    jobs = _jobs("goals", {"agent": "ours"}, run, seeds, {}, level="worst_target")
    return jobs + _references("goals_references", {}, GOALS, {})


def tracking(seeds: int, quick: bool) -> list[Job]:
    """A moving target, trained on all speeds up to 16 pixels a step."""
    jobs = []
    for motion in () if quick else ("line", "bounce", "random_walk"):
        run = Run(TRACKING, {"motion": motion, "speed": [0.0, 16.0]}, steps=60_000)
        jobs += _jobs("tracking", {"agent": "ours", "motion": motion}, run, seeds, {"motion": motion})
        jobs += _references("tracking_references", {"motion": motion}, TRACKING, {"motion": motion})
    return sorted(jobs, key=lambda job: job.seed)


def ppo(seeds: int, quick: bool) -> list[Job]:
    """Stable-Baselines3's PPO on the same tasks, at equal steps and at equal CPU seconds.

    The better of the dense and the terminal reward is found on two shapes; the rest has the dense one.
    """
    if quick:
        return []
    rewards = [("triangle", "dense"), ("L", "dense"), ("triangle", "terminal"), ("L", "terminal")]
    rewards += [(shape, "dense") for shape in FIXED_SHAPES if shape not in ("triangle", "L")]
    cases = [("ppo", DETECTION, {"shape": shape}, {"reward": reward}, 60_000, 20.0) for shape, reward in rewards]
    cases += [("ppo_goals", GOALS, {}, {}, 130_000, 60.0)]
    cases += [
        ("ppo_tracking", TRACKING, {"motion": motion}, {"speed": [0.0, 16.0]}, 60_000, 20.0)
        for motion in ("line", "bounce", "random_walk")
    ]
    cases += [
        ("ppo_rotation", DETECTION, {"shape": shape, "rotate": True}, {}, steps, 45.0 * steps / 120_000)
        for shape, steps in ROTATED.items()
    ]
    jobs = []
    for table, env_id, evaluation, more, steps, seconds in cases:
        run = Run(env_id, {**evaluation, **more}, "PPO", agent_kwargs=PPO, steps=steps)
        conditions = {"agent": "PPO", **{name: str(value) for name, value in evaluation.items() if name != "rotate"}}
        if table == "ppo":
            conditions["reward"] = more["reward"]
        level = {"ppo": "within_10", "ppo_rotation": "pose"}.get(table)
        jobs += _jobs(table, conditions, run, seeds, evaluation, cpu_seconds=seconds, level=level)
    return jobs


def sac(seeds: int, quick: bool) -> list[Job]:
    """Stable-Baselines3's SAC, one update a lane-step of eight lanes: an update per 8 environment steps; 5 seeds."""
    jobs = []
    for shape in () if quick else ("triangle", "L"):
        run = Run(DETECTION, {"shape": shape}, "SAC", agent_kwargs=SAC, steps=60_000, lanes=8)
        conditions = {"agent": "SAC", "shape": shape}
        jobs += _jobs("sac", conditions, run, min(seeds, 5), {"shape": shape}, level="within_10")
    return sorted(jobs, key=lambda job: job.seed)


def her(seeds: int, quick: bool) -> list[Job]:
    """Sparse reward and pose goals from anywhere, where chance finds few of them: SAC without and with relabelling."""
    jobs = []
    evaluation = {"goal": "pose", "reward": "sparse", "start": "anywhere"}
    for agent in () if quick else ("SAC", "SAC+HER"):
        relabelled = {"replay_buffer_class": "HerReplayBuffer"} if "HER" in agent else {}
        keywords = {**SAC, "learning_starts": 2_000, **relabelled}
        run = Run(DETECTION, evaluation, "SAC", agent_kwargs=keywords, steps=50_000, lanes=8)
        jobs += _jobs("her", {"agent": agent}, run, min(seeds, 5), evaluation, level="within_10")
    return sorted(jobs, key=lambda job: job.seed)


def curve(seeds: int, quick: bool) -> list[Job]:
    """Learning curves on the triangle."""
    agents = {"ours": {}, "PPO": {"algorithm": "PPO", "agent_kwargs": PPO}}
    agents["SAC"] = {"algorithm": "SAC", "agent_kwargs": SAC, "lanes": 8}
    jobs = []
    for agent, keywords in {} if quick else agents.items():
        run = Run(DETECTION, steps=60_000, **keywords)
        jobs += _jobs("curve", {"agent": agent}, run, min(seeds, 5), {}, points=25)
    return jobs


PARTS = {
    "published": published,
    "default": default,
    "rotation": rotation,
    "goals": goals,
    "tracking": tracking,
    "ppo": ppo,
    "sac": sac,
    "her": her,
    "curve": curve,
}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts (all if none is given); quick: one seed of what takes seconds."""
    return [job for part in parts or PARTS for job in PARTS[part](seeds, quick)]


# ---------------------------------------------------------------------------------------- what the results claim


def claims(rows: list[Row]) -> list[Claim]:
    """The project's bars, each measured over the rows at hand."""
    made = [
        make_claim(
            "published preset, triangle, T = 5: seeds with >= 99 % of starts within 10 px after 25 moves",
            "share of seeds",
            select(rows, table="published", shape="triangle", trajectory="T=5"),
            lambda own: float((numbers(own, "within_10") >= 0.99).mean()),
            at_least=0.9,
            quick=True,
        )
    ]
    for shape in FIXED_SHAPES:
        own = select(rows, table="default", agent="ours", shape=shape)
        near, distance = mean_of("within_10"), mean_of("median")
        text = f"default preset, {shape}"
        made += [
            make_claim(f"{text}: within 10 px, mean of seeds", "share", own, near, 0.99, quick=True),
            make_claim(f"{text}: median distance, mean of seeds", "px", own, distance, None, 1.0, quick=True),
        ]
    for shape in ROTATED:
        own = select(rows, table="rotation", agent="ours", shape=shape)
        made.append(make_claim(f"rotation, {shape}: within 10 px and 15 degrees", "share", own, mean_of("pose"), 0.9))
    own = select(rows, table="goals", agent="ours")
    made += [
        make_claim("four targets: within 10 px, worst target", "share", own, mean_of("worst_target"), 0.98),
        make_claim(
            "swapped goal: ends at the original target", "share", own, mean_of("swapped_at_original"), None, 0.05
        ),
    ]
    for motion in ("line", "bounce"):
        own = select(rows, table="tracking", agent="ours", motion=motion)
        made += [
            make_claim(
                f"tracking, {motion}, {speed} px a step: mean error", "px", own, mean_of(f"error_at_{speed}"), None, bar
            )
            for speed, bar in SPEEDS.items()
        ]
    return made
