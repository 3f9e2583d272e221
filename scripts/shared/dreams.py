"""Two streams side by side: what an agent sees, and what its world model imagines for the actions that it takes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from PIL import Image

from agents import WorldModelController
from foveal_envs.fovea.fovea import Fovea
from foveal_envs.rendering import Canvas, pixels

from .command import Refusal
from .environments import task_in
from .policies import Predictor
from .rollouts import Move

Box = tuple[float, float, float, float]  # left, top, width, height

HEIGHT, WIDTH = 512, 400  # of the streams, pixels; the environment's picture stands left of them
MARGIN, TITLE, GAP = 16, 26, 8
LINES = 8  # so many numbers are drawn as lines over time; more, as bars
SPAN = 60  # moves that a line shows
SEEN, IMAGINED, SOFT, FRAME = "#263238", "#f4511e", "#78909c", "#cfd8dc"


class Dreamer:
    """An agent whose world model M imagines, beside what it acts on, what it will see next.

    M is fed its own predictions and the agent's actions, and begins anew from reality every `steps` moves. The state of
    a recurrent M is then that of the real stream.

    Args:
        agent: a WorldModelController.
        steps: moves from one real start to the next.

    Attributes:
        imagined: (D,) numbers of the present observation, as M imagines them.
        distance: moves since the real start; 0: the imagined stream is the real one.

    Raises:
        Refusal: an agent without a world model, or fewer than one step.
    """

    def __init__(self, agent: Predictor, steps: int) -> None:
        if not isinstance(agent, WorldModelController):
            raise Refusal(f"--dream needs the world model of a WorldModelController; a {type(agent).__name__} has none")
        if steps < 1:
            raise Refusal(f"--dream-steps must be at least 1, got {steps}")
        self.agent, self.model, self.steps = agent, agent.world_model, steps
        self.imagined, self.distance = np.zeros(0), 0

    def begin(self, observation: Any) -> None:
        """An episode begins with an observation (1, ...)."""
        self._dreamt, self.distance = self._scaled(observation), 0
        self._real_state = self._state = self.model.initial_state(1)
        self.imagined = self.numbers(observation)

    def numbers(self, observation: Any) -> np.ndarray:
        """(D,) numbers of an observation (1, ...), without goals."""
        return self.model.encoder.observation(observation)[0].cpu().numpy()

    def _scaled(self, observation: Any) -> torch.Tensor:
        return self.model.scale(self.model.encoder.observation(observation))

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """The agent's actions; what M imagines they lead to stands in `imagined`."""
        actions, state = self.agent.predict(observation, state, episode_start, deterministic)
        vectors = self.agent.policy.actions.from_env(actions)
        start = torch.as_tensor(np.asarray(episode_start, bool), device=vectors.device)
        real = self._scaled(observation)
        if self.distance == self.steps:
            self._dreamt, self._state, self.distance = real, self._real_state, 0
        out, self._state = self.model.step(self._dreamt, vectors, self._state, start)
        _, self._real_state = self.model.step(real, vectors, self._real_state, start)
        self._dreamt = out[:, : self.model.encoder.observation_size]
        self.imagined = self.model.named(out)["observation"][0].cpu().numpy()
        self.distance += 1
        return actions, state


