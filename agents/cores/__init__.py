"""Cores: nets that map a sequence of vectors to a sequence of vectors, with or without memory."""

from collections.abc import Callable
from functools import partial

from .additive_attention import AdditiveAttention
from .core import Core, Form, Recurrence, State, check_core
from .deep_delta import DeltaDelta, DeltaMLP
from .delta import Delta
from .dynamic_links import DynamicLinks
from .egocentric import EgocentricMap
from .elman import Elman
from .fast_weights import FastWeights
from .fast_weights_1991 import FastWeights1991
from .fast_weights_1993 import FastWeights1993
from .fast_weights_2016 import FastWeights2016
from .feedforward import FeedForward
from .front import Convolution, Front, front_size
from .gated_fast_weights import GatedFastWeights
from .gru import GRU
from .linear_attention import LinearAttention
from .lstm import LSTM
from .ops.checks import refuse_unknown
from .recurrent_delta import DeltaLSTM, DeltaRNN, RecurrentDelta
from .self_referential import SelfReferential, SelfReferential1992
from .stack import Stack
from .tensor_product import FastWeightMemory, TensorProduct
from .tiled import Tiled
from .vsml import VSML
from .window_attention import WindowAttention

CORES: dict[str, Callable[..., Core]] = {
    "feedforward": FeedForward,
    "elman": Elman,
    "lstm": LSTM,
    "gru": GRU,
    "fast_weights_1991": FastWeights1991,
    "fast_weights_1991_direct": partial(FastWeights1991, outer=False),
    "fast_weights_1993": FastWeights1993,
    "dynamic_links": DynamicLinks,
    "fast_weights_2016": FastWeights2016,
    "gated_fast_weights": GatedFastWeights,
    "window_attention": WindowAttention,
    "additive_attention": AdditiveAttention,
    "linear_attention": LinearAttention,
    "favor": partial(LinearAttention, features="favor"),
    "delta": Delta,
    "delta_elu": partial(Delta, features="elu"),
    "delta_dpfp": partial(Delta, features="dpfp1"),
    "gated_delta": partial(Delta, gate=True),
    "delta_product": partial(Delta, updates=2, beta_max=2.0),
    "delta_delta": DeltaDelta,
    "delta_mlp": DeltaMLP,
    "delta_rnn": DeltaRNN,
    "delta_lstm": DeltaLSTM,
    "recurrent_delta": RecurrentDelta,
    "self_referential": SelfReferential,
    "self_referential_1992": SelfReferential1992,
    "tensor_product": TensorProduct,
    "fast_weight_memory": FastWeightMemory,
    "vsml": VSML,
    "stack": Stack,
}


def make_core(
    name: str, input_size: int, *, convolution: Convolution | None = None, clock: int = 0, **keywords: object
) -> Core:
    """Makes the core of a name in `CORES`, and checks its shapes with one step.

    Args:
        name: key of `CORES`; to use a core of your own, add it to that dictionary.
        input_size: D, width of the input.
        convolution, clock: what is put before the core, see `Front`; the defaults: nothing.
        keywords: the constructor's other keywords.

    Raises:
        TypeError: the core has no such keyword.
        ValueError: the name is unknown, `Front` has no such options, or the core's shapes break the contract, see
            `check_core`.
    """
    if name not in tuple(CORES):  # nor may it be unhashable
        raise ValueError(f"core must be one of {sorted(CORES)}, not {name!r}; add your own class to agents.CORES")
    refuse_unknown(CORES[name], keywords)
    if convolution is None and clock == 0:
        core = CORES[name](input_size, **keywords)
    else:
        core = Front(
            CORES[name](front_size(input_size, convolution, clock), **keywords), input_size, convolution, clock
        )
    check_core(core)
    return core


__all__ = [
    "CORES",
    "GRU",
    "LSTM",
    "VSML",
    "AdditiveAttention",
    "Core",
    "Delta",
    "DeltaDelta",
    "DeltaLSTM",
    "DeltaMLP",
    "DeltaRNN",
    "DynamicLinks",
    "EgocentricMap",
    "Elman",
    "FastWeightMemory",
    "FastWeights",
    "FastWeights1991",
    "FastWeights1993",
    "FastWeights2016",
    "FeedForward",
    "Form",
    "Front",
    "GatedFastWeights",
    "LinearAttention",
    "Recurrence",
    "RecurrentDelta",
    "SelfReferential",
    "SelfReferential1992",
    "Stack",
    "State",
    "TensorProduct",
    "Tiled",
    "WindowAttention",
    "check_core",
    "make_core",
]
