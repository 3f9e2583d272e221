"""Drawings of the documentation, made on every build, but for those that take training.

``python docs/build/figures.py docs/assets swamps`` writes one as a file, or without a name all of them.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import gymnasium
import matplotlib
import numpy as np
from gymnasium.wrappers import AddRenderObservation
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from foveal_envs import Foveate
from foveal_envs.retinas import RETINAS, make_retina

INK, SOFT, REAL, BACK = "#263238", "#90a4ae", "#1565c0", "#c62828"
TRIANGLE_RADIUS = 60.0
MOMENT = 24  # moves until there is something to see in TakeCover
MOMENTS = [0, 10, 14, 18, 22, 26, 30, 34]  # moves, of a dream and of the world


def figure(name: str) -> str:
    """HTML image of one drawing, for the directive of generate.py."""
    return embed(*DRAWINGS[name]())


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, Axes]:
    """A figure with one Axes, or rows of them, outside pyplot's global state."""
    drawing = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasSVG(drawing)
    return drawing, drawing.subplots(rows, columns)


def embed(drawing: Figure, text: str) -> str:
    """The figure as SVG inside an HTML image: no file, no request."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg(drawing)).decode()}"
    return f'<div class="chart"><img alt="{text}" src="{source}"></div>'


def svg(drawing: Figure) -> bytes:
    """The figure as SVG, the same bytes for the same drawing."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "foveal-envs"}):
        drawing.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def retina() -> tuple[Figure, str]:
    """The receptive fields of the registered retinas, on one scale, over a triangle at the wanted pose."""
    tables = {name: make_retina(name) for name in RETINAS}
    reach = 1.03 * max(table.reach for table in tables.values())
    drawing, row = new_figure(10.0, 2.9, len(tables))
    for axes, (name, fovea) in zip(row, tables.items(), strict=True):
        axes.add_patch(Polygon(triangle(), color="#cfd8dc"))
        sizes = fovea.table[:, 2]
        at = {"offsets": fovea.table[:, :2], "offset_transform": axes.transData}
        axes.add_collection(
            EllipseCollection(sizes, sizes, 0, units="xy", **at, facecolor="none", linewidth=0.7, edgecolor=REAL)
        )
        axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xticks=[], yticks=[])
        axes.set_title(f"{name}: {len(fovea)} fields", color=INK, fontsize=10)
        axes.spines[:].set_color(SOFT)
    return drawing, "Receptive fields of the retinas over a triangle"


def triangle() -> list[tuple[float, float]]:
    half = TRIANGLE_RADIUS * 3**0.5 / 2
    return [(0.0, -TRIANGLE_RADIUS), (half, TRIANGLE_RADIUS / 2), (-half, TRIANGLE_RADIUS / 2)]


