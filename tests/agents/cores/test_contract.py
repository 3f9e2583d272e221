"""What every core in `CORES` promises; a new core is tested by registering it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents import FeedForward
from agents.cores import CORES, Core, EgocentricMap, Front, State, Tiled, make_core

from ..worlds import Elman

T, B, D = 40, 5, 3  # more than one chunk
FORMS = [(name, form) for name in CORES for form in make_core(name, D).forms]
VARIANTS: list[tuple[str, dict[str, Any]]] = [  # keywords that change what is computed
    ("delta", {"features": "softmax", "gate": True, "updates": 3, "beta_max": 2.0}),
    ("delta_delta", {"features": "dpfp2"}),
    ("dynamic_links", {"rule": "delta"}),
    ("fast_weights_2016", {"inner_steps": 3}),
    ("fast_weight_memory", {"published": True}),
    ("recurrent_delta", {"mixes_heads": False}),
    ("self_referential", {"initial_std": 0.25}),
    ("window_attention", {"window": 1}),
    ("window_attention", {"window": 5}),
    ("additive_attention", {"window": 1}),
    ("stack", {"depth": 1, "width": 3}),
]
FRONTS: list[dict[str, Any]] = [{"convolution": "depthwise", "clock": 3}, {"convolution": "full", "clock": 3}]
FRONTED = ("feedforward", "lstm", "gated_delta")  # of all, where one front is as good as another
STATEFUL = [name for name in CORES if make_core(name, D).initial_state(1)]
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def make(name: str, learned: bool = False, **keywords: Any) -> Core:
    """A core in float64 whose learned initial state is not the one it was made with."""
    torch.manual_seed(0)
    if name in STATEFUL:
        keywords["learn_initial_state"] = learned
    core = make_core(name, D, **keywords).double()
    if learned:
        for part in (part for name, part in core.named_parameters() if "initial_" in name):
            part.data.add_(0.3 * torch.randn_like(part))
    return core


def tiled(name: str, form: str) -> Core:
    """The core at each of four places, which read a number of their own and two others."""
    torch.manual_seed(0)
    return Tiled(make_core(name, 5, learn_initial_state=True, form=form), 6, 4).double()


def egocentric(name: str, form: str) -> Core:
    """The core at each of nine places, over which a view of 2 x 2 cells with two channels moves, past one number."""
    torch.manual_seed(0)
    return EgocentricMap(make_core(name, 4, learn_initial_state=True, form=form), 2, 2, 1, 3, 2.0).double()


def some_state(core: Core) -> State:
    """A state in the middle of an episode."""
    x = torch.randn(3, B, core.input_size, dtype=torch.float64)
    with torch.no_grad():
        _, state = core.loop(x, core.initial_state(B), torch.zeros(3, B, dtype=torch.bool))
    return tuple(part.requires_grad_() for part in state)


def inputs(width: int = D) -> tuple[Tensor, Tensor]:
    """Inputs, and starts: none, one at once, two in a row, and at random."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, width, dtype=torch.float64, generator=generator).requires_grad_()
    starts = torch.rand(T, B, generator=generator) < 0.15
    starts[:, :3] = False
    starts[0, 1] = starts[5, 2] = starts[6, 2] = True
    return x, starts


def steps(core: Core, x: Tensor, state: State, starts: Tensor) -> tuple[Tensor, State]:
    outputs = []
    for t in range(len(x)):
        y, state = core.step(x[t], state, starts[t])
        outputs.append(y)
    return torch.stack(outputs), state


def gradients(y: Tensor, state: State, wanted: list[Tensor]) -> list[Tensor]:
    """Gradients of a loss that weighs every number of y and state otherwise."""
    generator = torch.Generator().manual_seed(2)
    loss = sum(
        (part * torch.randn(part.shape, dtype=part.dtype, generator=generator)).sum().div(len(part))
        for part in (y, *state)
    )
    return list(torch.autograd.grad(loss, wanted, materialize_grads=True))


