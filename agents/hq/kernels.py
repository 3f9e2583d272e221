"""HQ-learning's compiled loops: choosing, handing over, learning from a trial, and whole trials in a known table."""

from __future__ import annotations

import math

import numpy as np

from ..cores.ops.compiled import compiled

GAMMA, MIX_1, MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)

Tables = tuple[np.ndarray, np.ndarray, np.ndarray]  # Q (M, O, A), HQ (M, O) float64; seen (O,) bool
World = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int]  # see `run_trials`
RULES = np.dtype(
    [
        ("gamma", np.float64),
        ("td_lambda", np.float64),
        ("rate", np.float64),  # of Q
        ("subgoal_rate", np.float64),  # of HQ
        ("temperature", np.float64),
        ("p_start", np.float64),  # p_max before the first trial
        ("trials", np.int64),  # until p_max is 1
        ("test_every", np.int64),  # trials between two tests; 0: no tests
    ]
)
COUNTS = np.dtype([(name, np.int64) for name in ("begun", "finished", "tests_begun", "tests_finished")])
# trials to learn from, and tests
STEP = np.dtype([("obs", np.int64), ("action", np.int64), ("agent", np.int64), ("reward", np.float64)])


def lane_record(agents: int) -> np.dtype[np.void]:
    """A lane's trial: number of steps, active agent, whether it is a test, random state, each agent's subgoal."""
    fields = [("steps", np.int64), ("active", np.int64), ("test", np.int64), ("random", np.uint64)]
    return np.dtype([*fields, ("subgoals", np.int64, (agents,))])


