"""The benchmark runs and says what it measured; no test asserts a time."""

from __future__ import annotations

import functools
import json

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import make_sb3
from scripts import benchmark
from scripts.baselines.loop_ppo import LoopPPO
from scripts.baselines.usual_way import ImageYardstick, Yardstick
from scripts.benchmarks import cores as core_speed
from scripts.benchmarks import libraries as library_speed
from scripts.benchmarks import load_limit, timing
from scripts.benchmarks import training as training_speed
from scripts.benchmarks import world_model as model_speed


def test_yardstick_sees_what_the_environment_sees():
    env, yardstick = gym.make(benchmark.DETECTION), Yardstick()
    assert env.observation_space == yardstick.observation_space
    assert env.action_space == yardstick.action_space
    env.action_space.seed(0)
    differences = []
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        for _ in range(25):
            world = env.unwrapped.get_state()["worlds"][0]
            seen = yardstick.place(world["wanted"][:2], world["gaze"][:2])
            assert yardstick.observation_space.contains(seen)
            differences += [observation[key] - seen[key] for key in seen]
            observation, *_ = env.step(env.action_space.sample())
    assert 255.0 * np.sqrt(np.mean(np.square(differences))) < 3.5
    assert 255.0 * abs(np.mean(differences)) < 0.5


def test_yardstick_moves_and_ends_as_the_environment_does():
    env, yardstick = gym.make(benchmark.DETECTION), Yardstick()
    env.action_space.seed(1)
    env.reset(seed=3)
    world = env.unwrapped.get_state()["worlds"][0]
    yardstick.place(world["wanted"][:2], world["gaze"][:2])
    terminated = False
    while not terminated:
        action = env.action_space.sample()
        _, reward, terminated, _, info = env.step(action)
        _, other_reward, other_terminated, _, other_info = yardstick.step(action)
        assert other_terminated == terminated
        assert other_reward == pytest.approx(reward, abs=0.3)
        assert other_info["distance"] == pytest.approx(info["distance"])


def test_rounds_tables_and_files(tmp_path):
    env = gym.make("CartPole-v1")
    nanoseconds = benchmark.measure({"CartPole, gym.make": (benchmark.stepper(env), 1)}, rounds=2)
    assert (nanoseconds["CartPole, gym.make"] > 0).all()
    names = benchmark.make_steppers()
    claims = benchmark.compare({name: np.array([2.0, 4.0]) for name in names})
    assert [claim.measured for claim in claims] == [1.0] * 8
    assert [claim.passed for claim in claims] == [False, True, False, False, *[True] * 4]
    lines = list(timing.table([timing.Timing("a", 1.0, 2.0)], claims, "CPU time of one update"))
    assert lines[0].startswith("CPU time of one update")
    assert len(lines) == 3 + 1 + len(claims)
    timing.report(nanoseconds, claims, False, tmp_path / "new")
    assert len((tmp_path / "new" / "claims.csv").read_text().splitlines()) == 1 + len(claims)
    assert (tmp_path / "new" / "timings.csv").read_text().startswith("name,least,median\n")


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "measure", lambda steppers, rounds: {n: np.ones(2) for n in steppers})
    monkeypatch.setattr(benchmark, "startup", lambda repeats: [])
    for number in (1, 2):
        benchmark.envs(quick=True, json_output=True)
        assert len(json.loads(capsys.readouterr().out)["claims"]) == 8
        assert (tmp_path / "runs" / "benchmark" / f"envs-{number}" / "claims.csv").is_file()


def test_image_yardstick_sees_what_the_environment_sees():
    env, yardstick = gym.make(benchmark.IMAGES, target="glimpse", exact=True), ImageYardstick()
    assert env.observation_space == yardstick.observation_space
    assert env.action_space == yardstick.action_space
    observation, info = yardstick.reset(seed=0)
    differences = []
    for seed in range(20):
        env.reset(seed=seed)
        world = env.unwrapped.get_state()["worlds"][0]
        yardstick._picture = yardstick._pictures[world["picture"]]
        seen = yardstick.look(world["gaze"][:2])
        differences.append(world["glimpse"][:40] - seen)
    assert 255.0 * np.sqrt(np.mean(np.square(differences))) < 9.0  # the gaze is rounded, the texture is not smooth
    terminated = False
    while not terminated:
        observation, reward, terminated, _, info = yardstick.step(yardstick.action_space.sample())
        assert yardstick.observation_space.contains(observation)
    assert yardstick.moves == 25
    assert info["distance"] >= 0.0
    assert reward <= 0.0


def test_suite_and_images_write_what_they_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "IDS", ("Foveal/GridSearch-v0",))
    benchmark.suite(rounds=1, output=tmp_path, lanes=(1, 2))
    lines = (tmp_path / "suite.csv").read_text().splitlines()
    assert lines[0] == "# python -m scripts.benchmark suite"
    assert len(lines) == 2 + 4
    assert "GridSearch-v0" in capsys.readouterr().out
    monkeypatch.setattr(benchmark, "measure", lambda steppers, rounds: {n: np.ones(2) for n in steppers})
    benchmark.images(quick=True, json_output=True, output=tmp_path)
    assert len(json.loads(capsys.readouterr().out)["claims"]) == 9