@pytest.mark.parametrize(
    ("name", "keywords", "learned"),
    [
        pytest.param(name, keywords, learned, id=f"{name}-{keywords}-{'learned' if learned else 'zero'}")
        for name, keywords in [
            *((name, {"form": form}) for name, form in FORMS),
            *((name, {"form": form, **FRONTS[0]}) for name, form in FORMS),
            *((name, {"form": form, **FRONTS[1]}) for name, form in FORMS if name in FRONTED),
            *VARIANTS,
        ]
        for learned in ([False, True] if name in STATEFUL else [False])
    ],
)
def test_a_sequence_equals_its_steps(name: str, keywords: dict[str, Any], learned: bool) -> None:
    core = make(name, learned, **keywords)
    (x, starts), state = inputs(), some_state(core)
    wanted = [x, *state, *core.parameters()]
    results = []
    for compute in (core, lambda *arguments: steps(core, *arguments)):
        y, after = compute(x, state, starts)
        results.append([y, *after, *gradients(y, after, wanted)])
    with torch.no_grad():  # as rollouts do, where compiled cores step otherwise
        y, after = steps(core, x, state, starts)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    torch.testing.assert_close([y, *after], results[1][: 1 + len(after)], **CLOSE)
    if learned:
        own = core.core if isinstance(core, Front) else core
        assert all(part.grad_fn is not None for part in own.initial_state(2))


MAPS = {"tiled": lambda: tiled("gru", "loop"), "egocentric": lambda: egocentric("gru", "loop")}
MAKERS: dict[str, Callable[[], Core]] = {**{name: partial(make_core, name, D) for name in CORES}, **MAPS}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("learns", [True, False])
def test_autocast_stays_outside_a_core(name: str, learns: bool) -> None:
    """State and machine code keep the precision of the parameters."""
    core = MAKERS[name]().float()
    x, starts = torch.randn(6, B, core.input_size), torch.rand(6, B) < 0.2
    state = core.initial_state(B)

    def results() -> list[tuple[Tensor, State]]:
        return [core(x, state, starts), core.step(x[0], state, starts[0])]

    with torch.set_grad_enabled(learns):
        expected = results()
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(results(), expected, rtol=0, atol=0)
            rounded, _ = core(x.bfloat16(), tuple(part.bfloat16() for part in state), starts)
        assert (rounded - expected[0][0]).abs().mean() < 0.02  # a few elements may amplify the rounding of x
        if learns:
            rounded.sum().backward()
            assert all(part.grad is None or part.grad.isfinite().all() for part in core.parameters())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_refused_by_name(name: str, precision: torch.dtype) -> None:
    core = MAKERS[name]().to(precision)
    x, starts = torch.randn(6, B, core.input_size, dtype=precision), torch.zeros(6, B, dtype=torch.bool)
    message = f"{type(core).__name__} computes in float32 or float64, not in {precision}".replace("torch.", "")
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            with pytest.raises(TypeError, match=message):
                core(x, core.initial_state(B), starts)
            with pytest.raises(TypeError, match=message):
                core.step(x[0], core.initial_state(B), starts[0])