@compiled
def _uniform(lane: np.void) -> float:
    """A number in [0, 1), by SplitMix64."""
    state = lane["random"] + GAMMA
    lane["random"] = state
    z = (state ^ (state >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return float((z ^ (z >> S31)) >> S11) * 2.0**-53


@compiled
def _best_subgoal(hq: np.ndarray, seen: np.ndarray, agent: int) -> int:
    best = -1
    for o in range(len(seen)):
        if seen[o] and (best < 0 or hq[agent, o] > hq[agent, best]):
            best = o
    return best


@compiled
def _best_action(q: np.ndarray, agent: int, obs: int) -> int:
    values = q[agent, obs]
    best = 0
    for a in range(1, len(values)):
        if values[a] > values[best]:
            best = a
    return best


@compiled
def _choose_subgoal(tables: Tables, lane: np.void, p_max: float) -> None:
    """Max-Random: with probability p_max the best subgoal, else any observation seen so far; the last agent has none.

    Ties are broken at random; in tests the first wins.
    """
    _, hq, seen = tables
    agent = lane["active"]
    if agent == len(hq) - 1:
        return
    best = _best_subgoal(hq, seen, agent)
    lane["subgoals"][agent] = best
    if lane["test"]:
        return
    if _uniform(lane) < p_max:
        ties, value = 0, hq[agent, best]
        for o in range(len(seen)):
            if seen[o] and hq[agent, o] == value:
                ties += 1
                if ties > 1 and _uniform(lane) * ties < 1.0:
                    best = o
    else:
        left = int(_uniform(lane) * seen.sum())
        for o in range(len(seen)):
            if seen[o]:
                if left == 0:
                    best = o
                left -= 1
    lane["subgoals"][agent] = best


@compiled
def _choose_action(q: np.ndarray, lane: np.void, obs: int, p_max: float, temperature: float) -> int:
    """Max-Boltzmann: with probability p_max the best action, else a draw from exp(Q / temperature).

    Ties are broken at random; in tests the first wins.
    """
    agent = lane["active"]
    best = _best_action(q, agent, obs)
    if lane["test"]:
        return best
    values = q[agent, obs]
    if p_max >= 1.0 or _uniform(lane) < p_max:
        ties, value = 0, values[best]
        for a in range(len(values)):
            if values[a] == value:
                ties += 1
                if ties > 1 and _uniform(lane) * ties < 1.0:
                    best = a
        return best
    total = 0.0
    for a in range(len(values)):
        total += math.exp((values[a] - values[best]) / temperature)
    left = _uniform(lane) * total
    for a in range(len(values)):
        left -= math.exp((values[a] - values[best]) / temperature)
        if left < 0.0:
            return a
    return best


@compiled
def _p_max(lane: np.void, counts: np.void, rules: np.void) -> float:
    """1 in tests; otherwise it rises linearly with the finished trials."""
    if lane["test"]:
        return 1.0
    start = rules["p_start"]
    share: float = start + (1.0 - start) * counts["finished"] / rules["trials"]
    return min(1.0, share)


@compiled
def _begin(tables: Tables, lane: np.void, obs: int, counts: np.void, rules: np.void) -> None:
    """Start a trial: a test after every `test_every` trials, otherwise one to learn from."""
    _, _, seen = tables
    every = rules["test_every"]
    lane["steps"] = 0
    lane["active"] = 0
    lane["test"] = every > 0 and counts["begun"] // every > counts["tests_begun"]
    if lane["test"]:
        counts["tests_begun"] += 1
    else:
        counts["begun"] += 1
    seen[obs] = True
    _choose_subgoal(tables, lane, _p_max(lane, counts, rules))


@compiled
def _notice(
    tables: Tables, lane: np.void, trace: np.ndarray, obs: int, action: int, reward: float, after: int, ended: bool,
    counts: np.void, rules: np.void,
) -> None:  # fmt: skip
    """Write a step to the trace (L,). At its subgoal an agent hands over to the next, which chooses its own."""
    _, hq, seen = tables
    agent = lane["active"]
    step = trace[lane["steps"]]
    step["obs"], step["action"], step["agent"], step["reward"] = obs, action, agent, reward
    lane["steps"] += 1
    seen[after] = True
    if not ended and agent < len(hq) - 1 and after == lane["subgoals"][agent]:
        lane["active"] = agent + 1
        _choose_subgoal(tables, lane, _p_max(lane, counts, rules))


@compiled
def _finish(
    tables: Tables, lane: np.void, trace: np.ndarray, counts: np.void, tests: np.ndarray, rules: np.void
) -> None:
    """Learn from a finished trial, or record a finished test: trials before it, steps, sum of rewards."""
    steps = trace[: lane["steps"]]
    if not lane["test"]:
        _learn(tables, lane["subgoals"], steps, rules)
        counts["finished"] += 1
        return
    total = 0.0
    for t in range(len(steps)):
        total += steps[t]["reward"]
    row = tests[counts["tests_finished"]]
    row[0], row[1], row[2] = counts["finished"], len(steps), total
    counts["tests_finished"] += 1


@compiled
def _learn(tables: Tables, subgoals: np.ndarray, trace: np.ndarray, rules: np.void) -> None:
    """Q(lambda) and HQ(lambda), backwards over a trial.

    Args:
        tables: changed in place.
        subgoals: (M,), of each agent.
        trace: (T,) of `STEP`.
        rules: a record of `RULES`.
    """
    q, hq, seen = tables
    gamma, td_lambda, rate, subgoal_rate = rules["gamma"], rules["td_lambda"], rules["rate"], rules["subgoal_rate"]
    target = 0.0  # lambda return of the next step
    own = 0.0  # R_i: discounted rewards of the active agent
    factor = 1.0  # gamma ** (steps of that agent)
    later, value = 0.0, 0.0  # the next agent's lambda return and HV
    last = len(trace) - 1
    for t in range(last, -1, -1):
        obs, action, agent, reward = trace[t]["obs"], trace[t]["action"], trace[t]["agent"], trace[t]["reward"]
        if t == last:
            target = reward
        else:
            after = q[trace[t + 1]["agent"], trace[t + 1]["obs"]].max()
            target = reward + gamma * ((1.0 - td_lambda) * after + td_lambda * target)
        q[agent, obs, action] += rate * (target - q[agent, obs, action])
        own, factor = reward + gamma * own, factor * gamma
        if t > 0 and trace[t - 1]["agent"] == agent:
            continue
        whole = own + factor * ((1.0 - td_lambda) * value + td_lambda * later)  # the agent's first step: all is known
        later, value = whole, whole
        if agent < len(hq) - 1:
            o = subgoals[agent]
            hq[agent, o] += subgoal_rate * (whole - hq[agent, o])
            value = -math.inf
            for k in range(len(seen)):
                if seen[k]:
                    value = max(value, hq[agent, k])
        own, factor = 0.0, 1.0


@compiled
def act_all(
    tables: Tables, lanes: np.ndarray, obs: np.ndarray, starts: np.ndarray, counts: np.ndarray, rules: np.ndarray,
    actions: np.ndarray,
) -> bool:  # fmt: skip
    """Write actions (N,) for observations (N,); a trial starts where ``starts`` (N,) is True.

    Returns:
        Whether all observations are in the tables; if not, nothing has changed.
    """
    q, _, _ = tables
    for i in range(len(lanes)):
        if not 0 <= obs[i] < q.shape[1]:
            return False
    count, rule = counts[0], rules[0]
    for i in range(len(lanes)):
        if starts[i]:
            _begin(tables, lanes[i], obs[i], count, rule)
        actions[i] = _choose_action(q, lanes[i], obs[i], _p_max(lanes[i], count, rule), rule["temperature"])
    return True


@compiled
def notice_all(
    tables: Tables, lanes: np.ndarray, trace: np.ndarray, obs: np.ndarray, actions: np.ndarray, rewards: np.ndarray,
    after: np.ndarray, ends: np.ndarray, counts: np.ndarray, rules: np.ndarray,
) -> None:  # fmt: skip
    """Write one step of every lane to its trace (N, L), and hand over; ``after`` (N,) are the next observations."""
    for i in range(len(lanes)):
        _notice(tables, lanes[i], trace[i], obs[i], actions[i], rewards[i], after[i], ends[i], counts[0], rules[0])


@compiled
def finish_all(
    tables: Tables, lanes: np.ndarray, trace: np.ndarray, ends: np.ndarray, counts: np.ndarray, tests: np.ndarray,
    rules: np.ndarray,
) -> None:  # fmt: skip
    """Learn from the trials that ended, and record the tests that did."""
    for i in range(len(lanes)):
        if ends[i]:
            _finish(tables, lanes[i], trace[i], counts[0], tests, rules[0])


@compiled
def run_trials(
    tables: Tables, lanes: np.ndarray, trace: np.ndarray, counts: np.ndarray, tests: np.ndarray, rules: np.ndarray,
    world: World, trials: int,
) -> int:  # fmt: skip
    """Run whole trials of one lane in a known table, with the results of ``act_all``, ``notice_all``, ``finish_all``.

    Args:
        tables: changed in place.
        lanes: (1,) of `lane_record`.
        trace: (1, L) of `STEP`, L at least the longest trial.
        counts: (1,) of `COUNTS`.
        tests: (K, 3), trials before each test, its steps and its sum of rewards, with room for all tests to come.
        rules: (1,) of `RULES`.
        world: the next states (S, A), observations (S,), rewards (S, A), whether a state is an end (S,), the first
            state, the longest trial.
        trials: number of trials, tests included.

    Returns:
        Number of steps taken.
    """
    q, _, _ = tables
    lane, count, rule = lanes[0], counts[0], rules[0]
    leads_to, codes, pays, is_end, first, longest = world
    total = 0
    for _ in range(trials):
        state, ended = first, False
        _begin(tables, lane, codes[state], count, rule)
        while not ended:
            obs = codes[state]
            action = _choose_action(q, lane, obs, _p_max(lane, count, rule), rule["temperature"])
            reward = pays[state, action]
            state = leads_to[state, action]
            ended = is_end[state] or lane["steps"] + 1 >= longest
            _notice(tables, lane, trace[0], obs, action, reward, codes[state], ended, count, rule)
        total += lane["steps"]
        _finish(tables, lane, trace[0], count, tests, rule)
    return total


@compiled
def predict_all(
    tables: Tables, obs: np.ndarray, starts: np.ndarray, active: np.ndarray, subgoals: np.ndarray, actions: np.ndarray
) -> None:
    """Write greedy actions (N,); active agents and subgoals (N,) change when an agent starts or hands over."""
    q, hq, seen = tables
    for i in range(len(obs)):
        if starts[i]:
            active[i] = 0
        elif active[i] < len(hq) - 1 and obs[i] == subgoals[i]:
            active[i] += 1
        else:
            actions[i] = _best_action(q, active[i], obs[i])
            continue
        subgoals[i] = _best_subgoal(hq, seen, active[i])
        actions[i] = _best_action(q, active[i], obs[i])
