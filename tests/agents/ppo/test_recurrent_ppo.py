from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from agents import (
    CORES,
    FieldPolicy,
    GridPolicy,
    GymnasiumVecEnv,
    RecurrentPolicy,
    RecurrentPPO,
    load_checkpoint,
    make_sb3,
    save_checkpoint,
)
from agents.common.losses import clipped_surrogate

from ..worlds import PointVectorEnv

SMALL = {
    "n_steps": 12,
    "n_epochs": 2,
    "core_kwargs": {"size": 8},
    "policy_kwargs": {"encoder": (8,), "net_arch": (8,)},
    "seed": 0,
}


class Recall(gym.Env):
    """The first observation tells the last action's right value; between them lies noise."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, moves: int = 5) -> None:
        self.moves = moves

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cue, self.time = int(self.np_random.integers(2)), 0
        return np.array([2 * self.cue - 1, 1], np.float32), {}

    def step(self, action: int) -> Any:
        self.time += 1
        over = self.time == self.moves
        noise = self.np_random.uniform(-1, 1)
        return np.array([noise, 0], np.float32), float(over and action == self.cue), over, False, {}


class Anything(gym.Env):
    """Random observations of a space; episodes of random length, terminated or truncated."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        chance = self.np_random.random()
        return self.observation_space.sample(), 1.0, chance < 0.1, chance > 0.9, {}


def lanes(make: Any, count: int = 8) -> GymnasiumVecEnv:
    env = GymnasiumVecEnv(SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.SAME_STEP))
    env.seed(0)
    return env


def parameters(agent: RecurrentPPO) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in agent.policy.parameters()])


@pytest.mark.parametrize("core", ["lstm", "gated_delta"])
def test_it_learns_what_needs_memory(core: str) -> None:
    env = lanes(Recall, 32)
    agent = RecurrentPPO("MlpPolicy", env, core=core, n_steps=20, learning_rate=lambda left: 3e-3 * left, seed=0)
    agent.learn(15_000, log_interval=None)
    reward, _ = evaluate_policy(agent, env, 100)
    assert reward > 0.95  # 0.5 without memory


FLAT = gym.spaces.Box(-1, 1, (3,), np.float32)
OBSERVATIONS = {
    "box": FLAT,
    "discrete": gym.spaces.Discrete(4),
    "image": gym.spaces.Box(0, 255, (36, 36, 3), np.uint8),
    "dict": gym.spaces.Dict(a=FLAT, b=gym.spaces.MultiBinary(4)),
    "goal": gym.spaces.Dict(observation=FLAT, achieved_goal=FLAT, desired_goal=FLAT),
}
ACTIONS = {
    "box": gym.spaces.Box(-2, 1, (2,), np.float32),
    "discrete": gym.spaces.Discrete(3),
    "multi_discrete": gym.spaces.MultiDiscrete([2, 5]),
    "multi_binary": gym.spaces.MultiBinary(4),
}


@pytest.mark.parametrize(
    ("observation", "action"), [*((name, "discrete") for name in OBSERVATIONS), *(("box", name) for name in ACTIONS)]
)
def test_every_kind_of_space(observation: str, action: str) -> None:
    env = lanes(lambda: Anything(OBSERVATIONS[observation], ACTIONS[action]))
    agent = RecurrentPPO("RecurrentPolicy", env, **SMALL)
    before = parameters(agent)
    agent.learn(96, log_interval=None)
    assert not torch.equal(before, parameters(agent))
    actions, state = agent.predict(env.reset())
    assert all(agent.action_space.contains(one) for one in actions)
    agent.predict(env.reset(), state, np.ones(8, bool), deterministic=True)


