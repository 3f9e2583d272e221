"""Evaluate agents and references from the same starts: a table, or JSON. ``python -m scripts.evaluate --help``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from foveal_envs import IDS

from .shared.command import Refusal, program, run_command
from .shared.environments import is_native, parse_keywords, untwinned
from .shared.rollouts import EVALUATION_SEED, measured
from .shared.runs import find_environment


def evaluate(
    environment: str | None = None,
    agents: tuple[str, ...] = (),
    episodes: int = 1000,
    seed: int = EVALUATION_SEED,
    env: tuple[str, ...] = (),
    json_output: bool = False,
    zoo: str | None = None,
    algorithm: str | None = None,
    suite: bool = False,
    seeds: int = 5,
    report: Path | None = None,
    csv: Path | None = None,
    latex: Path | None = None,
    trust: bool = False,
) -> None:
    """Run whole episodes of every agent from the same starts and print their scores.

    With --suite: normalised scores, (agent - random) / (best - random), of the references of every task, and of saved
    agents between the references of their own task, played with the same keywords.

    Args:
        environment: an environment's id, or a run folder; with --suite all, or this one.
        agents: references, run folders or model.zip files; default: random, the run folder's model, and the oracle
            where there is one. With --suite run folders; those of one algorithm and environment are its seeds.
        episodes: starts of each.
        seed: of the first start; it differs from all training seeds.
        env: keywords of the environment, KEY=VALUE; they override those of an agent's training.
        json_output: print JSON instead of a table.
        zoo: evaluate the trained agent that comes with this package for this id.
        algorithm: class of agents in files without a config.json beside them.
        suite: score the whole suite.
        seeds: with --suite, times that each reference plays so many episodes.
        report: with --suite, write an HTML page here: scanpaths, fixation-number curves, saccade amplitudes, and the
            learning curves of the agents.
        csv: with --suite, write a row a seed here, with the configuration that repeats it.
        latex: with --suite, write the table for LaTeX with booktabs here.
        trust: also load files whose loading runs code that they hold.
    """
    if suite:
        evaluate_suite(environment, agents, episodes, seed, env, json_output, seeds, report, csv, latex, trust)
        return
    if report or csv or latex:
        raise Refusal("--report, --csv and --latex are of the suite: add --suite")
    if environment is None and zoo is None:
        raise Refusal("name an environment or a run folder, or give --zoo or --suite")
    if episodes < 1:
        raise Refusal(f"--episodes must be at least 1, got {episodes}")
    env_id, keywords, own_agent = find_environment(environment, parse_keywords(env), zoo, trust)
    best = "oracle" if is_native(env_id) else None  # another package's environment has none
    names = agents or tuple(filter(None, ("random", own_agent, best)))
    table = {name: measured(name, env_id, episodes, seed, trust, algorithm, **keywords) for name in names}
    print(json.dumps(table, indent=2) if json_output else format_table(table))


def evaluate_suite(
    environment: str | None,
    agents: tuple[str, ...],
    episodes: int,
    seed: int,
    env: tuple[str, ...],
    json_output: bool,
    seeds: int,
    report: Path | None,
    csv: Path | None,
    latex: Path | None,
    trust: bool,
) -> None:
    """Print the scores of the suite, or of one environment, and write the files that are asked for."""
    from .shared import score_tables as tables
    from .shared.report import write_report
    from .shared.suite import score_suite

    words = [*([environment] if environment else []), "--suite", *(["--agents", *agents] if agents else [])]
    words += [
        *(["--env", *env] if env else []),
        "--episodes",
        f"{episodes}",
        "--seeds",
        f"{seeds}",
        "--seed",
        f"{seed}",
    ]
    command = shlex.join(["python", "-m", "scripts.evaluate", *words])
    ids, keywords = list(IDS), parse_keywords(env)
    if environment is not None:
        env_id, _, own_agent = find_environment(environment, {}, trust=trust)
        ids = [env_id.rpartition(":")[2]]
        agents = (own_agent, *agents) if own_agent is not None else agents
    elif keywords:
        raise SystemExit("--env goes with one environment: name it, as in `evaluate Foveal/GridSearch-v0 --suite`")
    if min(episodes, seeds) < 1:
        raise SystemExit(f"--episodes and --seeds must be at least 1, got {episodes} and {seeds}")
    unknown = [id for id in ids if untwinned(id) not in IDS]
    if unknown:
        raise SystemExit(f"{unknown[0]} has no references to be scored between; the suite has {', '.join(IDS)}")
    lines = score_suite(ids, agents, episodes, seeds, trust, seed, keywords)
    print(json.dumps(tables.summary(lines), indent=2) if json_output else tables.format_suite(lines))
    if csv is not None:
        tables.write_csv(lines, csv, episodes, command)
    if latex is not None:
        latex.parent.mkdir(parents=True, exist_ok=True)
        latex.write_text(tables.latex(lines, command))
    if report is not None:
        write_report(lines, report)


def format_table(table: dict[str, dict[str, float]]) -> str:
    """Rows of numbers under their names, aligned."""
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    cells = [["", *columns]] + [
        [name, *(f"{row[column]:.3f}" if column in row else "" for column in columns)] for name, row in table.items()
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns) + 1)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(evaluate, program("evaluate"), words)


if __name__ == "__main__":
    main()