@pytest.mark.parametrize(("name", "form"), [pair for pair in FORMS if pair[0] in ("lstm", "gated_delta")])
@pytest.mark.parametrize("spread", [tiled, egocentric])
def test_a_sequence_at_many_places_equals_its_steps(spread: Callable[..., Core], name: str, form: str) -> None:
    core = spread(name, form)
    (x, starts), state = inputs(core.input_size), some_state(core)
    results = []
    for compute in (core, lambda *arguments: steps(core, *arguments)):
        y, after = compute(x, state, starts)
        results.append([y, *after, *gradients(y, after, [x, *state, *core.parameters()])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_all_places_obey_the_same_rule() -> None:
    core = tiled("lstm", "loop")
    core.where.zero_()
    x, starts = torch.randn(1, 6, dtype=torch.float64), torch.ones(1, dtype=torch.bool)
    order = torch.tensor([2, 0, 3, 1])
    moved = torch.cat((x[:, order], x[:, 4:]), 1)
    y, other = (core.step(inputs, core.initial_state(1), starts)[0].view(4, -1) for inputs in (x, moved))
    torch.testing.assert_close(y[order], other)


def test_what_was_seen_is_remembered_where_it_was() -> None:
    """A dot is seen right of the gaze; when the gaze has moved there, the map around it shows the dot in its middle."""
    torch.manual_seed(0)
    core = EgocentricMap(make_core("lstm", 3, size=4), 1, 8, 0, 65, 4.0)
    views, steps = torch.zeros(2, 1, 64), torch.zeros(2, 1, 2)
    views[0, 0, 4 * 8 + 6] = views[0, 0, 3 * 8 + 6] = 1.0  # x = 5/8, y = +-1/8
    steps[1, 0, 0] = 0.625
    blank = views.clone()
    blank[0] = 0.0
    starts = torch.tensor([[True], [False]])
    with torch.no_grad():
        maps = [
            core(torch.cat((view, steps), -1), core.initial_state(1), starts)[0][..., : 4 * 144].view(2, 4, 12, 12)
            for view in (views, blank)
        ]
    change = (maps[0] - maps[1]).square().sum(1)
    column = (torch.arange(12) + 0.5) * 0.25 - 1.5  # of what is read, in halves of the view
    middle = (change.sum(1) * column).sum(1) / change.sum((1, 2))
    torch.testing.assert_close(middle, torch.tensor([0.625, 0.0]), atol=0.06, rtol=0)


def test_what_is_far_from_the_gaze_is_read_too() -> None:
    """A dot is seen right of the gaze, which then moves left until no place near it has seen the dot."""
    torch.manual_seed(0)
    core = EgocentricMap(make_core("lstm", 3, size=4), 1, 8, 0, 12, 3.0)
    x, starts = torch.zeros(2, 1, 66), torch.tensor([[True], [False]])
    x[1, 0, 64] = -1.5
    dot = x.clone()
    dot[0, 0, 4 * 8 + 6] = dot[0, 0, 3 * 8 + 6] = 1.0  # x = 5/8, y = +-1/8
    with torch.no_grad():
        one, other = (core(seen, core.initial_state(1), starts)[0][1, 0] for seen in (x, dot))
    near, _, far = (one - other).square().split((4 * 144, 144, 4 * 144))
    assert not near.any()
    row = far.view(4, 12, 12).sum((0, 1))
    place = (torch.arange(12) + 0.5) * 0.5 - 3.0
    assert ((row * place).sum() / row.sum()).item() == pytest.approx(2.125, abs=0.15)  # between two places


def test_the_gaze_begins_in_the_middle_of_the_map_which_is_a_torus() -> None:
    """What lies its side apart has one place, wherever the gaze is; what lies less far apart has not."""
    torch.manual_seed(0)
    core = EgocentricMap(make_core("lstm", 3, size=4), 1, 4, 0, 5, 2.0)
    x = torch.zeros(3, 1, 18)
    x[0, :, :16] = torch.rand(16)
    x[:, :, 16:] = torch.tensor([[1.0, 0.0], [0.5, -0.5], [1.75, 0.25]])[:, None]
    state = core(x, core.initial_state(1), torch.tensor([[True], [False], [False]]))[1]
    torch.testing.assert_close(state[-1], torch.tensor([[3.25, -0.25]]))
    again = core(x[:1], state, torch.ones(1, 1, dtype=torch.bool))[1]
    torch.testing.assert_close(again[-1], torch.tensor([[1.0, 0.0]]))
    look = torch.zeros(4, 18)
    look[:, 16:] = torch.tensor([[-2.5, 0.0], [1.5, 0.0], [-2.5, -4.0], [-1.5, 0.0]])
    states = tuple(part.expand(4, *part.shape[1:]) for part in state)
    with torch.no_grad():
        read, (*_, gaze) = core.step(look, states, torch.zeros(4, dtype=torch.bool))
    remembered = read[:, : 4 * 36]
    torch.testing.assert_close(remembered[1:3], remembered[:1].expand(2, -1), atol=1e-5, rtol=1e-4)
    assert (remembered[3] - remembered[0]).abs().max() > 0.01
    torch.testing.assert_close(gaze[0], torch.tensor([0.75, -0.25]))


def test_a_core_that_does_not_fit_a_map_is_refused() -> None:
    with pytest.raises(ValueError, match="must read 4 numbers, not 5"):
        EgocentricMap(make_core("lstm", 5), 2, 2, 1, 3, 2.0)


@pytest.mark.parametrize(("reads", "places"), [(6, 3), (6, 4)])
def test_tiles_that_do_not_fit_are_refused(reads: int, places: int) -> None:
    with pytest.raises(ValueError, match="must be a square"):
        Tiled(make_core("lstm", reads), 6, places)


WITH_FRONTS = [(name, {"form": form}) for name, form in FORMS]
WITH_FRONTS += [(name, {"form": form, **front}) for name, form in FORMS if name in FRONTED for front in FRONTS]


@pytest.mark.parametrize(("name", "keywords"), WITH_FRONTS)
def test_a_call_split_in_two_equals_the_whole(name: str, keywords: dict[str, Any]) -> None:
    core = make(name, **keywords)
    (x, starts), state = inputs(), some_state(core)
    y, after = core(x, state, starts)
    first, between = core(x[:13], state, starts[:13])
    second, end = core(x[13:], between, starts[13:])
    torch.testing.assert_close((torch.cat((first, second)), end), (y, after), **CLOSE)


@pytest.mark.parametrize("learned", [False, True], ids=["zero", "learned"])
@pytest.mark.parametrize(
    ("name", "keywords"), [(name, keywords) for name, keywords in WITH_FRONTS if name in STATEFUL or len(keywords) > 1]
)
def test_nothing_crosses_a_reset(name: str, keywords: dict[str, Any], learned: bool) -> None:
    core = make(name, learned, **keywords)
    (x, starts), state = inputs(), some_state(core)
    starts[20] = True
    y, after = core(x, state, starts)
    before, *old = gradients(y[20:], after, [x, *state])
    assert not before[:20].count_nonzero()
    assert before[20:].count_nonzero()
    assert not any(part.count_nonzero() for part in old)
    fresh, end = core(x[20:], core.initial_state(B), starts[20:])
    torch.testing.assert_close((y[20:], after), (fresh, end), **CLOSE)
    unbroken, _ = core(x, state, torch.zeros_like(starts))
    assert not torch.allclose(unbroken[20:], fresh)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_float32_is_stable_when_inputs_resemble_each_other(name: str, form: str) -> None:
    core = make(name, form=form)
    generator = torch.Generator().manual_seed(3)
    common, own = torch.randn(1, 2, D, generator=generator), torch.randn(512, 2, D, generator=generator)
    x, starts = 0.99**0.5 * common + 0.1 * own, torch.zeros(512, 2, dtype=torch.bool)
    results = []
    for dtype in (torch.float64, torch.float32):
        core.to(dtype).zero_grad()
        y, state = core(x.to(dtype), core.initial_state(2), starts)
        y.square().mean().backward()
        results.append([y, *state, *(part.grad for part in core.parameters() if part.grad is not None)])
    for exact, single in zip(*results, strict=True):
        scale = exact.abs().max() + 1e-3
        torch.testing.assert_close(single.double() / scale, exact.double() / scale, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", CORES)
def test_the_form_is_visible_and_can_be_chosen(name: str) -> None:
    core = make_core(name, D)
    assert core.form == core.forms[0]
    assert make_core(name, D, form="loop").form == "loop"
    with pytest.raises(ValueError, match=r"form of .* must be one of"):
        make_core(name, D, form="fast")
    if "parallel" not in core.forms:
        with pytest.raises(ValueError, match="loop"):
            make_core(name, D, form="parallel")


@pytest.mark.parametrize("name", STATEFUL)
def test_a_learned_initial_state_is_a_parameter_and_a_fixed_one_is_kept(name: str) -> None:
    learned, fixed = make(name, learned=True), make(name)
    names = {f"initial_{i}" for i in range(len(fixed.initial_state(1)))}
    assert names <= dict(learned.named_parameters()).keys()
    assert not names & dict(fixed.named_parameters()).keys()
    assert names <= fixed.state_dict().keys()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"convolution": "causal"}, r"convolution must be one of \('depthwise', 'full'\) or None, not 'causal'"),
        ({"clock": -1}, "clock must be a number of periods from 0 to 12, not -1"),
        ({"clock": 13}, "from 0 to 12, not 13"),
        ({"clock": 2.5}, "from 0 to 12, not 2.5"),
        ({"clock": True}, "from 0 to 12, not True"),
    ],
)
def test_a_front_that_does_not_exist_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_core("lstm", D, **keywords)