def loop() -> tuple[Figure, str]:
    """One step of fovea, controller and world model, and the way of the gradient."""
    drawing, axes = new_figure(10.0, 4.0)
    axes.set(xlim=(0, 100), ylim=(3, 43), aspect="equal")
    axes.axis("off")
    box(axes, 1, 17, 15, 10, "scene\nand gaze", SOFT)
    box(axes, 24, 17, 13, 10, "retina", SOFT)
    box(axes, 47, 28, 15, 10, "controller C", REAL)
    box(axes, 47, 6, 15, 10, "world model M", BACK)
    box(axes, 84, 17, 15, 10, "error at the\nlast move", INK)
    arrow(axes, (16, 22), (24, 22), REAL)
    arrow(axes, (37, 23.5), (47, 31), REAL, "glimpse x(t)", (41.5, 30.2), "right")
    arrow(axes, (37, 20.5), (47, 12.5), REAL)
    arrow(axes, (53, 28), (53, 16), REAL, "move a(t)", (52.2, 22), "right")
    arrow(axes, (50, 38), (8.5, 27), REAL, "the move shifts the gaze", (22, 40), "center", bend=0.28)
    arrow(axes, (62, 12.5), (84, 19), REAL, "real x(t+1), Jacobian of M", (74, 11.2), "center")
    arrow(axes, (91.5, 38), (91.5, 27), REAL, "goal d: the glimpse at the wanted pose", (99, 40), "right")
    arrow(axes, (88, 38.2), (62, 34.5), REAL)
    arrow(axes, (84, 23.5), (62.4, 14.8), BACK, dashed=True)
    arrow(axes, (56.5, 16), (56.5, 28), BACK, "gradient", (57.5, 23.2), "left", dashed=True)
    return drawing, "The loop of scene, retina, controller and world model; the gradient runs back through M into C"


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    style = "round,pad=0,rounding_size=1.4"
    axes.add_patch(FancyBboxPatch((x, y), width, height, style, fill=False, edgecolor=colour, linewidth=1.6))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", color=INK, fontsize=10)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    text: str = "",
    at: tuple[float, float] = (0.0, 0.0),
    align: str = "center",
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=0,
            shrinkB=0,
            color=colour,
            linewidth=1.3,
            linestyle="--" if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
        )
    )
    axes.text(*at, text, ha=align, va="center", color=colour, fontsize=9)


def swamps() -> tuple[Figure, str]:
    """Four layouts: descent along the cost's gradient from the straight line and from bends of it; trains for it."""
    import torch

    from agents.subgoals.generator import SubgoalGenerator, path
    from scripts.experiments import hrl2

    torch.manual_seed(0)
    problems = hrl2.problems(4, hrl2.EVALUATION_SEED + 20)
    generator = SubgoalGenerator(hrl2.PLACE, 4 * hrl2.SWAMPS, hrl2.SUBGOALS)
    subgoals = generator.refine(hrl2.leg_cost(hrl2.swamp_area, 2 * hrl2.WEIGHT), *problems)
    start, goal, context = problems
    places = path(start, subgoals, goal).numpy()
    drawing, row = new_figure(10.0, 2.7, len(start))
    for i, axes in enumerate(row):
        for x, y, radius, height in context[i].reshape(-1, 4).tolist():
            for share in (1.0, 0.75, 0.5, 0.25) if height else ():
                axes.add_patch(Circle((x, y), share * radius, color="#5d8a66", alpha=0.22, linewidth=0))
        axes.plot(*places[[0, -1], i].T, linestyle=":", color=SOFT)
        axes.plot(*places[:, i].T, marker="o", markersize=3, color=REAL, linewidth=1.3)
        axes.plot(*places[0, i], marker="s", color=INK, markersize=5)
        axes.plot(*places[-1, i], marker="*", color=BACK, markersize=10)
        axes.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_color(SOFT)
    return drawing, "Four layouts of swamps, and the paths through six subgoals that go around them"


def foveate() -> tuple[Figure, str]:
    """A frame of CartPole, the receptive fields over it, and the colour that each of them sees."""
    pixels = AddRenderObservation(gymnasium.make("CartPole-v1", render_mode="rgb_array"), render_only=True)
    env = Foveate(pixels, gaze=lambda gazes, steps: np.full_like(gazes, [300.0, 280.0]), proprioception=False)
    env.reset(seed=4)
    seen, _, _, _, info = env.step(0)
    frame, table = env.render(), env.eye.fovea.retina.table
    drawing, (left, right) = new_figure(9.0, 3.2, 2)
    left.imshow(frame)
    order = np.argsort(-table[:, 2])  # large fields first, so that none hides a smaller one
    for (u, v, size), dark in zip(table[order], seen.reshape(-1, 3)[order], strict=True):
        place = u + info["gaze"][0], v + info["gaze"][1]
        left.add_patch(Circle(place, size / 2, fill=False, linewidth=0.8, edgecolor=REAL))
        right.add_patch(Circle(place, size / 2, facecolor=1.0 - dark, linewidth=0.5, edgecolor=SOFT))
    for axes, title in ((left, "the frame, and the receptive fields"), (right, "what the fovea sees: 40 colours")):
        axes.set(xlim=(150, 450), ylim=(390, 180), aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, color=INK, fontsize=10)
        axes.spines[:].set_color(SOFT)
    env.close()
    return drawing, "A part of a frame of CartPole under the receptive fields, and the colours that they see"


