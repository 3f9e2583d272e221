"""Every keyword of every constructor: an odd value is refused by name, or it is of the kind that the signature says."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs import FovealEnv, FovealVectorEnv, Foveate, FoveateVector, Retina, registration
from foveal_envs.checks import flag, one_of, real_number, whole_number
from foveal_envs.retinas import RETINAS, make_retina
from foveal_envs.scenes.bank import ImageBank

from .conftest import IDS, case_name

ODD: list[Any] = [
    None,
    float("nan"),
    float("inf"),
    float("-inf"),
    -1,
    0,
    1.5,
    1e9,
    True,
    False,
    "x",
    "no",
    "",
    [],
    {},
    (1, 2, 3),
    10**30,
    10**5000,
    2**63,
    np.zeros((2, 3)),
    np.zeros(3),
    np.array(2.0),
    np.array([object(), None, "x"]),
    {"a"},
    object(),
    b"bytes",
    [[1, 2], [3]],
    ["x", "y"],
    {"x": 1},
    {1: 2},
    len,
]
KINDS: dict[str, tuple[type, ...]] = {  # what a word of an annotation stands for
    "None": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "dict": (dict,),
    "Mapping": (Mapping,),
    "Sequence": (list, tuple, np.ndarray),
    "Images": (str, list, tuple, np.ndarray),
    "Gaze": (str, Callable),  # type: ignore[dict-item]
    "AutoresetMode": (),
}


class Blank(gym.Env[np.ndarray, Any]):
    observation_space, action_space = gym.spaces.Box(0, 255, (20, 20), np.uint8), gym.spaces.Discrete(2)


def fits(value: Any, annotation: str) -> bool:
    """Whether a value is of the kind that an annotation says; True is no number."""
    for _ in range(2):  # what stands in brackets, in brackets, too
        annotation = re.sub(r"\[[^\[\]]*\]", "", annotation)
    kinds = tuple(kind for word in annotation.split(" | ") for kind in KINDS.get(word, ()))
    return bool in kinds if isinstance(value, bool) else isinstance(value, kinds)


def retina_of(name: str, **keywords: Any) -> Retina:
    return make_retina({"name": name, **keywords})


Constructor = tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]
NEEDED: dict[str, dict[str, Any]] = {  # what makes a task in little time
    "Foveal/GlimpseClassification-v0": {"split": "test", "scales": 1},
    "Foveal/ImageSearch-v0": {"images": np.zeros((1, 16, 16), np.uint8)},
    "Foveal/VisualSearch-v0": {"images": np.zeros((1, 16, 16), np.uint8)},
    "Foveal/FourRooms-v0": {"layout": ["." * 30]},
    "Foveal/Catch-v0": {"view": "foveal"},
}


def constructors() -> dict[str, Constructor]:
    """Name -> what to call, whose keywords it takes, and the arguments that it needs."""
    picture, blanks = np.zeros((1, 20, 20), np.uint8), gym.vector.SyncVectorEnv([Blank])
    out: dict[str, Constructor] = {
        "FovealEnv": (FovealEnv, FovealEnv, {"task": "Parking"}),
        "FovealVectorEnv": (FovealVectorEnv, FovealVectorEnv, {"task": "Parking"}),
        "Foveate": (Foveate, Foveate, {"env": Blank()}),
        "FoveateVector": (FoveateVector, FoveateVector, {"env": blanks}),
        "Retina": (Retina, Retina, {"table": np.ones((1, 3))}),
        "ImageBank": (ImageBank, ImageBank, {"pictures": picture, "retina": make_retina("rings")}),
    }
    for name, function in RETINAS.items():
        out[name] = partial(retina_of, name), function, {}
    for id in IDS:
        task = registration._find(gym.spec(id).kwargs["task"])
        out[id] = task, task, NEEDED.get(id, {})
    return out


CONSTRUCTORS = constructors()
PAIRS = [
    (name, keyword)
    for name, (_, signed, _) in CONSTRUCTORS.items()
    for keyword, parameter in inspect.signature(signed).parameters.items()
    if parameter.kind is not parameter.VAR_KEYWORD
]


@functools.cache
def usual(name: str) -> Any:
    """Kept, so that banks of pictures are made once."""
    make, _, needed = CONSTRUCTORS[name]
    return make(**needed)


@pytest.mark.parametrize(("name", "keyword"), PAIRS, ids=case_name)
def test_odd_values_are_refused_by_name(name: str, keyword: str) -> None:
    (make, signed, needed), _ = CONSTRUCTORS[name], usual(name)
    annotation = inspect.signature(signed).parameters[keyword].annotation
    for value in ODD:
        message = ""
        try:
            make(**{**needed, keyword: value})
        except (ValueError, TypeError) as error:
            message = str(error)
        if message:
            assert re.search(rf"\b{keyword}\b", message)
            assert len(message) < 1000
        else:
            assert fits(value, annotation), f"{type(value)} {value!r} was accepted"


@pytest.mark.parametrize(
    ("id", "keywords", "message"),
    [
        ("TargetDetection", {"rotate": "no"}, "rotate must be True or False; got 'no'"),
        ("TargetDetection", {"moves": 1.5}, "moves must be a whole number from 1 to 1000000; got 1.5"),
        ("TargetDetection", {"moves": True}, "moves must be a whole number from 1 to 1000000; got True"),
        ("Parking", {"moves": 10**9}, "moves must be a whole number from 1 to 1000000; got 1000000000"),
        ("GridSearch", {"cost": float("inf")}, "cost must be a number in [0, 1000]; got inf"),
        ("VisualSearch", {"memory": float("nan")}, "memory must be a number of MiB in [0, 1048576]; got nan"),
        ("TargetDetection", {"randomise": 3}, "randomise must be None or a dict of ranges; got 3"),
        ("TargetDetection", {"start": None}, "start must be one of 'near', 'anywhere'; got None"),
        ("TargetDetection", {"channels": True}, "channels must be one of 1, 3; got True"),
        ("SwampNavigation", {"radius": [0.3, 0.2]}, "radius must be a range (least, largest); got [0.3, 0.2]"),
        ("SwampNavigation", {"swamps": [1, 1.5]}, "each end of swamps must be a whole number from 1 to 5; got 1.5"),
        ("FourRooms", {"layout": ["." * 80] * 80}, "layout must be at most 4096 squares large; got (80, 80)"),
    ],
)
def test_what_a_refusal_says(id: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gym.make(f"Foveal/{id}-v0", **keywords)


def test_numbers_of_numpy_are_numbers_of_python() -> None:
    values = (
        whole_number("n", np.int16(3), 1, 5),
        real_number("x", np.float32(0.5), 0.0, 1.0),
        real_number("x", np.int64(1), 0.0, 1.0),
        flag("yes", np.True_),
        one_of("name", np.str_("a"), ("a", "b")),
    )
    assert [type(value) for value in values] == [int, float, float, bool, str]


def test_a_refused_keyword_leaves_no_half_made_environment_to_close() -> None:
    """Gymnasium closes a vector environment when it is collected, and a warning would fail this test."""
    env = FovealVectorEnv.__new__(FovealVectorEnv)
    env.close()
    single = FovealEnv.__new__(FovealEnv)
    single.close()