@pytest.mark.parametrize("keywords", [{}, FRONTS[0], FRONTS[1]], ids=str)
@pytest.mark.parametrize("name", FRONTED)
def test_shapes_that_do_not_fit_are_refused(name: str, keywords: dict[str, Any]) -> None:
    """Machine code would read past the ends of arrays."""
    core = make(name, **keywords)
    x, starts = torch.randn(3, 2, D, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.bool)
    state = core.initial_state(2)
    for wide in (D - 1, D + 1):
        with pytest.raises(ValueError, match=f"reads {D} numbers, not {wide}"):
            core(torch.randn(3, 2, wide, dtype=torch.float64), state, starts)
    for shape in ((3, 3), (2, 2)):
        with pytest.raises(ValueError, match="episode_start has shape"):
            core(x, state, torch.zeros(shape, dtype=torch.bool))
    if state:
        with pytest.raises(ValueError, match="state is of a batch of 3"):
            core(x, core.initial_state(3), starts)
        with pytest.raises(ValueError, match="state is of a batch of 1"):
            core.step(x[0], core.initial_state(1), starts[0])


@pytest.mark.parametrize("form", ["compiled", "packed"])
def test_the_clock_goes_on_after_more_steps_than_float32_counts(form: str) -> None:
    core = make_core("lstm", D, form=form, clock=3)
    x, starts = torch.zeros(8, 1, D), torch.zeros(8, 1, dtype=torch.bool)
    for age in (2.0**23 - 3, 2.0**23 - 8):
        state = (*core.initial_state(1)[:-1], torch.tensor([[age]]))
        with torch.no_grad():
            whole, stepped = core(x, state, starts), steps(core, x, state, starts)
        torch.testing.assert_close(whole, stepped)
        assert whole[1][-1].item() == 2.0**22 + (age + 8 - 2.0**23)