def test_the_load_limit_loads_the_lines_of_a_glimpse():
    make = functools.partial(gym.make_vec, benchmark.IMAGES, 4, vectorization_mode="vector_entry_point", channels=3)
    for retina, fields in (("rings", 40), ("multiscale", 192)):
        env = make(retina=retina)
        lines = load_limit.lines_of_a_glimpse(env.unwrapped.task)
        assert lines % 3 == 0
        assert 3 * fields / 16 <= lines <= 3 * fields  # a line holds 16 samples
        load_limit.load_limit(env, lines)(3)


def test_training_compares_learners(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(training_speed.SHARED, "n_steps", 4)
    monkeypatch.setattr(training_speed, "STEPS", 4)
    training_speed.training(lanes=(64,), rounds=1, json_output=True, output=tmp_path)
    printed = json.loads(capsys.readouterr().out)
    assert {"LSTM, N = 64", "loop over steps, N = 64"} <= {row["name"] for row in printed["timings"]}
    assert {"loop over steps / LSTM, N = 64", "LSTM / delta, N = 64"} <= {row["name"] for row in printed["claims"]}


def test_the_loop_over_steps_learns_what_needs_memory():
    learner = LoopPPO(make_sb3("Foveal/AssociativeRecall-v0", 32, seed=0, pairs=1, values=2), 16, 4, 4, 32, 1e-2)
    rewards = []
    for _ in range(25):
        rollout, first = learner.collect()
        rewards.append(rollout["reward"].mean().item())
        learner.update(rollout, first)
    assert np.mean(rewards[-10:]) > 0.95 * 0.5  # an answer every second step; 0.25 by chance


def test_fronts_are_timed_beside_the_core_alone(tmp_path, capsys):
    core_speed.fronts(names=("elman",), inputs=(3,), lanes=2, steps=3, rounds=2, output=tmp_path)
    assert "full convolution, clock" in capsys.readouterr().out
    rows = (tmp_path / "fronts.csv").read_text().splitlines()[2:]
    assert len(rows) == 2 * len(core_speed.FRONTS)
    assert [float(row.rsplit(",", 1)[1]) for row in rows if ",none," in row] == [1.0, 1.0]


def test_cores_are_timed_in_each_form(tmp_path, capsys):
    core_speed.cores(names=("elman", "gated_delta"), lanes=2, steps=3, rounds=2, output=tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 2 + 4
    lines = (tmp_path / "cores_cpu.csv").read_text().splitlines()
    assert lines[1] == "core,form,device,seed,nanoseconds"
    assert len(lines) == 2 + 2 * 6


def test_memory_is_measured_in_processes_of_their_own(tmp_path, capsys, monkeypatch):
    made = training_speed.learners(4)
    monkeypatch.setattr(training_speed, "learners", lambda: {"LSTM": made["LSTM"]})
    training_speed.memory(lanes=4, steps=4, output=tmp_path)
    assert capsys.readouterr().out.startswith("LSTM")
    assert (tmp_path / "memory.csv").read_text().splitlines()[1] == "learner,seed,mebibytes"


def test_workers_are_timed_by_the_wall_clock(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(training_speed.SHARED, "n_steps", 4)
    makers = training_speed.parallel()
    assert list(makers) == ["RecurrentPPO", "WorldModelController"]
    assert [type(make(4, 1)).__name__ for make in makers.values()] == list(makers)
    only = {"RecurrentPPO": makers["RecurrentPPO"]}  # processes take seconds to start
    monkeypatch.setattr(training_speed, "parallel", lambda: only)
    training_speed.workers(lanes=4, rounds=1, rollouts=2, json_output=True, output=tmp_path)
    printed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in printed["timings"]] == ["RecurrentPPO, one", "RecurrentPPO, two"]
    assert all(row["least"] > 0 for row in printed["timings"])


def test_models_are_timed_beside_their_matrix_products(tmp_path, capsys, monkeypatch):
    small = {"core_kwargs": {"hidden": (8,)}, "model_core_kwargs": {"hidden": (8,)}, "n_steps": 4, "updates": 1}
    monkeypatch.setattr(model_speed, "TASKS", {"cart": ("CartPole-v1", {**small, "window": 2})})
    products = []
    monkeypatch.setattr(torch, "mm", lambda left, right, mm=torch.mm: products.append(mm(left, right)))
    model_speed.models(batch_size=16, rounds=1, updates=2, json_output=True, output=tmp_path)
    printed = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in printed["timings"]} == {"cart: update", "cart: its products"}
    once = len(products) // 4  # two rounds of two
    nets = 3 + 3 + 2 * 2 + 2 * 2  # forward at least: M, V's two targets, C and M in imagination
    assert len(products) == 4 * once
    assert once > nets
    assert {tuple(one.shape) for one in products} >= {(16, 8), (32, 8), (16, 2)}


def test_libraries_that_are_there_are_timed_and_the_others_named(tmp_path, capsys, monkeypatch):
    def absent(form, lanes):
        raise ImportError("no such library")

    made = []
    monkeypatch.setattr(
        library_speed,
        "LIBRARIES",
        {"TorchRL, random": absent, "PufferLib, random": lambda form, lanes: lambda: made.append(form) or lanes},
    )
    library_speed.libraries(lanes=4, rounds=2, json_output=True, output=tmp_path)
    out = capsys.readouterr()
    printed = json.loads(out.out)
    assert {row["name"] for row in printed["timings"]} == {"PufferLib, random, native", "PufferLib, random, sync"}
    assert "TorchRL, random: left out" in out.err
    assert made == ["native", "sync"] * 3