@pytest.mark.parametrize("core", CORES)
def test_a_rollout_seen_again_is_as_it_was_lived(core: str) -> None:
    """Values and probabilities of all steps at once are those of acting, with resets inside the columns."""
    env = lanes(lambda: Anything(FLAT, ACTIONS["discrete"]))
    keywords = {} if core == "feedforward" else {"learn_initial_state": True}
    agent = RecurrentPPO("MlpPolicy", env, core=core, n_steps=12, core_kwargs=keywords, seed=0)
    agent.train = lambda steps: None
    agent.learn(200, log_interval=None)
    for _ in range(2):  # the second begins in the middle of episodes
        fields = agent.rollout.fields
        assert fields["episode_start"][1:].any()
        seen = agent.policy.evaluate_actions(
            fields["obs"], fields["action"], agent._first_state, fields["episode_start"], through_time=True
        )
        torch.testing.assert_close(seen[0], fields["value"].flatten(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(seen[1], fields["log_prob"].flatten(), rtol=1e-4, atol=1e-5)
        agent.learn(96, log_interval=None, reset_num_timesteps=False)


def test_cut_gradients_go_through_one_step() -> None:
    env = lanes(lambda: Anything(FLAT, ACTIONS["discrete"]))
    agent = RecurrentPPO("MlpPolicy", env, core="elman", **SMALL)
    agent.learn(96, log_interval=None)
    fields, policy = agent.rollout.fields, agent.policy
    arguments = (fields["obs"], fields["action"], agent._first_state, fields["episode_start"])
    full, cut = (policy.evaluate_actions(*arguments, through_time=through)[1] for through in (True, False))
    torch.testing.assert_close(full, cut)
    state, log_probs = agent._first_state, []
    for t in range(agent.n_steps):
        distribution, _, after = policy.step(fields["obs"][t], state, fields["episode_start"][t])
        log_probs.append(distribution.log_prob(fields["action"][t]))
        state = tuple(part.detach() for part in after)
    wanted = list(policy.core.parameters())
    slow = torch.autograd.grad(torch.cat(log_probs).sum(), wanted)
    assert not torch.allclose(torch.autograd.grad(full.sum(), wanted)[0], slow[0])
    for one, other in zip(torch.autograd.grad(cut.sum(), wanted), slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_returns_are_those_of_generalised_advantages_with_values_where_episodes_are_cut() -> None:
    env = lanes(lambda: Anything(FLAT, ACTIONS["discrete"]), 4)
    agent = RecurrentPPO("MlpPolicy", env, **{**SMALL, "n_steps": 30})
    agent.learn(120, log_interval=None)
    fields = {name: field.numpy() for name, field in agent.rollout.fields.items()}
    assert fields["terminated"].any()
    assert (fields["ended"] & ~fields["terminated"]).any()
    for column in range(4):
        advantage = 0.0
        for t in reversed(range(30)):
            ended, last = fields["ended"][t, column], t == 29
            follows = fields["next_value"][t, column] if ended or last else fields["value"][t + 1, column]
            follows *= not fields["terminated"][t, column]
            delta = fields["reward"][t, column] + agent.gamma * follows - fields["value"][t, column]
            advantage = delta + agent.gamma * agent.gae_lambda * (0.0 if ended or last else advantage)
            returned = fields["returns"][t, column] - fields["value"][t, column]
            np.testing.assert_allclose(returned, advantage, rtol=1e-4, atol=1e-5)


def test_the_surrogate_clips_gains_and_not_losses() -> None:
    ratio, advantage = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    losses = [clipped_surrogate(r, a, 0.2).item() for r, a in zip(ratio, advantage, strict=True)]
    np.testing.assert_allclose(losses, [-1.2, 1.5, -0.5, 0.8], rtol=1e-6)


@pytest.mark.parametrize("core", ["lstm", "recurrent_delta", "feedforward"])
def test_a_training_resumed_from_a_checkpoint_ends_in_the_same_bits(core: str, tmp_path: Any) -> None:
    keywords = {"core": core, "n_steps": 8, "n_epochs": 2, "seed": 3}
    whole = RecurrentPPO("MultiInputPolicy", VecNormalize(lane(), norm_obs_keys=["observation"]), **keywords)
    whole.learn(128, log_interval=None)
    assert save_checkpoint(whole, tmp_path)
    whole.learn(128, log_interval=None, reset_num_timesteps=False)
    env = VecNormalize(lane(), norm_obs_keys=["observation"])
    resumed = load_checkpoint(RecurrentPPO, tmp_path, env)
    resumed.learn(128, log_interval=None, reset_num_timesteps=False)
    assert torch.equal(parameters(whole), parameters(resumed))


def lane() -> GymnasiumVecEnv:
    return GymnasiumVecEnv(PointVectorEnv(8, moves=6))


def test_it_works_with_callbacks_and_saves_its_policy(tmp_path: Any) -> None:
    agent = RecurrentPPO("MultiInputPolicy", lane(), **SMALL)
    callback = EvalCallback(lane(), n_eval_episodes=8, eval_freq=6, log_path=str(tmp_path), verbose=0, warn=False)
    agent.learn(192, callback=callback, log_interval=1)
    assert np.load(tmp_path / "evaluations.npz")["results"].shape[1] == 8
    agent.save(tmp_path / "agent")
    loaded = RecurrentPPO.load(tmp_path / "agent")
    obs = lane().reset()
    first, state = agent.predict(obs, deterministic=True)
    other, _ = loaded.predict(obs, deterministic=True)
    np.testing.assert_array_equal(first, other)
    again, _ = agent.predict(obs, state, np.ones(8, bool), deterministic=True)
    np.testing.assert_array_equal(first, again)
    single, _ = agent.predict({key: part[0] for key, part in obs.items()}, deterministic=True)
    np.testing.assert_allclose(single, first[0], rtol=1e-4)


def test_workers_train_together_and_stop_together() -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 400

    keywords = {**SMALL, "n_steps": 8, "n_epochs": 1, "n_minibatches": 1}
    agent = RecurrentPPO("MultiInputPolicy", lane(), workers=2, **keywords)
    alone = RecurrentPPO("MultiInputPolicy", lane(), **keywords)
    before = parameters(agent)
    assert torch.equal(before, parameters(alone))
    agent.learn(128, log_interval=None)
    alone.learn(64, log_interval=None)
    assert agent.num_timesteps == 128  # one rollout of 8 lanes in each of two processes
    assert not torch.equal(before, parameters(agent))
    assert not torch.equal(parameters(alone), parameters(agent))  # half of the gradient is another's
    agent.learn(100_000, callback=Stop(), log_interval=None, reset_num_timesteps=False)
    assert agent.num_timesteps < 600
    with pytest.raises(ValueError, match="workers=1"):
        RecurrentPPO("MultiInputPolicy", VecNormalize(lane(), norm_obs_keys=["observation"]), workers=2).learn(64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler of PyTorch warns of itself
@pytest.mark.parametrize(("core", "form"), [("lstm", "compiled"), ("gated_delta", "parallel")])
def test_a_compiled_pass_over_a_minibatch_is_the_same_pass(core: str, form: str) -> None:
    trained = []
    for compile in (False, True):
        settings = {**SMALL, "core": core, "core_kwargs": {"size": 8, "form": form}}
        agent = RecurrentPPO("MultiInputPolicy", lane(), compile=compile, **settings)
        trained.append(parameters(agent.learn(96, log_interval=None)))
    torch.testing.assert_close(*trained, rtol=1e-3, atol=1e-5)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 environments, n_minibatches=3"):
        RecurrentPPO("MultiInputPolicy", lane(), n_minibatches=3)
    with pytest.raises(ValueError, match="gated_delta"):
        RecurrentPPO("MultiInputPolicy", lane(), core="ltsm")
    with pytest.raises(ValueError, match="cut"):
        RecurrentPPO("MultiInputPolicy", lane(), bptt="none")
    with pytest.raises(ValueError, match="norm_obs_keys"):
        RecurrentPPO("MultiInputPolicy", VecNormalize(lane()))


def test_losses_that_are_not_finite_stop_the_training_and_leave_the_parameters() -> None:
    class Broken(Anything):
        def step(self, action: Any) -> Any:
            obs, _, *rest = super().step(action)
            return obs, 1e30, *rest

    agent = RecurrentPPO("MlpPolicy", lanes(lambda: Broken(FLAT, ACTIONS["discrete"])), **SMALL)
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match=r"value_loss = inf after 96 steps"):
        agent.learn(96)
    assert torch.equal(before, parameters(agent))


def test_a_target_for_the_divergence_ends_the_passes() -> None:
    steps = []
    for target in (None, 1e-9):
        agent = RecurrentPPO(
            "MlpPolicy", make_sb3("CartPole-v1", 8, seed=0), target_kl=target, **{**SMALL, "n_epochs": 5}
        )
        agent.learn(96, log_interval=None)
        steps.append(agent.optimizer.state[next(iter(agent.policy.parameters()))]["step"].item())
    assert steps[0] == 5 * agent.minibatches > steps[1]


@pytest.mark.parametrize("core", ["lstm", "gated_delta", "feedforward"])
def test_a_grid_policy_learns_one_rule_for_all_places(core: str, tmp_path: Any) -> None:
    env = make_sb3("Foveal/GridSearch-v0", 4, seed=0, n=5, reward="dense")
    agent = RecurrentPPO("GridPolicy", env, core=core, n_steps=8, seed=0).learn(64)
    counts = []
    for n in (5, 7):
        spaces = make_sb3("Foveal/GridSearch-v0", 1, n=n)
        policy = GridPolicy(spaces.observation_space, spaces.action_space, core=core)
        counts.append(sum(part.numel() for part in policy.parameters()))
    assert counts[0] == counts[1]
    agent.save(tmp_path / "agent")
    obs = env.reset()
    actions = [a.predict(obs, deterministic=True)[0] for a in (agent, RecurrentPPO.load(tmp_path / "agent"))]
    np.testing.assert_array_equal(*actions)
    assert actions[0].shape == (4,)


def test_a_grid_policy_needs_a_grid() -> None:
    for env, message in (("Foveal/Parking-v0", "square"), ("Foveal/TargetDetection-v0", "Discrete")):
        with pytest.raises(ValueError, match=message):
            RecurrentPPO("GridPolicy", make_sb3(env, 4))


@pytest.mark.parametrize("goal_format", ["dict", "concat"])
@pytest.mark.parametrize("core", ["lstm", "gated_delta", "feedforward"])
def test_a_field_policy_looks_at_fields(core: str, goal_format: str, tmp_path: Any) -> None:
    keywords = {"actuators": "fields", "proprioception": "saccade", "goal_format": goal_format}
    env = make_sb3("Foveal/VisualSearch-v0", 4, seed=0, **keywords)
    agent = RecurrentPPO("FieldPolicy", env, core=core, n_steps=8, seed=0, policy_kwargs={"tiles": 5}).learn(64)
    agent.save(tmp_path / "agent")
    obs, loaded = env.reset(), RecurrentPPO.load(tmp_path / "agent")
    one, other = (a.predict(obs, deterministic=True) for a in (agent, loaded))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[0].shape == (4,)
    assert one[0].max() <= 256


def test_a_field_policy_prefers_a_field_for_what_is_there() -> None:
    """Coarse fields compete by what they and their neighbours show: what moves in the view moves the preference."""
    torch.manual_seed(0)
    boxes = gym.spaces.Box(-1, 1, (130,), np.float32), gym.spaces.Discrete(129)
    policy = FieldPolicy(*boxes, size=8, tiles=5)
    obs = torch.zeros(2, 130)
    obs[0, 64 + 8 * 3 + 1] = obs[1, 64 + 8 * 3 + 6] = 1.0
    logits = []
    with torch.no_grad():
        for seen in (obs, 0 * obs):
            distribution = policy.step(seen, policy.core.initial_state(2), torch.ones(2, dtype=torch.bool))[0]
            logits.append(distribution.distribution.logits[:, 64:128])
    change = (logits[0] - logits[1]).view(2, 8, 8).square().sum(1)
    columns = (change * torch.arange(8)).sum(1) / change.sum(1)
    assert columns[0] < 3 < 4 < columns[1]


def test_a_field_policy_needs_fields_and_the_last_saccade() -> None:
    for keywords, message in (({}, "an action per field"), ({"actuators": "fields"}, "the last saccade")):
        with pytest.raises(ValueError, match=message):
            RecurrentPPO("FieldPolicy", make_sb3("Foveal/VisualSearch-v0", 4, **keywords))


@pytest.mark.parametrize("space", [gym.spaces.Discrete(3, start=3), gym.spaces.MultiDiscrete([2, 3], start=[1, 5])])
def test_actions_that_do_not_count_from_0(space: gym.spaces.Space) -> None:
    policy = RecurrentPolicy(gym.spaces.Box(-1, 1, (2,)), space, core="feedforward")
    actions, _ = policy.predict(np.zeros((64, 2), np.float32))
    assert all(space.contains(action) for action in actions.astype(space.dtype))
    assert len(np.unique(actions, axis=0)) > 1
    assert policy.from_env(actions).min() == 0