@pytest.mark.parametrize("form", ["compiled", "packed", "loop"])
def test_what_was_infinite_stays_in_its_episode(form: str) -> None:
    core = make_core("lstm", D, form=form, convolution="depthwise")
    x, starts = torch.zeros(2, 1, D), torch.ones(2, 1, dtype=torch.bool)
    x[0, 0, 0] = torch.inf
    y, (*_, past, _) = core(x, core.initial_state(1), starts)
    assert y[1].isfinite().all()
    assert past.isfinite().all()


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("stack", {"depth": 2.5}, "depth must be a whole number of at least 1, not 2.5"),
        ("stack", {"width": True}, "width must be a whole number"),
        ("stack", {"sharpness": "x"}, "sharpness must be a positive number, not 'x'"),
        ("dynamic_links", {"rate": "a"}, r"rate must be a number in \[0, 1\], not 'a'"),
        ("dynamic_links", {"size": -3}, "size must be a whole number of at least 1, not -3"),
        ("additive_attention", {"window": 0}, "window must be a whole number of at least 1, not 0"),
        ("additive_attention", {"heads": 0}, "heads must be a whole number"),
        ("delta", {"key_size": 0}, "key_size must be a whole number"),
        ("lstm", {"size": 0}, "size must be a whole number"),
        ([], {}, r"core must be one of .*, not \[\]"),
    ],
)
def test_odd_sizes_are_refused_by_name(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_core(name, D, **keywords)


def test_a_front_needs_something_to_do_and_a_core_that_fits() -> None:
    with pytest.raises(ValueError, match="needs a convolution or a clock"):
        Front(make_core("lstm", D), D)
    with pytest.raises(ValueError, match="must read 12 numbers, not 3"):
        Front(make_core("lstm", D), D, "full")


def test_a_core_of_ones_own_needs_only_a_step() -> None:
    core = Elman(D)
    x, starts = torch.randn(6, 2, D), torch.zeros(6, 2, dtype=torch.bool)
    starts[4] = True
    y, _ = core(x, core.initial_state(2), starts)
    torch.testing.assert_close(y[4:], core(x[4:], core.initial_state(2), starts[4:])[0])


class Broken(Core):
    """A core that breaks the contract in the way named."""

    def __init__(self, input_size: int, way: str) -> None:
        super().__init__(input_size, 4)
        self.way, self.read = way, nn.Linear(input_size, 4)

    def initial_state(self, batch_size: int) -> State:
        shape = {"time first": (1, batch_size, 4), "scalar": ()}.get(self.way, (batch_size, 4))
        state = torch.zeros(shape)
        return [state] if self.way == "list" else (state,)  # type: ignore[return-value]

    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        y = self.read(x)
        after = {"grows": torch.cat((y, y), -1), "unbatched": y[:1]}.get(self.way, y)
        return y[:, :3] if self.way == "narrow" else y, (after,)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("time first", r"initial_state returned has shape \(1, 3, 4\) for a batch of 3; the first axis"),
        ("scalar", r"initial_state returned has shape \(\)"),
        ("unbatched", r"step returned has shape \(1, 4\)"),
        ("list", "as a tuple of tensors, not a list"),
        ("narrow", r"output of shape \(3, 3\).*\(3, 4\)"),
        ("grows", r"from \[\(3, 4\)\] to \[\(3, 8\)\]"),
    ],
)
def test_a_core_of_wrong_shapes_is_refused_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch, way: str, message: str
) -> None:
    monkeypatch.setitem(CORES, "broken", Broken)
    with pytest.raises(ValueError, match=message):
        make_core("broken", D, way=way)


