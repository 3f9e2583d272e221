"""What a person who plays can do: keys and clicks, words of a script, and what they mean in a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pygame

from foveal_envs.rendering import Window
from foveal_envs.task import Task

KEYS = {
    pygame.K_LEFT: "left",
    pygame.K_RIGHT: "right",
    pygame.K_UP: "up",
    pygame.K_DOWN: "down",
    pygame.K_q: "anticlockwise",
    pygame.K_e: "clockwise",
    pygame.K_SPACE: "stay",
    pygame.K_r: "new",
    pygame.K_ESCAPE: "quit",
}
WAYS = {
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up": (0, -1, 0),
    "down": (0, 1, 0),
    "anticlockwise": (0, 0, -1),
    "clockwise": (0, 0, 1),
    "stay": (0, 0, 0),
}
Command = tuple[Any, ...]  # ("left", 1.0), ("click", x, y) in pixels of the picture, ("say", 7), ("new",), ("quit",)


def command_of(event: pygame.event.Event, window: Window) -> Command | None:
    """What a key or a click means; None: nothing."""
    if event.type == pygame.KEYDOWN and event.key in KEYS:
        name = KEYS[event.key]
        return (name, 0.25 if event.mod & pygame.KMOD_SHIFT else 1.0) if name in WAYS else (name,)
    if event.type == pygame.KEYDOWN and pygame.K_0 <= event.key <= pygame.K_9:
        return ("say", event.key - pygame.K_0)
    if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
        return ("click", *window.locate(event.pos))
    return None


def read_command(word: str) -> Command:
    """A command from a word of a script: a direction, "click:x,y" or "new".

    Raises:
        SystemExit: an unknown word; the message lists the known ones.
    """
    name, _, place = word.partition(":")
    if name in WAYS:
        return name, 1.0
    if name == "new":
        return (name,)
    if name == "say" and place.isdigit():
        return name, int(place)
    if name == "click" and place.count(",") == 1:
        return name, *(float(part) for part in place.split(","))
    raise SystemExit(f"unknown command {word!r}: a script has {', '.join(WAYS)}, click:x,y, say:7 and new")


def ways_of(task: Task) -> tuple[str, ...]:
    """Names of what a person can do in a task; of Discrete actions in their order. Empty: there are no keys for it."""
    space = task.action_space
    if task.steers_gaze:
        return tuple(way for way in WAYS if "clock" not in way or (task.fovea is not None and task.fovea.rotate))
    if isinstance(space, gym.spaces.Box):
        walks = space.shape in ((1,), (2,), (3,)) and bool((space.low == -1.0).all() and (space.high == 1.0).all())
        return tuple(way for way, parts in WAYS.items() if not any(parts[space.shape[0] :])) if walks else ()
    if isinstance(space, gym.spaces.MultiDiscrete):
        return task.action_names if task.fovea is not None and len(space.nvec) == 2 else ()
    return task.action_names or tuple(map(str, range(getattr(space, "n", 0))))


def keys_of(task: Task) -> Iterator[tuple[str, str]]:
    """Keys, and what they do in a task."""
    looks, ways = task.steers_gaze, ways_of(task)
    if "right" in ways:
        yield "arrows", "look" if looks else "move"
    if looks or task.fovea is not None:
        yield "click", "look there"
    if "clockwise" in ways:
        yield "Q E", "turn"
    if isinstance(task.action_space, gym.spaces.Box) or (looks and task.fovea is not None):
        yield "Shift", "a quarter"
    if "stay" in ways:
        yield "Space", "stay"
    answers = task.names or tuple(name for name in ways if name.isdigit())
    if answers and answers[0].isdigit():
        yield f"{answers[0]} - {answers[min(len(answers), 10) - 1]}", "answer"
    else:
        yield from ((str(i), name) for i, name in enumerate(answers))
    yield "R", "new game"
    yield "Esc", "quit"
