"""A controller that asks its world model: whose questions, whose answers, and who learns what."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import ThinkingController, ThinkingPolicy, make_sb3

GOALS = spaces.Dict(
    {name: spaces.Box(-1.0, 1.0, (size,), np.float32) for name, size in
     (("observation", 3), ("achieved_goal", 2), ("desired_goal", 2))}
)  # fmt: skip
MODEL = ("outcome.",)


def agent(**keywords: Any) -> ThinkingController:
    return ThinkingController(
        env=make_sb3("Foveal/FourRooms-v0", 4), policy_kwargs={"hidden": (8,)}, seed=0, **keywords
    )


def parts(made: ThinkingController, of_model: bool) -> list[torch.Tensor]:
    return [part.clone() for name, part in made.policy.named_parameters() if name.startswith(MODEL) == of_model]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_fixed_questions_are_the_actions_and_the_answers_are_those_of_the_model() -> None:
    policy = ThinkingPolicy(GOALS, spaces.Discrete(4), hidden=(5,))
    seen, desired = torch.randn(6, 3), torch.randn(6, 2)
    asked, told, chance = policy.think(seen, desired)
    assert torch.equal(asked, torch.eye(4).expand(6, 4, 4))
    assert not chance.any()
    for action in range(4):
        outcome = policy.outcome(torch.cat((seen, asked[:, action]), 1))
        pleasure = policy.pleasure(torch.cat((outcome, desired), 1))
        torch.testing.assert_close(told[:, action], torch.cat((outcome, pleasure), 1))


def test_it_knows_the_observation_through_the_answers_alone() -> None:
    policy = ThinkingPolicy(GOALS, spaces.Discrete(4), hidden=(5,))
    desired = torch.randn(1, 2).expand(6, -1)
    with torch.no_grad():
        policy.outcome[-1].weight.zero_()  # M says the same of everything
        likely, _, _ = policy.probabilities(torch.randn(6, 3), desired)
    torch.testing.assert_close(likely, torch.full((6, 4), 0.25))


def test_learned_questions_are_drawn_one_after_the_other_and_can_be_given_again() -> None:
    policy = ThinkingPolicy(GOALS, spaces.Discrete(4), questions=3, learned=True, hidden=(5,))
    policy.set_training_mode(True)
    seen, desired = torch.randn(50, 3), torch.randn(50, 2)
    likely, asked, chance = policy.probabilities(seen, desired)
    drawn = asked.round()
    assert drawn.sum(-1).eq(1).all()
    torch.testing.assert_close(likely.sum(-1), torch.ones(50))
    again, _, same_chance = policy.probabilities(seen, desired, drawn)
    torch.testing.assert_close(again, likely)
    torch.testing.assert_close(same_chance, chance)
    chance.sum().backward()
    assert all(part.grad is not None and part.grad.any() for part in policy.asking.parameters())


def test_the_controller_never_changes_the_model_and_the_model_alone_learns_without_reward() -> None:
    made = agent(updates=0)
    model, rest = parts(made, True), parts(made, False)
    made.learn(40, log_interval=None)
    assert same(model, parts(made, True))
    assert not same(rest, parts(made, False))
    made = agent(learns="model")
    model, rest = parts(made, True), parts(made, False)
    made.learn(40, log_interval=None)
    assert not same(model, parts(made, True))
    assert same(rest, parts(made, False))


def test_impossible_spaces_and_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="goal keys and Discrete actions"):
        ThinkingPolicy(GOALS["observation"], spaces.Discrete(4))
    with pytest.raises(ValueError, match="from 1 to the 4 actions, not 5"):
        ThinkingPolicy(GOALS, spaces.Discrete(4), questions=5)
    ThinkingPolicy(GOALS, spaces.Discrete(4), questions=5, learned=True)
    for keywords, said in (({"questions": 1.5}, "questions must be a whole number"), ({"hidden": 5}, "hidden must be")):
        with pytest.raises(ValueError, match=said):
            ThinkingPolicy(GOALS, spaces.Discrete(4), **keywords)
    with pytest.raises(ValueError, match=r"hidden must be a tuple of whole numbers, not \('x',\)"):
        ThinkingPolicy(GOALS, spaces.Discrete(4), hidden=("x",))


class Shift(gym.Env[Any, Any]):
    """Achieves the seen number plus the action, modulo 4; the space of what it achieves is that of what is seen."""

    observation_space = spaces.Dict({name: spaces.Box(0.0, 1.0, (4,), np.float32) for name in GOALS})
    action_space = spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen, self.goal = self.np_random.integers(0, 4, 2)
        return self.look(0.0), {}

    def look(self, achieved: Any) -> dict[str, Any]:
        one, none = np.eye(4, dtype=np.float32), np.zeros(4, np.float32)
        return {"observation": one[self.seen], "achieved_goal": none + achieved, "desired_goal": one[self.goal]}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        achieved = np.eye(4, dtype=np.float32)[(self.seen + action) % 4]
        return self.look(achieved), float((self.seen + action) % 4 == self.goal), True, False, {}


def test_the_model_learns_the_achieved_goal_where_its_space_is_that_of_the_observation() -> None:
    made = ThinkingController(env=DummyVecEnv([Shift] * 4), policy_kwargs={"hidden": (8,)}, learns="model", seed=0)
    made.learn(64)
    step = made.replay.newest(1)
    shift = (step["observation"].argmax(-1) + step["action"].argmax(-1)) % 4
    assert torch.equal(step["outcome"].argmax(-1), shift)
