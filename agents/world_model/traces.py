"""Traces: whole episodes, kept task by task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..common.sequences import Sequence


class Running:
    """The unfinished episodes of N lanes, as rows of numbers (N, W) a step.

    Args:
        lanes: N.
        longest: episodes of more steps than this are not kept.
    """

    def __init__(self, lanes: int, longest: int) -> None:
        self.longest = longest
        self.rows: list[Tensor] = []
        self.begun = [-1] * lanes  # the row with each lane's first step; -1: it is lost, or there is none

    def add(self, rows: Tensor, starts: list[bool], ends: list[bool]) -> list[tuple[int, Tensor]]:
        """Takes in one step.

        Args:
            rows: (N, W).
            starts, ends: of each lane, whether the step begins and ends an episode.

        Returns:
            The episodes that it ends: the lane and all steps (T, W).
        """
        self.begun = [len(self.rows) if start else begun for start, begun in zip(starts, self.begun, strict=True)]
        self.rows.append(rows)
        ended = [lane for lane, end in enumerate(ends) if end and self.begun[lane] >= 0]
        whole = [(lane, torch.stack([row[lane] for row in self.rows[self.begun[lane] :]])) for lane in ended]
        latest = len(self.rows) - self.longest  # what begun no later, and goes on, is too long
        self.begun = [-1 if end or begun <= latest else begun for end, begun in zip(ends, self.begun, strict=True)]
        first = min((begun for begun in self.begun if begun >= 0), default=len(self.rows))
        self.rows = self.rows[first:]
        self.begun = [begun - first if begun >= 0 else -1 for begun in self.begun]
        return whole

    def get_state(self) -> dict[str, Any]:
        """Rows (T, N, W) and the beginnings."""
        return {"rows": torch.stack(self.rows) if self.rows else None, "begun": list(self.begun)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: it is of another number of lanes, or its beginnings are not among its rows.
        """
        rows, begun = state["rows"], state["begun"]
        count = 0 if rows is None else len(rows)
        if len(begun) != len(self.begun) or (count and rows.shape[1] != len(begun)):
            raise ValueError(f"running episodes of {len(begun)} lanes do not fit {len(self.begun)}")
        if not all(type(one) is int and -1 <= one < count for one in begun):
            raise ValueError(f"running episodes begin at {begun}, but there are {count} steps")
        self.rows, self.begun = [] if rows is None else [*rows], list(begun)


class Traces:
    """The newest `capacity` episodes of every task, and whether each went well.

    Args:
        sizes: width of each field by name; one is ``return``.
        capacity: episodes kept of a task.

    Attributes:
        tasks: of each task, the episodes (T, W) and, for each, whether it went well: 1, 0, or -1 where nobody said.
    """

    def __init__(self, sizes: Mapping[str, int], capacity: int) -> None:
        self.fields: dict[str, slice] = {}
        self.width = 0
        for name, size in sizes.items():
            self.fields[name] = slice(self.width, self.width + size)
            self.width += size
        self.capacity = capacity
        self.tasks: list[list[tuple[Tensor, int]]] = [[]]

    def __len__(self) -> int:
        """Episodes of all tasks."""
        return sum(map(len, self.tasks))

    def add(self, episode: Tensor, success: int) -> None:
        """Keeps an episode (T, W) of the present task."""
        self.tasks[-1].append((episode, success))
        del self.tasks[-1][: -self.capacity]

    def begin_task(self) -> None:
        """What follows belongs to another task; nothing changes where the present one has no episodes yet."""
        if self.tasks[-1]:
            self.tasks.append([])

    def good(self, task: int) -> Tensor:
        """(episodes,) bool, which ones of a task went well: by what was said of each, else those with a return of at
        least the median."""
        returns = torch.stack([episode[0, self.fields["return"]].squeeze() for episode, _ in self.tasks[task]])
        said = torch.tensor([success for _, success in self.tasks[task]])
        return (said == 1) | ((said < 0) & (returns >= returns.median()))

    def columns(self) -> tuple[Sequence, Tensor]:
        """All episodes, a column each, with zeros after their end; and how likely each is to be drawn.

        All tasks are equally likely, whatever the number of their episodes; and half of a task's likelihood goes to the
        episodes that went well.

        Returns:
            (T, B) steps of B episodes, T being the longest, with two more fields: ``weight``, 1 where there is a step,
            and ``good``, 1 where there is a step of an episode that went well. And (B,) likelihoods that sum to 1.
        """
        filled = [task for task, episodes in enumerate(self.tasks) if episodes]
        goods = [self.good(task).float() for task in filled]
        shares = [torch.ones_like(good) / len(good) + good / good.sum().clamp(min=1) for good in goods]
        chances = torch.cat([share / share.sum() for share in shares]) / len(filled)
        episodes = [episode for task in filled for episode, _ in self.tasks[task]]
        flags = [torch.tensor([1.0, good]).expand(len(episode), 2)
                 for episode, good in zip(episodes, torch.cat(goods).tolist(), strict=True)]  # fmt: skip
        rows = [torch.cat(parts, 1) for parts in zip(episodes, flags, strict=True)]
        more = {"weight": slice(self.width, self.width + 1), "good": slice(self.width + 1, self.width + 2)}
        return Sequence(torch.nn.utils.rnn.pad_sequence(rows), {**self.fields, **more}), chances

    def get_state(self) -> list[dict[str, Any]]:
        """Of each task, all steps (T, W), and the length and success (episodes,) of each episode."""
        empty = torch.zeros(0, self.width)
        return [
            {
                "steps": torch.cat([empty, *(episode.cpu() for episode, _ in episodes)]),
                "lengths": [len(episode) for episode, _ in episodes],
                "success": [success for _, success in episodes],
            }
            for episodes in self.tasks
        ]

    def set_state(self, state: list[dict[str, Any]]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: the steps have another width, or are not as many as the lengths say.
        """
        tasks = []
        for task in state:
            steps, lengths, success = task["steps"], task["lengths"], task["success"]
            if (
                steps.dim() != 2
                or steps.shape[1] != self.width
                or sum(lengths) != len(steps)
                or min(lengths, default=1) < 1
            ):
                raise ValueError(
                    f"traces {tuple(steps.shape)} of lengths {lengths[:5]} do not fit a width of {self.width}"
                )
            tasks.append(list(zip(steps.split(lengths) if lengths else [], success, strict=True)))
        self.tasks = tasks or [[]]
