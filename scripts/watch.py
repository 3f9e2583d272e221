"""Watch a policy: in a window, or as GIF, MP4 or still picture. ``python -m scripts.watch --help``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio.v3 as iio
import numpy as np

from .shared.command import Refusal, program, run_command
from .shared.environments import make_lanes, parse_keywords
from .shared.policies import Predictor, load_agent
from .shared.rollouts import Move, rollout
from .shared.runs import find_environment

HOLD = 0.75  # seconds that an episode's last frame stays


@dataclass
class Frame:
    """One picture of an episode.

    Attributes:
        pixels: (H, W, 3) uint8.
        episode, move: counted from 0.
        total: sum of rewards so far.
        measures: of the environment, at the episode's end; empty before.
        last: whether the episode ends here.
    """

    pixels: np.ndarray
    episode: int
    move: int
    total: float
    measures: dict[str, float]
    last: bool


def watch(
    environment: str | None = None,
    agent: str | None = None,
    episodes: int = 3,
    seed: int = 0,
    fps: int = 8,
    gif: Path | None = None,
    mp4: Path | None = None,
    png: Path | None = None,
    env: tuple[str, ...] = (),
    zoo: str | None = None,
    algorithm: str | None = None,
    trust: bool = False,
    dream: bool = False,
    dream_steps: int = 10,
) -> None:
    """Show episodes of an agent or a reference policy, in a window unless a file is asked for.

    Args:
        environment: an environment's id, as Foveal/TargetDetection-v0, or a run folder.
        agent: "random", "oracle", a run folder or a model.zip; default: the run folder's model, or the oracle.
        episodes: how many.
        seed: of the first episode.
        fps: moves a second.
        gif: write an animation here.
        mp4: write a video here.
        png: write the last frame of the first episode here.
        env: keywords of the environment, KEY=VALUE.
        zoo: watch the trained agent that comes with this package for this id.
        algorithm: class of the agent in a file without a config.json beside it.
        trust: also load a file whose loading runs code that it holds.
        dream: show what the agent sees beside what its world model imagines for the actions that it takes.
        dream_steps: moves until the imagined stream begins anew from reality.
    """
    if episodes < 1 or not 1 <= fps <= 1000 or seed < 0:
        raise Refusal(f"at least 1 episode, 1 to 1,000 fps and a seed from 0 on, got {episodes}, {fps} and {seed}")
    env_id, keywords, own_agent = find_environment(environment, parse_keywords(env), zoo, trust)
    lane = make_lanes(env_id, keywords, 1, render_mode="rgb_array")
    policy = load_agent(agent or own_agent or "oracle", lane, seed, trust, algorithm)
    if dream:
        from .shared.dreams import Dreamer, StreamPictures

        policy = Dreamer(policy, dream_steps)
        frames = run(lane, policy, episodes, seed, picture=StreamPictures(lane, policy).draw)
    else:
        frames = run(lane, policy, episodes, seed, picture=attended_pictures(lane, policy))
    if gif or mp4 or png:
        for path, suffix in ((gif, ".gif"), (mp4, ".mp4"), (png, ".png")):
            if path is not None:
                if path.suffix.lower() != suffix:
                    raise Refusal(f"--{suffix[1:]} writes files that end in {suffix}, got {path}")
                make_parent(path)
        write(list(report(frames)), fps, gif, mp4, png)
    else:
        show(report(frames), fps, env_id)
    lane.close()


def attended_pictures(
    lane: gym.vector.VectorEnv[Any, Any, Any], policy: Predictor
) -> Callable[[Move], np.ndarray] | None:
    """Draws the patches that an AttentionAgent attends to; None for any other policy."""
    from agents import AttentionAgent

    from .shared.attended import AttendedPictures

    return AttendedPictures(lane, policy).draw if isinstance(policy, AttentionAgent) else None


def make_parent(path: Path) -> None:
    """Make the folder of a file.

    Raises:
        Refusal: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror}") from error


def run(
    lane: gym.vector.VectorEnv[Any, Any, Any],
    policy: Predictor,
    episodes: int,
    seed: int,
    deterministic: bool = True,
    picture: Callable[[Move], np.ndarray] | None = None,
) -> Iterator[Frame]:
    """Play whole episodes and yield their frames, the first before any move.

    Args:
        lane: vector environment of one lane, of render mode "rgb_array".
        policy: acts.
        episodes: how many.
        seed: of the lane.
        deterministic: passed to the policy.
        picture: draws (H, W, 3) uint8 after each move; None: the lane renders itself.
    """
    for episode in range(episodes):
        total = 0.0
        for move in rollout(lane, policy, seed if episode == 0 else None, deterministic):
            over = bool(move.ended[0])
            total += float(move.rewards[0])
            pixels = lane.render()[0] if picture is None else picture(move)
            yield Frame(pixels, episode, move.number, total, _measures(move.infos) if over else {}, over)


def _measures(infos: dict[str, Any]) -> dict[str, float]:
    """Numbers of the only lane, without masks and keys."""
    arrays = {name: np.asarray(values) for name, values in infos.items() if not name.startswith("_")}
    arrays.pop("episode_key", None)
    return {
        name: float(array[0]) for name, array in arrays.items() if array.shape == (1,) and array.dtype.kind in "biuf"
    }


def report(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Pass frames on and print a line at each episode's end."""
    for frame in frames:
        if frame.last:
            measures = "".join(f"   {name} {value:.4g}" for name, value in frame.measures.items())
            print(f"episode {frame.episode + 1}   moves {frame.move}   return {frame.total:.4g}{measures}", flush=True)
        yield frame


def write(frames: list[Frame], fps: int, gif: Path | None, mp4: Path | None, png: Path | None) -> None:
    """Write frames as GIF, MP4 and the last one of the first episode as PNG; None leaves a format out."""
    held = [frame.pixels for frame in frames for _ in range(1 + round(HOLD * fps) if frame.last else 1)]
    if gif is not None:
        iio.imwrite(gif, held, extension=".gif", plugin="pillow", duration=1000 / fps, loop=0)
    if mp4 is not None:
        iio.imwrite(mp4, held, extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2, quality=8)
    if png is not None:
        iio.imwrite(png, next(frame.pixels for frame in frames if frame.last), extension=".png")
    for path in (gif, mp4, png):
        if path is not None:
            print(f"wrote {path}")


def show(frames: Iterator[Frame], fps: int, title: str) -> None:
    """Show frames in a window until they end or a person closes it (or presses Escape)."""
    import pygame

    from foveal_envs.rendering import Window

    try:
        window = Window(title)
    except gym.error.Error as error:
        raise Refusal(f"{error}; --gif, --mp4 and --png write files instead") from error
    for frame in frames:
        for _ in range(1 + round(HOLD * fps) if frame.last else 1):
            window.show(frame.pixels, fps)
            if any(event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE for event in window.events):
                window.close()
            if not window.is_open:
                return
    window.close()


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(watch, program("watch"), words)


if __name__ == "__main__":
    main()