def test_every_core_is_abstract_or_final() -> None:
    kinds = [Core]
    for kind in kinds:  # grows as it goes
        kinds += kind.__subclasses__()
    for kind in kinds:
        if kind.__module__.startswith("agents."):
            assert inspect.isabstract(kind) != getattr(kind, "__final__", False), kind


def test_bad_cores_are_named() -> None:
    with pytest.raises(ValueError, match=r"gated_delta.*lstm"):
        make_core("lstm2", D)
    with pytest.raises(TypeError, match="cells"):
        make_core("lstm", D, cells=3)
    with pytest.raises(ValueError, match="silu"):
        FeedForward(D, activation="swish")
    with pytest.raises(ValueError, match="width"):
        FeedForward(D, hidden=())
    with pytest.raises(ValueError, match="dpfp1"):
        make_core("delta", D, features="relu")
    with pytest.raises(ValueError, match="updates"):
        make_core("delta", D, updates=0)
    with pytest.raises(ValueError, match="beta_max"):
        make_core("delta", D, beta_max=2.5)
    with pytest.raises(ValueError, match=r"rule must be one of \('hebb', 'delta'\), not 'oja'"):
        make_core("dynamic_links", D, rule="oja")
    for keywords in ({"decay": 1.1}, {"rate": -0.1}):
        with pytest.raises(ValueError, match=r"must be a number in \[0, 1\]"):
            make_core("dynamic_links", D, **keywords)
    for keywords in ({"depth": 0}, {"width": 0}):
        with pytest.raises(ValueError, match="must be a whole number of at least 1"):
            make_core("stack", D, **keywords)
