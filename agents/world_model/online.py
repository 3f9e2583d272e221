"""The updates of 1990, compiled: plain gradient descent after every step (M) and after every trajectory (C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import torch
from torch import Tensor, nn

from ..common.sequences import Sequence
from ..cores import Core, FeedForward

if TYPE_CHECKING:
    from .controller import WorldModelController

    Layers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def online_descent(agent: WorldModelController, compiled: bool | None) -> OnlineDescent | None:
    """The compiled form of the agent's updates, or None where PyTorch makes them.

    Args:
        agent: with its nets built.
        compiled: False: None; True: the compiled form; None: that form where the agent's settings allow it.

    Raises:
        ValueError: `compiled` is True, and the settings do not allow it; the message says which.
    """
    if compiled is False:
        return None
    try:
        return OnlineDescent(agent)
    except ValueError:
        if compiled:
            raise
        return None


class OnlineDescent:
    """Gradient descent of `WorldModelController`, online and on one lane, for nets as those of 1990.

    C and M are logistic nets with one hidden layer on the CPU. The compiled loops read and write the parameters' own
    memory, so that nothing is copied and both forms may take turns; they agree up to rounding.

    Args:
        agent: with its nets built.

    Raises:
        ValueError: other settings or other nets.
    """

    def __init__(self, agent: WorldModelController) -> None:
        needed = {"online": True, "gradient": "real", "optimizer": "sgd", "max_grad_norm": None, "lanes": 1}
        needed["saturation"] = 0.0
        wrong = [f"{name}={value!r}" for name, value in needed.items() if getattr(agent, name) != value]
        if agent.world_model.output != "logistic" or agent.world_model.reward:
            wrong.append('model_output="logistic" and goal keys in the observation')
        if wrong:
            raise ValueError(f"the compiled update needs {', '.join(wrong)}; pass compiled=None, or change these")
        self.policy, self.world_model = agent.policy, agent.world_model
        self._policy_optimizer, self._model_optimizer = agent.policy_optimizer, agent.model_optimizer
        self._controller = _layers(agent.policy.core, agent.policy.head)
        self._model = _layers(agent.world_model.core, agent.world_model.head)

    def learn_model(self, sequence: Sequence) -> float:
        """One step of descent on `WorldModel.loss` of each row (T, 1, W) in turn; the last row's loss."""
        inputs = np.concatenate((_rows(sequence["observation"]), _rows(sequence["action"])), 1)
        targets = _rows(self.world_model.target(sequence))
        return _learn_model(self._model, inputs, targets, _rate(self._model_optimizer))

    def learn_controller(self, sequence: Sequence, slopes: Tensor) -> None:
        """One step of descent along the gradient that `WorldModel.real_forward` hands to C.

        Args:
            sequence: (T, 1, W).
            slopes: (T, 1, P), the derivative of what is to fall by each percept of the trajectory.
        """
        observation = _rows(sequence["observation"])
        inputs = np.concatenate((observation, _rows(sequence["desired_goal"])), 1)
        _learn_controller(
            self._controller, self._model, inputs if self.policy.goal_input else observation,
            _rows(sequence["action"]), sequence.flag("ended").numpy()[:, 0], _rows(slopes),
            self.policy.span.numpy(), _rate(self._policy_optimizer),
        )  # fmt: skip


def _layers(core: Core, head: nn.Linear) -> Layers:
    """Weights and biases of the hidden and of the output layer, in the parameters' own memory."""
    if not isinstance(core, FeedForward) or [type(layer) for layer in core.layers] != [nn.Linear, nn.Sigmoid]:
        raise ValueError(f"the compiled update needs cores with one logistic hidden layer, not {core}")
    parameters = (*core.parameters(), *head.parameters())
    if any(parameter.device.type != "cpu" for parameter in parameters):
        raise ValueError('the compiled update needs device="cpu"')
    first, first_bias, second, second_bias = (parameter.detach().numpy() for parameter in parameters)
    return first, first_bias, second, second_bias


def _rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


