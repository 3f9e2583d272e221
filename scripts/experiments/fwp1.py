"""Schmidhuber (1991, 1992): a slow net learns, on line and without resets, to programme the weights of a fast net."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

import foveal_envs  # noqa: F401  registers the ids
from agents.cores import FastWeights1991, State

from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "fast weights by a slow net: flip-flop with unknown time lags, parking (temporary binding)"
TOLERANCE, RUN = 0.05, 100  # solved: that many steps in a row with an error below the tolerance
STEPS = {"flip_flop": 2000, "parking": 40_000}
RULES = {"Eq. 4": False, "Eq. 5": True}  # one slow output a fast weight, or the outer product of two vectors
RATES = {"Eq. 4": (0.2, 0.5, 1.0), "Eq. 5": (1.0, 3.0, 10.0)}
CHOSEN = {"Eq. 4": 0.5, "Eq. 5": 3.0}
PARKING_RATES = {"Eq. 4": 0.15, "Eq. 5": 0.2}
BARS = {"Eq. 4": 300, "Eq. 5": 800}
SPREAD = 0.02  # of the slow weights at the start
FLIP_FLOP = {"env_id": "Foveal/FlipFlop-v0", "inputs": range(3), "fast": range(3), "outputs": 1}
PARKING = {"env_id": "Foveal/Parking-v0", "inputs": range(6), "fast": [6], "outputs": 3}
QUERY = 6  # parking: the unit "where is my car?", the only input of the fast net
Gradient = dict[str, Tensor]


# ------------------------------------------------------------------------------------------ streams and their answers


def stream(env_id: str, steps: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Observation and wanted outputs of each step; None where nothing is asked. The stream never resets."""
    env = gym.make(env_id, moves=steps).unwrapped
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        answer = env.oracle_action()  # type: ignore[attr-defined]
        if "Parking" in env_id:
            yield observation, np.eye(3, dtype=np.float32)[answer] if observation[QUERY] else None
        else:
            yield observation, np.array([answer], np.float32)
        observation, *_ = env.step(int(answer))
    env.close()


# ------------------------------------------------------------------------------------------ two forms of the gradient


class ForwardGradient:
    """Exact gradient on line: dw/dtheta is carried forward with the fast weights w, P(t) = J_theta + J_w P(t-1).

    Args:
        core: whose parameters theta are learned.
    """

    def __init__(self, core: FastWeights1991) -> None:
        self.core = core
        self.state: State = core.initial_state(1)
        size = self.state[0].numel()
        self.sensitivity = {name: value.new_zeros(size, *value.shape) for name, value in core.named_parameters()}

    def step(self, x: Tensor, target: Tensor | None) -> tuple[Tensor, Gradient]:
        """Output for x (D,), and the gradient of half the squared error to the target."""
        start = torch.zeros(1, dtype=torch.bool)

        def after(parameters: Gradient, weights: Tensor) -> Tensor:
            state = (weights.view_as(self.state[0]),)
            return functional_call(self.core, parameters, (x[None, None], state, start[None]))[1][0].flatten()

        weights = self.state[0].flatten()
        parameters = {name: value.detach() for name, value in self.core.named_parameters()}
        output = self.core.step(x[None], self.state, start)[0][0].detach()
        gradient = {}
        if target is not None:
            fast = x[self.core.fast_inputs]
            by_weight = (fast[:, None] * (output - target)).flatten()
            gradient = {name: torch.tensordot(by_weight, part, 1) for name, part in self.sensitivity.items()}
        by_theta, by_state = jacrev(after, argnums=(0, 1))(parameters, weights)
        self.sensitivity = {
            name: by_theta[name] + torch.tensordot(by_state, part, 1) for name, part in self.sensitivity.items()
        }
        self.state = (after(parameters, weights).view_as(self.state[0]),)
        return output, gradient


class WindowGradient:
    """Gradient through the last `window` steps, unfolded anew at every step with the present parameters.

    Args:
        core: whose parameters are learned.
        window: number of steps, at least 1; the fast weights before them are constants.
    """

    def __init__(self, core: FastWeights1991, window: int) -> None:
        self.core, self.window = core, window
        self.inputs: list[Tensor] = []
        self.states: list[State] = [core.initial_state(1)]

    def step(self, x: Tensor, target: Tensor | None) -> tuple[Tensor, Gradient]:
        """Output for x (D,), and the gradient of half the squared error to the target."""
        self.inputs = [*self.inputs, x][-self.window - 1 :]
        self.states = self.states[-self.window - 1 :]
        inputs = torch.stack(self.inputs)[:, None]
        start = torch.zeros(len(inputs), 1, dtype=torch.bool)
        outputs, _ = self.core.loop(inputs, self.states[0], start)
        output, gradient = outputs[-1, 0], {}
        if target is not None and outputs.requires_grad and len(inputs) > 1:
            names, parameters = zip(*self.core.named_parameters(), strict=True)
            error = (output - target).square().sum() / 2
            gradient = dict(zip(names, torch.autograd.grad(error, parameters), strict=True))
        with torch.no_grad():
            self.states.append(self.core.step(x[None], self.states[-1], start[0])[1])
        return output.detach(), gradient


