"""What every agent of `AGENTS` promises."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper

from agents import AGENTS, Agent, KeepBest, SaveCheckpoint, load_checkpoint, save_checkpoint
from agents.common.agent import Step

from .makers import MAKERS, env_of, make

NAMES = sorted(MAKERS)
STEPS = 160  # of all lanes together: several rollouts of each agent


def given(name: str) -> dict[str, Any]:
    """What `load` must be given again."""
    return make(name).not_data()


def numbers(value: Any) -> Iterator[np.ndarray]:
    """All numbers of nested data, in order."""
    if isinstance(value, torch.Tensor | np.ndarray | int | float):
        yield np.asarray(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from numbers(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from numbers(part)


def bits(agent: Agent) -> list[bytes]:
    """All that an agent has learned, and all that it keeps."""
    return [part.tobytes() for part in numbers([agent.get_parameters(), agent.get_state(), agent.num_timesteps])]


def learned(agent: Agent) -> list[bytes]:
    return [part.tobytes() for part in numbers(agent.get_parameters())]


def test_every_agent_is_here() -> None:
    assert {type(make(name)) for name in NAMES} == set(AGENTS.values())
    assert all(AGENTS[name].__name__ == name for name in AGENTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits_and_another_others(name: str) -> None:
    first, second = (make(name).learn(STEPS, log_interval=None) for _ in range(2))
    assert bits(first) == bits(second)
    third = make(name, env=env_of(name, seed=50), seed=50).learn(STEPS, log_interval=None)
    assert bits(first) != bits(third)


@pytest.mark.parametrize("name", NAMES)
def test_one_lane_learns_while_the_best_policy_is_kept(name: str) -> None:
    make(name, lanes=1).learn(STEPS, callback=KeepBest(), log_interval=None)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_it_acts_for_one_observation_and_for_a_batch(name: str, deterministic: bool) -> None:
    agent = make(name).learn(STEPS, log_interval=None)
    obs = agent.env.reset()
    actions, state = agent.predict(obs, deterministic=deterministic)
    assert all(agent.action_space.contains(action) for action in actions)
    assert len(actions) == 4
    again, _ = agent.predict(obs, state, np.array([True, False, False, True]), deterministic)
    assert again.shape == actions.shape
    one = {key: part[0] for key, part in obs.items()} if isinstance(obs, dict) else obs[0]
    action, _ = agent.predict(one, deterministic=deterministic)
    assert agent.action_space.contains(action)
    if deterministic and name != "HierarchicalController":  # whose plans are drawn
        np.testing.assert_allclose(action, actions[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_acts_the_same_and_learns_on(name: str, tmp_path: Any) -> None:
    agent = make(name).learn(STEPS, log_interval=None)
    agent.save(tmp_path / "agent")
    loaded = type(agent).load(tmp_path / "agent", **given(name))
    assert learned(loaded) == learned(agent)
    assert loaded.num_timesteps == agent.num_timesteps
    for key, value in agent.settings.items():
        if key not in given(name):
            assert str(loaded.settings[key]) == str(value), key
    obs, acted = agent.env.reset(), []
    for one in (agent, loaded):
        torch.manual_seed(0)
        acted.append(one.predict(obs, deterministic=True)[0])
    np.testing.assert_array_equal(*acted)
    loaded.set_env(env_of(name, 4))
    loaded.learn(STEPS, log_interval=None)
    assert learned(loaded) != learned(agent)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_a_second_time_and_after_a_stop_in_the_middle_of_a_rollout(name: str) -> None:
    class StopAt(BaseCallback):
        def _on_step(self) -> bool:
            return self.n_calls < 7

    agent = make(name).learn(STEPS, log_interval=None)
    agent.learn(STEPS, callback=StopAt(), reset_num_timesteps=False, log_interval=None)
    assert not agent.collecting
    agent.learn(STEPS, reset_num_timesteps=False, log_interval=None)
    assert all(np.isfinite(part).all() for part in numbers(agent.get_parameters()))


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_it_takes_the_usual_name_of_a_policy_for_its_observations(name: str) -> None:
    env = env_of(name)
    usual = "MultiInputPolicy" if isinstance(env.observation_space, spaces.Dict) else "MlpPolicy"
    assert type(make(name, env=env, policy=usual).policy) in type(make(name)).policy_aliases.values()


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_with_another_number_of_lanes(name: str, tmp_path: Any) -> None:
    agent = make(name).learn(STEPS, log_interval=None)
    before = learned(agent)
    agent.set_env(env_of(name, 6))
    assert learned(agent) == before
    agent.learn(STEPS, reset_num_timesteps=False, log_interval=None)
    agent.save(tmp_path / "agent")
    alone = type(agent).load(tmp_path / "agent", env=env_of(name, 1), **given(name))
    assert learned(alone) == learned(agent)
    alone.learn(30, reset_num_timesteps=False, log_interval=None)


def test_a_number_of_lanes_that_does_not_go_is_refused_and_changes_nothing() -> None:
    agent = make("RecurrentPPO", n_minibatches=4)
    with pytest.raises(ValueError, match=r"6 environments, n_minibatches=4"):
        agent.set_env(env_of("RecurrentPPO", 6))
    agent.learn(STEPS, log_interval=None)
    with pytest.raises(ValueError, match="space"):
        agent.set_env(env_of("WorldModelController", 4))


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_training_ends_in_the_same_bits(name: str, tmp_path: Any) -> None:
    agent = make(name).learn(2 * STEPS, callback=SaveCheckpoint(tmp_path, every=STEPS), log_interval=None)
    torch.manual_seed(99)  # the random states come from the checkpoint
    np.random.seed(99)  # noqa: NPY002
    resumed = load_checkpoint(type(agent), tmp_path, env_of(name, seed=77), **given(name))
    assert STEPS <= resumed.num_timesteps < 2 * STEPS
    resumed.learn(2 * STEPS - resumed.num_timesteps, reset_num_timesteps=False, log_interval=None)
    assert bits(resumed) == bits(agent)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_in_the_middle_of_a_rollout_does_not_claim_to_be_exact(name: str, tmp_path: Any) -> None:
    class Save(BaseCallback):
        claims: list[bool] = []  # noqa: RUF012

        def _on_step(self) -> bool:
            self.claims.append(save_checkpoint(self.model, tmp_path))  # type: ignore[arg-type]
            return self.n_calls < 2

    agent, save = make(name), Save()
    save.claims.clear()
    agent.learn(STEPS, callback=save, log_interval=None)
    whole = agent.rollout_length() == 1
    assert save.claims == [False, False] or whole
    assert save_checkpoint(agent, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_act_and_remember_change_nothing_that_they_were_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make(name)
    act, remember, compared = agent.act, agent.remember, []

    def watched_act(obs: Any, start: Any) -> Any:
        before = copy.deepcopy((obs, start))
        result = act(obs, start)
        assert [p.tobytes() for p in numbers(before)] == [p.tobytes() for p in numbers((obs, start))]
        compared.append("act")
        return result

    def watched_remember(step: Step) -> None:
        before = copy.deepcopy(step._asdict())
        remember(step)
        assert before.keys() == step._asdict().keys()
        assert before["act"].keys() == step.act.keys()
        assert [p.tobytes() for p in numbers(before)] == [p.tobytes() for p in numbers(step._asdict())]
        compared.append("remember")

    monkeypatch.setattr(agent, "act", watched_act)
    monkeypatch.setattr(agent, "remember", watched_remember)
    agent.learn(STEPS, log_interval=None)
    assert compared.count("act") == compared.count("remember") > 5


class Spoiled(VecEnvWrapper):
    """Puts a number that is none into the third step: a reward of lane 1, or a column of its observation."""

    def __init__(self, env: Any, what: str) -> None:
        super().__init__(env)
        self.what, self.count = what, 0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        obs, rewards, ends, infos = self.venv.step_wait()
        self.count += 1
        if self.count == 3 and self.what == "reward":
            rewards[1] = np.nan
        elif self.count == 3:
            (obs["observation"] if isinstance(obs, dict) else obs)[1, 1] = np.inf
        return obs, rewards, ends, infos


SPOILT = [(name, what) for name in NAMES for what in ("reward", "observation")]
for _name in NAMES:
    if _name.startswith(("AttentionAgent", "CuriousExplorer", "HQLearning")):  # which see whole numbers
        SPOILT.remove((_name, "observation"))
for _what in ("reward", "observation"):  # which plays in no wrapped environment
    SPOILT.remove(("VisionMemoryController", _what))


@pytest.mark.parametrize(("name", "what"), SPOILT)
def test_numbers_that_are_not_finite_are_refused_before_anything_is_learned(name: str, what: str) -> None:
    agent = make(name, env=Spoiled(env_of(name), what))
    before: list[bytes] = []

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            before[:] = learned(agent)

    where = r"lane 1 is nan" if what == "reward" else r"lane 1, column 1 is inf"
    with pytest.raises(FloatingPointError, match=rf"{what}.* of {where} after 12 steps"):
        agent.learn(STEPS, callback=Look(), log_interval=None)
    assert learned(agent) == before


@pytest.mark.parametrize("name", NAMES)
def test_unknown_and_former_keywords_are_refused(name: str) -> None:
    agent_class = type(make(name))
    with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'colour'; it takes .*seed"):
        make(name, colour="red")
    for former, present in agent_class.RENAMED.items():
        with pytest.raises(TypeError, match=rf"{former!r}, which is called {present!r} here"):
            make(name, **{former: 1})
        assert present in make(name).settings


def test_every_agent_keeps_its_keywords_as_attributes() -> None:
    for name in NAMES:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "policy" in make(name).settings
