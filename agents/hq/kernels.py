"""HQ-learning's compiled loops: choosing, handing over and learning from a trial, and whole trials in a known table.

They call nothing outside this file, so that Numba's cache cannot miss a change.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_jit = numba.njit(cache=True, nogil=True)

GAMMA, MIX_1, MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
BEGUN, FINISHED, TESTS = range(3)  # counts: trials begun to learn from, finished ones, and tests finished
Tables = tuple[np.ndarray, np.ndarray, np.ndarray]  # Q (M, O, A), HQ (M, O) float64; seen (O,) bool
Rules = tuple[float, float, float, float, float, float, int, int]
# gamma, lambda, rates of Q and of HQ, temperature, p_max at first, trials until it is 1, trials between tests (0: none)


def lane_record(agents: int) -> np.dtype[np.void]:
    """What a lane knows of its trial: steps, active agent, each agent's subgoal, whether it is a test, random state."""
    fields = [("steps", np.int64), ("active", np.int64), ("test", np.int64), ("random", np.uint64)]
    return np.dtype([*fields, ("subgoals", np.int64, (agents,))])


@_jit
def _uniform(lanes: np.ndarray, i: int) -> float:
    """A number in [0, 1), by SplitMix64."""
    state = lanes[i]["random"] + GAMMA
    lanes[i]["random"] = state
    z = (state ^ (state >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return float((z ^ (z >> S31)) >> S11) * 2.0**-53


@_jit
def _best_subgoal(tables: Tables, agent: int) -> int:
    hq, seen = tables[1], tables[2]
    best = -1
    for o in range(hq.shape[1]):
        if seen[o] and (best < 0 or hq[agent, o] > hq[agent, best]):
            best = o
    return best


@_jit
def _best_action(tables: Tables, agent: int, obs: int) -> int:
    values = tables[0][agent, obs]
    best = 0
    for a in range(1, len(values)):
        if values[a] > values[best]:
            best = a
    return best


@_jit
def _choose_subgoal(tables: Tables, lanes: np.ndarray, i: int, p_max: float) -> None:
    """Max-Random: with probability p_max the best subgoal, else any observation met so far; the last agent has none.

    Among equals chance decides, but in tests the first is taken.
    """
    seen, agent = tables[2], lanes[i]["active"]
    if agent == tables[1].shape[0] - 1:
        return
    best = _best_subgoal(tables, agent)
    lanes[i]["subgoals"][agent] = best
    if lanes[i]["test"]:
        return
    if _uniform(lanes, i) < p_max:
        ties, value = 0, tables[1][agent, best]
        for o in range(len(seen)):
            if seen[o] and tables[1][agent, o] == value:
                ties += 1
                if ties > 1 and _uniform(lanes, i) * ties < 1.0:
                    best = o
    else:
        left = int(_uniform(lanes, i) * seen.sum())
        for o in range(len(seen)):
            if seen[o]:
                if left == 0:
                    best = o
                left -= 1
    lanes[i]["subgoals"][agent] = best


@_jit
def _choose_action(tables: Tables, lanes: np.ndarray, i: int, obs: int, p_max: float, temperature: float) -> int:
    """Max-Boltzmann: with probability p_max the best action, else a draw from exp(Q / temperature).

    Among equals chance decides, but in tests the first is taken.
    """
    agent = lanes[i]["active"]
    best = _best_action(tables, agent, obs)
    if lanes[i]["test"]:
        return best
    values = tables[0][agent, obs]
    if p_max >= 1.0 or _uniform(lanes, i) < p_max:
        ties, value = 0, values[best]
        for a in range(len(values)):
            if values[a] == value:
                ties += 1
                if ties > 1 and _uniform(lanes, i) * ties < 1.0:
                    best = a
        return best
    total = 0.0
    for a in range(len(values)):
        total += math.exp((values[a] - values[best]) / temperature)
    left = _uniform(lanes, i) * total
    for a in range(len(values)):
        left -= math.exp((values[a] - values[best]) / temperature)
        if left < 0.0:
            return a
    return best


@_jit
def _p_max(lanes: np.ndarray, i: int, counts: np.ndarray, rules: Rules) -> float:
    """1 in tests; else rising linearly with the finished trials."""
    if lanes[i]["test"]:
        return 1.0
    return min(1.0, rules[5] + (1.0 - rules[5]) * counts[FINISHED] / rules[6])


@_jit
def _begin(tables: Tables, lanes: np.ndarray, i: int, obs: int, counts: np.ndarray, rules: Rules) -> None:
    """Start a trial, which is a test after every so many trials."""
    every = rules[7]
    lanes[i]["steps"] = 0
    lanes[i]["active"] = 0
    lanes[i]["test"] = every > 0 and counts[BEGUN] // every > counts[TESTS + 1]
    if lanes[i]["test"]:
        counts[TESTS + 1] += 1
    else:
        counts[BEGUN] += 1
    tables[2][obs] = True
    _choose_subgoal(tables, lanes, i, _p_max(lanes, i, counts, rules))


@_jit
def _notice(tables: Tables, lanes: np.ndarray, i: int, obs: int, ended: bool, counts: np.ndarray, rules: Rules) -> None:
    """What a step led to: the subgoal hands over to the next agent, which chooses its own."""
    tables[2][obs] = True
    lanes[i]["steps"] += 1
    agent = lanes[i]["active"]
    if not ended and agent < tables[1].shape[0] - 1 and obs == lanes[i]["subgoals"][agent]:
        lanes[i]["active"] = agent + 1
        _choose_subgoal(tables, lanes, i, _p_max(lanes, i, counts, rules))


@_jit
def _finish(
    tables: Tables, lanes: np.ndarray, i: int, trace: np.ndarray, rewards: np.ndarray,
    counts: np.ndarray, tests: np.ndarray, rules: Rules,
) -> None:  # fmt: skip
    """Learn from a finished trial, or record a finished test: trials before it, steps, sum of rewards."""
    if not lanes[i]["test"]:
        _learn(tables, lanes[i]["subgoals"], trace[i, : lanes[i]["steps"]], rewards[i], rules)
        counts[FINISHED] += 1
        return
    row = tests[counts[TESTS]]
    row[0], row[1], row[2] = counts[FINISHED], lanes[i]["steps"], 0.0
    for t in range(lanes[i]["steps"]):
        row[2] += rewards[i, t]
    counts[TESTS] += 1


@_jit
def _learn(tables: Tables, subgoals: np.ndarray, trace: np.ndarray, rewards: np.ndarray, rules: Rules) -> None:
    """Q(lambda) and HQ(lambda), backwards over a trial.

    Args:
        tables: changed in place.
        subgoals: (M,) of each agent.
        trace: (T, 3) observation, action and agent of each step.
        rewards: (T,) of each step.
        rules: see above.
    """
    q, hq, seen = tables
    gamma, decay, rate, subgoal_rate = rules[0], rules[1], rules[2], rules[3]
    target = 0.0  # of the step after, lambda return
    own = 0.0  # R_i: discounted rewards of the agent that acts
    factor = 1.0  # gamma ** (steps of that agent)
    later, value = 0.0, 0.0  # the next agent's lambda return and HV
    last = len(trace) - 1
    for t in range(last, -1, -1):
        obs, action, agent = trace[t, 0], trace[t, 1], trace[t, 2]
        if t == last:
            target = rewards[t]
        else:
            after = q[trace[t + 1, 2], trace[t + 1, 0]].max()
            target = rewards[t] + gamma * ((1.0 - decay) * after + decay * target)
        q[agent, obs, action] += rate * (target - q[agent, obs, action])
        own, factor = rewards[t] + gamma * own, factor * gamma
        if t > 0 and trace[t - 1, 2] == agent:
            continue
        whole = own + factor * ((1.0 - decay) * value + decay * later)  # the agent's first step: all of it is known
        later, value = whole, whole
        if agent < hq.shape[0] - 1:
            o = subgoals[agent]
            hq[agent, o] += subgoal_rate * (whole - hq[agent, o])
            value = -math.inf
            for k in range(hq.shape[1]):
                if seen[k]:
                    value = max(value, hq[agent, k])
        own, factor = 0.0, 1.0


@_jit
def act_all(
    tables: Tables, lanes: np.ndarray, obs: np.ndarray, starts: np.ndarray, counts: np.ndarray, rules: Rules,
    actions: np.ndarray,
) -> None:  # fmt: skip
    """Actions (N,) for observations (N,); a trial begins where ``starts`` (N,)."""
    for i in range(len(lanes)):
        if starts[i]:
            _begin(tables, lanes, i, obs[i], counts, rules)
        actions[i] = _choose_action(tables, lanes, i, obs[i], _p_max(lanes, i, counts, rules), rules[4])


@_jit
def notice_all(
    tables: Tables, lanes: np.ndarray, obs: np.ndarray, actions: np.ndarray, rewards_now: np.ndarray,
    ends: np.ndarray, following: np.ndarray, trace: np.ndarray, rewards: np.ndarray, counts: np.ndarray, rules: Rules,
) -> None:  # fmt: skip
    """Write one step of every lane into its trace (N, L, 3) and rewards (N, L), and hand over."""
    for i in range(len(lanes)):
        t = lanes[i]["steps"]
        trace[i, t, 0], trace[i, t, 1], trace[i, t, 2] = obs[i], actions[i], lanes[i]["active"]
        rewards[i, t] = rewards_now[i]
        _notice(tables, lanes, i, following[i], ends[i], counts, rules)


@_jit
def finish_all(
    tables: Tables, lanes: np.ndarray, ends: np.ndarray, trace: np.ndarray, rewards: np.ndarray,
    counts: np.ndarray, tests: np.ndarray, rules: Rules,
) -> None:  # fmt: skip
    """Learn from the trials that ended, and record the tests that did."""
    for i in range(len(lanes)):
        if ends[i]:
            _finish(tables, lanes, i, trace, rewards, counts, tests, rules)


@_jit
def run_trials(
    tables: Tables, lanes: np.ndarray, trace: np.ndarray, rewards: np.ndarray, counts: np.ndarray, tests: np.ndarray,
    rules: Rules, world: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int], trials: int,
) -> int:  # fmt: skip
    """Whole trials of one lane in a known table, as ``act_all``, ``notice_all`` and ``finish_all`` would do them.

    Args:
        world: states that actions lead to (S, A), observations (S,), rewards (S, A), whether states are ends (S,), the
            first state, the longest trial.
        trials: how many, tests included.

    Returns:
        Steps made.
    """
    leads_to, codes, pays, is_end, first, longest = world
    total = 0
    for _ in range(trials):
        state, ended = first, False
        _begin(tables, lanes, 0, codes[state], counts, rules)
        while not ended:
            obs = codes[state]
            action = _choose_action(tables, lanes, 0, obs, _p_max(lanes, 0, counts, rules), rules[4])
            t = lanes[0]["steps"]
            trace[0, t, 0], trace[0, t, 1], trace[0, t, 2] = obs, action, lanes[0]["active"]
            rewards[0, t] = pays[state, action]
            state = leads_to[state, action]
            ended = is_end[state] or t + 1 >= longest
            _notice(tables, lanes, 0, codes[state], ended, counts, rules)
        total += lanes[0]["steps"]
        _finish(tables, lanes, 0, trace, rewards, counts, tests, rules)
    return total


@_jit
def predict_all(
    tables: Tables, obs: np.ndarray, starts: np.ndarray, active: np.ndarray, subgoals: np.ndarray, actions: np.ndarray
) -> None:
    """Greedy actions (N,); active agents and their subgoals (N,) change in place where one hands over or starts."""
    for i in range(len(obs)):
        if starts[i]:
            active[i] = 0
        elif active[i] < tables[1].shape[0] - 1 and obs[i] == subgoals[i]:
            active[i] += 1
        else:
            actions[i] = _best_action(tables, active[i], obs[i])
            continue
        subgoals[i] = _best_subgoal(tables, active[i])
        actions[i] = _best_action(tables, active[i], obs[i])
