"""Supervised experiments: sequences that a perfect memory solves, gradients, jobs and claims in a tiny form."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.cores import make_core
from agents.cores.ops.chunked import read, write, write_delta
from scripts.experiments.deblurring import DECAY, INPUTS, OUTPUTS, TwoRates, deblur
from scripts.experiments.fwp1 import (
    FLIP_FLOP,
    PARKING,
    RULES,
    ForwardGradient,
    WindowGradient,
    learn_online,
    make_programmer,
    stream,
)
from scripts.experiments.fwp6 import SymbolMemory, crossing, draw_reused, last_values
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import Job, run_jobs
from scripts.experiments.shared.sequence_tasks import (
    Chains,
    ChangingLabels,
    ContinualReber,
    PairRecall,
    Retrieval,
    StepsBack,
    Variables,
)
from scripts.experiments.shared.supervised import IGNORED, Batch, SequenceModel, SequenceTask, Training, evaluate, learn
from scripts.experiments.state_tracking import Strings

PAPERS = (  # the others learn in environments
    *("fwp1", "fwp4a", "fwp6", "fwp7", "srwm", "fwm", "lstm2", "recall", "state_tracking", "deblurring"),
)
Answers = Callable[[np.ndarray], list[int]]  # from the inputs (T, D) of one sequence to an answer a step


# ---------------------------------------------------------------------------------- explicit perfect memories


def recall_pairs(x: np.ndarray) -> list[int]:
    memory, answers = {}, []
    for row in x:
        key, value = int(row[:64].argmax()), row[64:]
        if value.any():
            memory[key] = int(value.argmax())
        answers.append(memory[key])
    return answers


def retrieve(x: np.ndarray) -> list[int]:
    symbols = x.argmax(1).tolist()
    memory = dict(zip(symbols[:-3:2], symbols[1:-3:2], strict=True))
    return [0] * (len(symbols) - 1) + [memory[symbols[-1]] - 26]


def execute(x: np.ndarray) -> list[int]:
    values, answers = [0] * 5, []
    for row in x:
        kind, v, w, d = (int(part.argmax()) for part in np.split(row, [4, 9, 14]))
        answers.append(values[v])
        if kind < 3:
            values[v] = (d, (values[v] + 1) % 10, values[w])[kind]
    return answers


def follow_labels(x: np.ndarray) -> list[int]:
    memory: dict[int, int] = {}
    answers = []
    for row in x:
        symbol, last, label = np.split(row, [20, 40])
        if label.any():
            memory[int(last.argmax())] = int(label.argmax())
        answers.append(memory.get(int(symbol.argmax()), 0))
    return answers


def follow_chains(x: np.ndarray) -> list[int]:
    memory, answers = {}, []
    for row in x:
        first, second, reads = np.split(row, [16, 32])
        answer = int(first.argmax())
        if second.any():
            memory[answer] = int(second.argmax())
        for _ in range(1 + int(reads.argmax())) if reads.any() else ():
            answer = memory[answer]
        answers.append(answer)
    return answers


def parse_reber(x: np.ndarray) -> list[int]:
    """The second letter of the string that a step belongs to; a string ends with the second E."""
    answers, place, ends, second = [], 0, 0, 0
    for letter in x.argmax(1).tolist():
        second = letter if place == 1 else second
        ends += letter == 6
        place = 0 if ends == 2 else place + 1
        ends %= 2
        answers.append(second)
    return answers


def look_back(x: np.ndarray) -> list[int]:
    symbols = x.argmax(1).tolist()
    return [0] * 32 + symbols[:-32]


def count_ones(x: np.ndarray) -> list[int]:
    answers: list[int] = (x.argmax(1).cumsum() % 2).tolist()
    return answers


def close_brackets(x: np.ndarray) -> list[int]:
    """The kind of the innermost bracket that is open, of two; 2 if there is none."""
    stack, answers = [], []
    for symbol in x.argmax(1).tolist():
        if symbol < 2:
            stack.append(symbol)
        else:
            stack.pop()
        answers.append(stack[-1] if stack else 2)
    return answers


SOLVED: list[tuple[SequenceTask, Answers]] = [
    (PairRecall(), recall_pairs),
    (Retrieval(), retrieve),
    (Variables(), execute),
    (ChangingLabels(half=0), follow_labels),
    (Chains(), follow_chains),
    (ContinualReber(), parse_reber),
    (StepsBack(), look_back),
    (Strings("parity", (5, 40)), count_ones),
    (Strings("dyck", (6, 20)), close_brackets),
]


def score(task: SequenceTask, answers: Answers, level: int) -> float:
    batch = task.sample(np.random.default_rng(0), level, 40)
    given = torch.tensor([answers(batch.x[:, column].numpy()) for column in range(40)]).T
    return float((given == batch.target)[batch.scored].float().mean())


@pytest.mark.parametrize(("task", "answers"), SOLVED, ids=lambda value: type(value).__name__)
def test_a_perfect_memory_solves_every_sequence(task: SequenceTask, answers: Answers) -> None:
    assert all(score(task, answers, level) == 1.0 for level in task.levels)

    def without_memory(x: np.ndarray) -> list[int]:
        return [0] * len(x)

    assert score(task, without_memory, task.levels[-1]) < 0.6


@pytest.mark.parametrize(("task", "answers"), SOLVED, ids=lambda value: type(value).__name__)
def test_batches_fit_their_task(task: SequenceTask, answers: Answers) -> None:
    batch = task.sample(np.random.default_rng(1), task.levels[-1], 7)
    assert batch.x.shape == (*batch.target.shape, task.input_size)
    assert batch.scored.any()
    assert (batch.target[batch.scored] != IGNORED).all()
    assert batch.target.max() < task.classes
    assert batch.start[0].all()
    again = task.sample(np.random.default_rng(1), task.levels[-1], 7)
    assert torch.equal(batch.x, again.x)


def test_changed_labels_need_the_new_ones() -> None:
    batch = ChangingLabels(half=1).sample(np.random.default_rng(0), 40, 200)
    assert not batch.scored[:20].any()
    assert score(ChangingLabels(half=1), follow_labels, 40) == 1.0


def test_strings_that_are_told_begin_with_b() -> None:
    batch = ContinualReber(told=True).sample(np.random.default_rng(0), 100, 5)
    assert batch.x[batch.start][:, 0].all()
    assert batch.start.sum() > 5 * 4
    assert ContinualReber().sample(np.random.default_rng(0), 100, 5).start.sum() == 5


# ---------------------------------------------------------------------------------- the training loop


def test_training_learns_and_gives_what_was_spent() -> None:
    torch.manual_seed(0)
    task = PairRecall(levels=(1, 2), keys=4, classes=2)
    model = SequenceModel("delta", task, form="parallel")
    training = Training(cpu_seconds=60.0, rate=1e-2, updates=120)
    training.run(model, task, seed=0)
    assert training.measured["updates"] == 120
    assert training.measured["reached"] == 2
    assert training.measured["environment_steps"] >= 120 * 32 * 2
    assert evaluate(model, task, 2, seed=0) > 0.9


@pytest.mark.parametrize("window", [None, 1])
def test_a_window_of_one_cuts_the_gradient_to_earlier_steps(window: int | None) -> None:
    torch.manual_seed(0)
    batch = PairRecall().sample(np.random.default_rng(0), 4, 3)
    x = batch.x.requires_grad_()
    model = SequenceModel("delta", PairRecall(), form="parallel")
    outputs = model(Batch(x, batch.target, batch.scored, batch.start), window)
    outputs[-1].sum().backward()
    assert bool(x.grad is not None and x.grad[:4].any()) == (window is None)
    whole = model(batch)
    assert torch.allclose(outputs, whole, atol=1e-5)


# ---------------------------------------------------------------------------------- jobs and claims


def tiny(job: Job) -> Job:
    """The same job with two updates, or two hundred on-line steps."""
    arguments: dict[str, Any] = dict(job.arguments)
    if job.run is learn:
        arguments |= {"training": {**arguments["training"], "updates": 2}, "sequences": 4}
        tests = arguments.get("tests", {})
        arguments["tests"] = {name: (task, min(level, 50)) for name, (task, level) in tests.items()}
    elif job.run is learn_online:
        arguments["steps"] = 200
    elif job.run is deblur:
        return job  # a fraction of a second
    else:
        arguments |= {"updates": 2, "symbols": min(arguments["symbols"], 20)}
    return Job(job.table, job.conditions, job.seed, job.run, arguments)


@pytest.mark.parametrize("name", PAPERS)
def test_jobs_run_and_claims_are_measured(name: str) -> None:
    module = importlib.import_module(f"scripts.experiments.{name}")
    made = module.jobs((), 10, False)
    assert len({job.key() for job in made}) == len(made)
    assert {job.table for job in made} == {job.table for job in module.jobs((), 1, True)}
    rows = run_jobs([tiny(job) for job in module.jobs((), 1, True)], processes=1).rows
    claims = judge(module.claims(rows))
    assert claims
    assert all(claim.seeds == 1 and not np.isnan(claim.measured) for claim in claims)
    assert judge(module.claims([])) == []
    assert len(judge(module.claims([{**row, "seed": 1} for row in rows] + rows))) == len(claims)


# ---------------------------------------------------------------------------------- on line: fwp1


def test_streams_ask_what_a_memory_can_tell() -> None:
    armed = False
    for x, wanted in stream("Foveal/FlipFlop-v0", 300, 0):
        a, b, _ = x
        assert wanted is not None
        assert wanted[0] == (armed and b)
        armed = bool(a or (armed and not b))
    slot, asked = np.zeros(3), 0
    for x, wanted in stream("Foveal/Parking-v0", 300, 0):
        slot = x[:3] if x[:3].any() else slot
        if wanted is not None:
            assert (wanted == slot).all()
            asked += 1
    assert asked > 20


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("task", [FLIP_FLOP, PARKING], ids=["flip_flop", "parking"])
def test_both_gradients_are_those_of_the_unfolded_net(rule: str, task: dict[str, Any]) -> None:
    core = make_programmer(rule, task, 0).double()
    torch.nn.init.uniform_(core.slow.weight, -1, 1)
    learners = [ForwardGradient(core), WindowGradient(core, 50)]
    inputs: list[Tensor] = []
    for x, wanted in stream(task["env_id"], 40, 3):
        inputs.append(torch.from_numpy(x).double())
        target = None if wanted is None else torch.from_numpy(wanted).double()
        (output, exact), (unfolded, window) = (learner.step(inputs[-1], target) for learner in learners)
        assert torch.allclose(output, unfolded)
        if target is None or len(inputs) == 1:
            continue
        start = torch.zeros(len(inputs), 1, dtype=torch.bool)
        outputs, _ = core.loop(torch.stack(inputs)[:, None], core.initial_state(1), start)
        (gradient,) = torch.autograd.grad((outputs[-1, 0] - target).square().sum() / 2, [core.slow.weight])
        assert torch.allclose(exact["slow.weight"], gradient, atol=1e-10)
        assert torch.allclose(window["slow.weight"], gradient, atol=1e-10)


def test_slow_net_without_biases() -> None:
    assert make_core("fast_weights_1991", 3, size=2).slow.bias is not None
    assert make_core("fast_weights_1991", 3, size=2, bias=False).slow.bias is None


# ---------------------------------------------------------------------------------- two rates: deblurring


def test_fast_weights_learn_like_slow_ones_and_decay() -> None:
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(3, INPUTS)) / INPUTS**0.5, rng.normal(size=(3, OUTPUTS))
    net, one = TwoRates(0.1, 0.3), TwoRates(0.4, 0.0)
    net.sweep(x, targets)
    one.sweep(x, targets)
    assert net.error(x, targets) == pytest.approx(one.error(x, targets))
    assert net.error(x, targets) < np.square(targets).mean()
    slow, fast = net.slow.copy(), net.fast.copy()
    assert np.allclose(fast, 3 * slow)
    net.sweep(x, x @ (slow + fast).T)  # nothing to learn
    assert np.allclose(net.slow, slow)
    assert np.allclose(net.fast, DECAY * fast)
    net.rest()
    assert not net.fast.any()


def test_what_is_mastered_is_known_without_fast_weights() -> None:
    rng = np.random.default_rng(1)
    x, targets = rng.choice([-1.0, 1.0], (10, INPUTS)) / INPUTS**0.5, rng.choice([-1.0, 1.0], (10, OUTPUTS))
    net = TwoRates(0.05, 0.4)
    net.master(x, targets)
    assert net.error(x, targets) < 0.01
    assert net.sweeps > 10


# ---------------------------------------------------------------------------------- capacity: fwp6


def test_loss_of_unique_keys_is_that_of_the_sequence() -> None:
    torch.manual_seed(0)
    memory = SymbolMemory("elu", 6, key_size=4)
    fast, total = torch.zeros(4, 6), torch.zeros(4)
    value_of = torch.randperm(6)
    for key in torch.randperm(6):
        phi = memory.phi(memory.keys[key])
        fast, total = write(fast, phi, torch.eye(6)[value_of[key]]), total + phi
    losses = []
    for key in range(6):
        query = memory.phi(memory.queries[key])
        out = read(fast, query) / (query @ total)
        losses.append((out - torch.eye(6)[value_of[key]]).square().sum() / 2)
    assert torch.allclose(torch.stack(losses).mean(), memory.unique(), atol=1e-5)


@pytest.mark.parametrize("delta", [False, True])
def test_loss_of_reused_keys_is_that_of_the_sequence(delta: bool) -> None:
    torch.manual_seed(0)
    memory = SymbolMemory("elu", 5, delta, key_size=4)
    torch.nn.init.normal_(memory.rates)
    keys, values = draw_reused(np.random.default_rng(0), 5, 3)
    losses = []
    for column in range(3):
        fast, total, last = torch.zeros(4, 5), torch.zeros(4), {}
        for key, value in zip(keys[:, column].tolist(), values[:, column].tolist(), strict=True):
            phi, rate = memory.phi(memory.keys[key]), torch.sigmoid(memory.rates[key])
            one = torch.eye(5)[value]
            fast = write_delta(fast, phi, one, rate) if delta else write(fast, phi, one)
            total, last[key] = total + phi, value
        for key, value in last.items():
            query = memory.phi(memory.queries[key])
            out = read(fast, query) / (1.0 if delta else query @ total)
            losses.append((out - torch.eye(5)[value]).square().sum() / 2)
    assert torch.allclose(torch.stack(losses).mean(), memory.reused(keys, values), atol=1e-5)


def test_last_values_and_crossing() -> None:
    wanted, seen = last_values(torch.tensor([[0], [2], [0]]), torch.tensor([[1], [3], [2]]), 4)
    assert wanted.tolist() == [[2, 0, 3, 0]]
    assert seen.tolist() == [[True, False, True, False]]
    rows = [{"keys": keys, "loss": loss, "seed": 0} for keys, loss in ((10, 0.0), (20, 0.1), (30, 0.4))]
    assert crossing(rows) == pytest.approx(15.0)
    assert crossing(rows[:1]) == np.inf