class StreamPictures:
    """Pictures of both streams, beside the one that the environment draws.

    What a retina sees is drawn as its fields, other observations as lines over time, or as bars where they have many
    numbers.

    Args:
        lane: vector environment of one lane, of render mode "rgb_array".
        dreamer: acts in it.
    """

    def __init__(self, lane: gym.vector.VectorEnv[Any, Any, Any], dreamer: Dreamer) -> None:
        self.lane, self.dreamer = lane, dreamer
        task = task_in(lane)
        self.fovea = None if task is None else task.fovea
        self._seen: list[np.ndarray] = []
        self._imagined: list[np.ndarray] = []
        self._distances: list[int] = []

    def draw(self, move: Move) -> np.ndarray:
        """The picture after a move, (512, W, 3) uint8."""
        if not move.number:
            self.dreamer.begin(move.obs)
            self._seen, self._imagined, self._distances = [], [], []
        self._seen.append(self.dreamer.numbers(move.obs))
        self._imagined.append(self.dreamer.imagined)
        self._distances.append(self.dreamer.distance)
        eye = self.dreamer.model.encoder.eye
        streams = self._images(move.obs) if eye else self._charts() if self.fovea is None else self._panel(self.fovea)
        return beside(self.lane.render()[0], streams)

    def _panel(self, fovea: Fovea) -> np.ndarray:
        """What the retina gives in either stream, as the panel of a picture shows it."""
        table, channels, count = fovea.retina.table, fovea.channels, fovea.values
        canvas = Canvas((1.0, 1.0))
        for title, stream in (("Seen", self._seen), ("Imagined", self._imagined)):
            canvas.retina_inset(title, table, stream[-1][:count], channels)
        canvas.status("moves ahead", f"{self._distances[-1]} / {self.dreamer.steps}")
        canvas.status("rms error", f"{_rms(self._imagined[-1][:count] - self._seen[-1][:count]):.3f}")
        picture = pixels(canvas.finish())
        return picture[:, picture.shape[0] :]  # without the square scene

    def _titled(self) -> Canvas:
        canvas = Canvas((WIDTH, HEIGHT))
        canvas.fill("white")
        canvas.text("Seen", MARGIN, MARGIN + 0.4 * TITLE, SEEN, 14.0, "left")
        told = f"Imagined, {self._distances[-1]} / {self.dreamer.steps} moves ahead"
        canvas.text(told, WIDTH - MARGIN, MARGIN + 0.4 * TITLE, IMAGINED, 14.0, "right")
        return canvas

    def _images(self, observation: Any) -> np.ndarray:
        """The first image that the agent sees, and what the codes that M imagines decode to."""
        encoder = self.dreamer.model.encoder
        key = next(key for key in encoder.keys if key in encoder.images)
        before = sum(encoder.sizes[other] for other in encoder.keys[: encoder.keys.index(key)])
        codes = torch.from_numpy(self._imagined[-1][None, before : before + encoder.sizes[key]])
        seen = torch.as_tensor(observation[key] if encoder.is_dict else observation)
        pictures = [_upright(image[0]) for image in (seen, encoder.eye.decode(codes.to(encoder.device)))]
        height, width = pictures[0].shape[:2]
        most = WIDTH - 2 * MARGIN, (HEIGHT - 2 * MARGIN - TITLE - GAP) // 2
        share = min(most[0] / width, most[1] / height)
        wide, tall = round(share * width), round(share * height)
        left, tops = (WIDTH - wide) // 2, (MARGIN + TITLE, MARGIN + TITLE + most[1] + GAP)
        canvas = self._titled()
        for top in tops:
            _frame(canvas, (left - 1, top - 1, wide + 2, tall + 2))
        sheet = pixels(canvas.finish())
        for top, picture in zip(tops, pictures, strict=True):
            large = Image.fromarray(picture).resize((wide, tall), Image.Resampling.NEAREST)
            sheet[top : top + tall, left : left + wide] = np.asarray(large)
        return sheet

    def _charts(self) -> np.ndarray:
        canvas = self._titled()
        if len(self._seen[0]) <= LINES:
            self._draw_lines(canvas)
        else:
            tall = 0.5 * (HEIGHT - 2 * MARGIN - TITLE - GAP)
            for number, (stream, colour) in enumerate(((self._seen, SEEN), (self._imagined, IMAGINED))):
                box = MARGIN, MARGIN + TITLE + number * (tall + GAP), WIDTH - 2 * MARGIN, tall
                self._draw_bars(canvas, stream[-1], colour, box)
        return pixels(canvas.finish())

    def _draw_bars(self, canvas: Canvas, values: np.ndarray, colour: str, box: Box) -> None:
        left, top, wide, tall = box
        low, high = self._ranges()
        heights, step = np.clip((values - low) / (high - low), 0.0, 1.0), wide / len(values)
        for number, height in enumerate(heights.tolist()):
            x, y = left + number * step, top + tall * (1.0 - height)
            right = x + max(1.0, 0.75 * step)
            canvas.polygon([(x, y), (right, y), (right, top + tall), (x, top + tall)], colour)
        _frame(canvas, box)

    def _draw_lines(self, canvas: Canvas) -> None:
        """Each number over the last `SPAN` moves, both streams in one box; a dot is a real start."""
        (low, high), count = self._ranges(), len(self._seen[0])
        seen, imagined = (np.array(stream[-SPAN - 1 :]) for stream in (self._seen, self._imagined))
        distances = self._distances[-SPAN - 1 :]
        tall = (HEIGHT - 2 * MARGIN - TITLE - GAP * (count - 1)) / count
        names = self._names()
        left = MARGIN + GAP + 8 * max(map(len, names))
        for number, name in enumerate(names):
            box = left, MARGIN + TITLE + number * (tall + GAP), WIDTH - MARGIN - left, tall
            canvas.text(name, MARGIN, box[1] + 0.5 * tall, SOFT, 13.0, "left")
            _frame(canvas, box)

            def place(time: int, value: float, number: int = number, box: Box = box) -> tuple[float, float]:
                share = min(1.0, max(0.0, (value - low[number]) / (high[number] - low[number])))
                return box[0] + box[2] * time / SPAN, box[1] + 4 + (box[3] - 8) * (1.0 - share)

            for start in [time for time, distance in enumerate(distances) if distance == 1 and time]:
                end = start + 1
                while end < len(distances) and distances[end] > 1:
                    end += 1
                way = [place(start - 1, seen[start - 1, number])]
                way += [place(time, imagined[time, number]) for time in range(start, end)]
                canvas.line(way, IMAGINED, 5.0)
                canvas.circle(*way[0], 4.5, IMAGINED)
            canvas.line([place(time, value) for time, value in enumerate(seen[:, number])], SEEN, 1.6)

    def _names(self) -> list[str]:
        """Of the numbers: the key of a Dict, and the place in its Box."""
        encoder = self.dreamer.model.encoder
        several = len(encoder.keys) > 1
        return [f"{key} {i}" if several else str(i) for key in encoder.keys for i in range(encoder.sizes[key])]

    def _ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends (D,) of what is shown: one and a half spreads about the mean, or the bounds; and all that was seen."""
        encoder, scale, seen = self.dreamer.model.encoder, self.dreamer.model.scale, np.array(self._seen)
        if not scale.observations:
            bounds = [encoder.parts[key] for key in encoder.keys]
            low, high = (np.concatenate([np.ravel(getattr(part, end)) for part in bounds]) for end in ("low", "high"))
        else:
            low, high = ((scale.mean + side * 1.5 * scale.spread).cpu().numpy() for side in (-1, 1))
        low, high = np.where(np.isfinite(low), low, np.inf), np.where(np.isfinite(high), high, -np.inf)
        low, high = np.minimum(low, seen.min(0)), np.maximum(high, seen.max(0))
        return low, np.where(high > low, high, low + 1.0)


def _upright(image: torch.Tensor) -> np.ndarray:
    """An image with its channels first or last, as (H, W, 3) uint8."""
    array = image.cpu().numpy()
    array = np.moveaxis(array, 0, -1) if array.shape[0] < array.shape[-1] else array
    array = array[..., -3:] if array.shape[-1] >= 3 else array[..., -1:]  # of stacked images the newest
    return np.broadcast_to(array, (*array.shape[:2], 3)).astype(np.uint8)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _frame(canvas: Canvas, box: Box) -> None:
    left, top, wide, tall = box
    corners = [(left, top), (left + wide, top), (left + wide, top + tall), (left, top + tall)]
    canvas.polygon(corners, FRAME, 1.0)


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures side by side, the left one scaled to the height of the right one; even sides, as video wants it."""
    height, width = right.shape[0], 2 * round(0.5 * left.shape[1] * right.shape[0] / left.shape[0])
    if left.shape[:2] != (height, width):
        left = np.asarray(Image.fromarray(left).resize((width, height), Image.Resampling.LANCZOS))
    return np.concatenate((left, right), 1)