def attended() -> tuple[Figure, str]:
    """One moment of TakeCover with each picture, and the patches that the agent of the zoo attends to in it."""
    from PIL import Image

    from scripts.recipes import zoo_folder
    from scripts.shared.attended import AttendedPictures
    from scripts.shared.environments import make_lanes
    from scripts.shared.policies import load_agent
    from scripts.shared.rollouts import rollout
    from scripts.shared.runs import read_config

    env_id, names = "Foveal/TakeCover-v0", ("none", "colour", "bars", "blob")
    folder = zoo_folder(env_id)
    keywords = read_config(folder)["env_kwargs"]
    drawing, row = new_figure(10.0, 2.8, len(names))
    for axes, name in zip(row, names, strict=True):
        lane = make_lanes(env_id, {**keywords, "perturbation": name}, 1, render_mode="rgb_array")
        agent = load_agent(folder, lane)
        pictures = AttendedPictures(lane, agent)  # type: ignore[arg-type]
        frame = next(pictures.draw(move) for move in rollout(lane, Still(), 3) if move.number == MOMENT)
        lane.close()
        axes.imshow(Image.fromarray(frame[:, : len(frame)]).resize((256, 256)))  # the view, without what is beside it
        axes.set(xticks=[], yticks=[])
        axes.set_title({"none": "as in training"}.get(name, name), color=INK, fontsize=10)
        axes.spines[:].set_color(SOFT)
    return drawing, "One moment of TakeCover with each picture, and the patches that the agent attends to"


def dream() -> tuple[Figure, str]:
    """Moments of TakeCover, the same through V's code, and moments of a dream, both lived by a C; trains for it."""
    import torch

    from agents import VisionMemoryController, make_sb3
    from scripts.experiments import worldmodels
    from scripts.shared.environments import make_lanes
    from scripts.shared.rollouts import EVALUATION_SEED, rollout

    env_id, keywords = worldmodels.OURS
    agent = VisionMemoryController(env=make_sb3(env_id, worldmodels.LANES, **keywords), seed=0)
    agent.learn(10**12, callback=worldmodels.Generations(worldmodels.GENERATIONS))
    vae, controller = agent.policy.vae, agent.policy.controller
    world, inside = make_lanes(env_id, keywords, 1), agent.dream(1)
    seen = np.array([move.obs[0] for move in rollout(world, agent, EVALUATION_SEED)])[MOMENTS]
    codes = np.array([move.obs[0, : vae.codes] for move in rollout(inside, controller, EVALUATION_SEED)])[MOMENTS]
    through, dreamt = (
        vae.decode(part).numpy().astype(np.uint8) for part in (vae.encode(seen)[0], torch.from_numpy(codes))
    )
    drawing, grid = new_figure(10.0, 4.1, len(MOMENTS), 3)
    for title, pictures, row in zip(("world", "through V", "dream"), (seen, through, dreamt), grid, strict=True):
        row[0].set_ylabel(title, color=INK, fontsize=10)
        for picture, axes in zip(pictures, row, strict=True):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(SOFT)
    for number, axes in zip(MOMENTS, grid[0], strict=True):
        axes.set_title(f"tic {worldmodels.SKIP * number}", color=INK, fontsize=10)
    return drawing, "Moments of TakeCover, the same moments through V's code, and moments of a dream"