# ------------------------------------------------------------------------------------------ one run


def make_programmer(rule: str, task: dict[str, Any], seed: int) -> FastWeights1991:
    """Slow net and fast net without hidden units and biases."""
    torch.manual_seed(seed)
    size = 1 + max(*task["inputs"], *task["fast"])
    parts = {"fast_inputs": task["fast"], "slow_inputs": task["inputs"]}
    core = FastWeights1991(size, task["outputs"], RULES[rule], **parts, bias=False, form="loop")
    nn.init.uniform_(core.slow.weight, -SPREAD, SPREAD)
    return core


def learn_online(job: Job) -> list[Row]:
    """Learn a stream by one step of gradient descent a time step, until it is solved.

    ``job.arguments``: ``rule``, ``task``, ``rate``, ``window`` (None: exact gradient) and ``steps``. ``solved_after``
    is the number of steps before the first run of steps without an error; only steps in which something is asked count
    towards the run.
    """
    arguments = job.arguments
    task, steps = arguments["task"], arguments["steps"]
    core = make_programmer(arguments["rule"], task, job.seed)
    window = arguments["window"]
    learner = ForwardGradient(core) if window is None else WindowGradient(core, window)
    run, began, solved, taken = 0, 0, float("inf"), 0
    for step, (x, wanted) in enumerate(stream(task["env_id"], steps, 1000 + job.seed)):
        target = None if wanted is None else torch.from_numpy(wanted)
        output, gradient = learner.step(torch.from_numpy(x), target)
        taken = step + 1
        if target is not None:
            close = bool((output - target).abs().max() < TOLERANCE)
            began = (began if run else step) if close else began
            run = run + 1 if close else 0
            if run == RUN:
                solved = float(began)
                break
        with torch.no_grad():
            for name, parameter in core.named_parameters():
                if name in gradient:
                    parameter -= arguments["rate"] * gradient[name]
    return [{"solved_after": solved, "environment_steps": taken}]


# ------------------------------------------------------------------------------------------ the parts and their jobs


def _jobs(table: str, task: dict[str, Any], rule: str, rate: float, window: int | None, seeds: int) -> list[Job]:
    gradient = "exact" if window is None else f"through {window} step{'s' * (window > 1)}"
    conditions = {"rule": rule, "gradient": gradient, "rate": f"rate {rate:g}"}
    arguments = {"rule": rule, "task": task, "rate": rate, "window": window, "steps": STEPS[table]}
    return [Job(table, conditions, seed, learn_online, arguments) for seed in range(seeds)]


def flip_flop(seeds: int, quick: bool) -> list[Job]:
    """Both rules: three rates with the exact gradient, and the chosen rate with gradients through few steps."""
    made = []
    for rule in RULES:
        cases = [(rate, None) for rate in RATES[rule]] + [(CHOSEN[rule], window) for window in (1, 5)]
        for rate, window in [(CHOSEN[rule], None)] if quick else cases:
            made += _jobs("flip_flop", FLIP_FLOP, rule, rate, window, seeds)
    return sorted(made, key=lambda job: job.seed)


def parking(seeds: int, quick: bool) -> list[Job]:
    """Both rules, with the gradient through one step: it solves parking as the exact one does, in less time."""
    return [job for rule in RULES for job in _jobs("parking", PARKING, rule, PARKING_RATES[rule], 1, seeds)]


PARTS = {"flip_flop": flip_flop, "parking": parking}

jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """The bars of the source for the flip-flop; parking must be solved by nine seeds of ten."""
    made = []
    for rule, bar in BARS.items():
        own = select(rows, table="flip_flop", rule=rule, gradient="exact", rate=f"rate {CHOSEN[rule]:g}")
        made += [
            make_claim(
                f"flip-flop, {rule}: median steps before 100 right ones", "steps", own, _median, None, bar, True
            ),
            make_claim(
                f"flip-flop, {rule}: seeds within {bar} steps", "share", own, partial(_within, bar=bar), 0.9, quick=True
            ),
        ]
        own = select(rows, table="parking", rule=rule)
        made.append(make_claim(f"parking, {rule}: seeds that solve it", "share", own, _solved, 0.9, quick=True))
    return made


def _median(rows: list[Row]) -> float:
    return float(np.median(numbers(rows, "solved_after")))


def _solved(rows: list[Row]) -> float:
    return float(np.isfinite(numbers(rows, "solved_after")).mean())


def _within(rows: list[Row], bar: int) -> float:
    return float((numbers(rows, "solved_after") <= bar).mean())
