"""Lessons of a run: what a teacher shows before the agent learns by itself."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.keywords import check_keywords
from agents.ppo.imitation import Lessons
from foveal_envs.reference import REFERENCES

from .command import Refusal
from .policies import load_agent, reference
from .runs import Run, schedule

KNOWN = ("steps", "teacher", "teacher_kwargs", "learning_rate", "fade", "agent_kwargs")


def teach(run: Run, agent: BaseAlgorithm, done: int, **settings: Any) -> None:
    """Give the lessons of a run, or what is left of them.

    Args:
        run: has lessons.
        agent: in its environment.
        done: environment steps of the lessons so far.
        **settings: of ``imitate``.
    """
    lessons = dict(run.lessons)
    held = lessons.pop("agent_kwargs", {})
    own = {name: getattr(agent, name) for name in held}
    for name, value in held.items():
        setattr(agent, name, value)
    steps = lessons.pop("steps")
    teacher = make_teacher(lessons.pop("teacher"), agent.get_env(), lessons.pop("teacher_kwargs", {}))
    lessons = {name: schedule(value) for name, value in lessons.items()}
    agent.imitate(teacher, max(0, steps - done), **lessons, **settings)  # type: ignore[attr-defined]
    for name, value in own.items():
        setattr(agent, name, run.agent_kwargs.get(name, value))


def check_lessons(run: Run, agent: BaseAlgorithm) -> None:
    """Refuse lessons that cannot be given.

    Args:
        run: has lessons.
        agent: untrained, in its environment.

    Raises:
        Refusal: says what is wrong with them.
    """
    for name in run.lessons:
        if name not in KNOWN:
            raise Refusal(f"--lessons takes {', '.join(KNOWN)}; got {name!r}")
    if not hasattr(agent, "imitate"):
        raise Refusal(f"{run.algorithm} takes no lessons; RecurrentPPO and Recogniser do")
    if run.lessons["steps"] < 1 or "teacher" not in run.lessons:
        raise Refusal(f"lessons need steps, a whole number of at least 1, and a teacher; got {run.lessons}")
    for name in ("agent_kwargs", "teacher_kwargs"):
        if not isinstance(run.lessons.get(name, {}), dict):
            raise Refusal(f"{name} of the lessons must be a mapping, got {run.lessons[name]!r}")
    for name in run.lessons.get("agent_kwargs", {}):
        if not hasattr(agent, name):
            raise Refusal(f"{run.algorithm} has no keyword {name!r}")
    try:
        Lessons(None, run.lessons.get("fade", 0.5))  # type: ignore[arg-type]
        rate = {"learning_rate": schedule(run.lessons["learning_rate"])} if "learning_rate" in run.lessons else {}
        check_keywords(type(agent), {**rate, **run.lessons.get("agent_kwargs", {})})
    except (TypeError, ValueError) as error:
        raise Refusal(f"the lessons cannot be given: {error}") from error
    make_teacher(str(run.lessons["teacher"]), agent.get_env(), run.lessons.get("teacher_kwargs", {}))


def make_teacher(name: str, vec_env: Any, keywords: dict[str, Any]) -> Any:
    """A teacher by name, for the lanes of a VecEnv: a reference with its keywords, or the agent of a run folder."""
    return reference(name, vec_env.env, **keywords) if name in REFERENCES else load_agent(name, vec_env.env)