def curiosity() -> tuple[Figure, str]:
    """Where explorers of CuriosityGrid have been after 2,000 steps, and M's error on the way; one seed."""
    from agents import CuriousExplorer, make_sb3
    from scripts.experiments import curiosity as experiment

    kinds = ("random", "error", "improvement", "disagreement")
    drawing, row = new_figure(11.0, 2.6, len(kinds) + 1)
    for kind, axes in zip(kinds, row, strict=False):
        known = experiment.Known(stops=False)
        env = make_sb3(experiment.ENV, 1, seed=1, moves=experiment.LONG, max_episode_steps=experiment.LONG)
        planned = {"random": True} if kind == "random" else {"curiosity": kind}
        agent = CuriousExplorer(env=env, seed=1, **planned)  # type: ignore[arg-type]
        agent.learn(2_000, callback=known, log_interval=None)
        task = env.env.unwrapped.task
        visits = np.full(task.grid.shape, np.nan)
        visits[tuple(task.cells.T)] = agent.state_visits
        axes.imshow(np.log1p(visits), cmap="viridis", vmin=0, vmax=np.log1p(200))
        rows, columns = task.cells[task.noisy].T
        corner = columns.min() - 0.5, rows.min() - 0.5
        size = columns.max() - columns.min() + 1, rows.max() - rows.min() + 1
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=BACK, linewidth=1.2))
        axes.set(xticks=[], yticks=[])
        axes.set_title(kind, color=INK, fontsize=10)
        axes.spines[:].set_color(SOFT)
        row[-1].plot(known.errors, label=kind, linewidth=1.2)
    row[-1].set_title("M's error, share of its start", color=INK, fontsize=10)
    row[-1].legend(frameon=False, fontsize=8)
    row[-1].set(xlabel="steps", ylim=(0, 1))
    row[-1].spines[["top", "right"]].set_visible(False)
    return drawing, "Visits of four explorers, the noise framed in red, and the error of their world models over time"


def questions() -> tuple[Figure, str]:
    """What a ThinkingController asks first, second, ..., and when it has heard what it wants; trains for it."""
    import torch

    from scripts.experiments import plan4

    torch.set_num_threads(1)
    agent, table = plan4.trained("learned questions", 0)
    obs, _ = table.reset(seed=1)
    encoder, policy = agent.policy.encoder, agent.policy
    policy.set_training_mode(False)
    tensors, _ = policy.obs_to_tensor(obs)
    with torch.no_grad():
        asked, told, _ = policy.think(encoder.observation(tensors), encoder.desired(tensors))
    heard = (told[..., :-1].argmax(-1) == encoder.desired(tensors).argmax(-1)[:, None]).cummax(1).values
    drawing, (left, right) = new_figure(8.0, 2.8, 2)
    left.imshow(asked.mean(0).T.numpy(), cmap="Blues", vmin=0, vmax=1)
    left.set(xlabel="question", ylabel="action asked about", xticks=range(6), yticks=range(6))
    left.set_xticklabels(range(1, 7))
    left.set_title("how often", color=INK, fontsize=10)
    right.plot(range(1, 7), heard.float().mean(0).numpy(), color=REAL, marker="o")
    right.set(xlabel="questions asked", ylim=(0, 1), xticks=range(1, 7))
    right.set_title("has heard the answer that it wants", color=INK, fontsize=10)
    right.spines[["top", "right"]].set_visible(False)
    return drawing, "Which action each of six questions is about, and how soon the wanted answer has been heard"


class Still:
    """Does the same whatever it sees, so that all pictures show the same moment."""

    def predict(self, observation: np.ndarray, *arguments: object, **keywords: object) -> tuple[np.ndarray, None]:
        return np.ones(len(observation), np.int64), None


DRAWINGS = {
    "loop": loop,
    "retina": retina,
    "swamps": swamps,
    "foveate": foveate,
    "attended": attended,
    "dream": dream,
    "curiosity": curiosity,
    "questions": questions,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or DRAWINGS:
        (folder / f"{name}.svg").write_bytes(svg(DRAWINGS[name]()[0]))