def _rows(tensor: Tensor) -> np.ndarray:
    """The only column of (T, 1, size) as (T, size)."""
    return np.ascontiguousarray(tensor.numpy()[:, 0])


@numba.njit(nogil=True, cache=True)
def _learn_model(model: Layers, inputs: np.ndarray, targets: np.ndarray, rate: float) -> float:
    loss = 0.0
    for t in range(len(inputs)):
        hidden, output = _forward(model, inputs[t])
        loss = 0.0
        for i in range(len(output)):
            error = output[i] - targets[t, i]
            loss += 0.5 * error * error
            output[i] = error * output[i] * (1 - output[i])
        slope, _ = _backward(model, hidden, output)
        _descend(model, inputs[t], hidden, slope, output, rate)
    return loss


@numba.njit(nogil=True, cache=True)
def _learn_controller(
    controller: Layers,
    model: Layers,
    inputs: np.ndarray,
    actions: np.ndarray,
    ended: np.ndarray,
    slopes: np.ndarray,
    span: np.ndarray,
    rate: float,
) -> None:
    length, size = len(inputs), model[0].shape[1] - len(span)
    hiddens = np.empty((length, len(controller[1])), np.float32)
    hidden_slopes, output_slopes = np.empty_like(hiddens), np.empty((length, len(span)), np.float32)
    arriving = np.empty(size + len(span), np.float32)
    later = np.zeros(size, np.float32)  # derivative by the observation that step t + 1 starts from
    for t in range(length - 1, -1, -1):
        arriving[:size] = inputs[t, :size]
        arriving[size:] = actions[t]
        model_hidden, percept = _forward(model, arriving)
        for i in range(len(percept)):
            slope = slopes[t, i]
            if i < size and not ended[t]:
                slope += later[i]
            percept[i] = slope * percept[i] * (1 - percept[i])
        _, by_input = _backward(model, model_hidden, percept)
        hiddens[t], output = _forward(controller, inputs[t])
        for i in range(len(span)):
            output_slopes[t, i] = by_input[size + i] * span[i] * output[i] * (1 - output[i])
        hidden_slopes[t], by_observation = _backward(controller, hiddens[t], output_slopes[t])
        later[:] = by_input[:size] + by_observation[:size]
    for t in range(length):
        _descend(controller, inputs[t], hiddens[t], hidden_slopes[t], output_slopes[t], rate)


@numba.njit(nogil=True, cache=True)
def _forward(net: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activations of the hidden and of the output units."""
    hidden = _layer(net[0], net[1], x)
    return hidden, _layer(net[2], net[3], hidden)


@numba.njit(nogil=True, cache=True)
def _layer(weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(bias)
    for i in range(len(bias)):
        total = bias[i]
        for j in range(len(x)):
            total += weight[i, j] * x[j]
        y[i] = 1 / (1 + np.exp(-total))
    return y


@numba.njit(nogil=True, cache=True)
def _backward(net: Layers, hidden: np.ndarray, output_slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives by the hidden units' net inputs and by the inputs, from those by the output units' net inputs."""
    hidden_slope = np.zeros_like(hidden)
    for i in range(len(output_slope)):
        for j in range(len(hidden)):
            hidden_slope[j] += output_slope[i] * net[2][i, j]
    by_input = np.zeros(net[0].shape[1], np.float32)
    for j in range(len(hidden)):
        hidden_slope[j] *= hidden[j] * (1 - hidden[j])
        for k in range(len(by_input)):
            by_input[k] += hidden_slope[j] * net[0][j, k]
    return hidden_slope, by_input


@numba.njit(nogil=True, cache=True)
def _descend(
    net: Layers, x: np.ndarray, hidden: np.ndarray, hidden_slope: np.ndarray, output_slope: np.ndarray, rate: float
) -> None:
    for i in range(len(output_slope)):
        for j in range(len(hidden)):
            net[2][i, j] -= rate * output_slope[i] * hidden[j]
        net[3][i] -= rate * output_slope[i]
    for j in range(len(hidden)):
        for k in range(len(x)):
            net[0][j, k] -= rate * hidden_slope[j] * x[k]
        net[1][j] -= rate * hidden_slope[j]
