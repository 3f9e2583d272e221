"""Saves and loads agents as archives, from what their classes declare: keywords, nets, progress and state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info
from torch import Tensor

from ..cores.ops.checks import constructor_keywords, refuse_unknown
from .archive import Archive, ArchiveError, File, PickledError, one_line, read_zip, source_of, write_zip
from .data import check_alike, not_data
from .keywords import check_keywords

# Keywords that are not saved: the caller passes them whenever an agent is made or loaded.
_GIVEN = ("env", "device", "_init_setup_model")
# Keywords that Stable-Baselines3 stores under another name.
_KEPT_AS = {"stats_window_size": "_stats_window_size"}


class SavedAlgorithm(BaseAlgorithm):
    """A Stable-Baselines3 algorithm whose files hold only data: nothing is pickled, and loading one runs no code.

    Attributes:
        STATE: names of the attributes, besides nets and optimizers, that carry over from one rollout to the next.
            Checkpoints hold them. Each is plain data (see `archive.pack`) or has `get_state` and `set_state`.
        PROGRESS: names of the attributes that track the progress of training; `save` stores them too.
        RENAMED: current names of keywords by former name.
    """

    STATE: ClassVar[tuple[str, ...]] = ()
    PROGRESS: ClassVar[tuple[str, ...]] = (
        "num_timesteps", "_total_timesteps", "_num_timesteps_at_start", "_episode_num", "_n_updates",
        "_current_progress_remaining", "ep_info_buffer", "ep_success_buffer",
    )  # fmt: skip
    RENAMED: ClassVar[Mapping[str, str]] = {}

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Refuses unknown keywords and lists the known ones; refuses values of a wrong kind or out of range."""
        for name in cls.RENAMED.keys() & keywords.keys():
            raise TypeError(f"{cls.__name__}() got the keyword {name!r}, which is called {cls.RENAMED[name]!r} here")
        refuse_unknown(cls, keywords)
        check_keywords(cls, keywords)
        return super().__new__(cls)

    def check_settings(self) -> None:
        """Raises ValueError for a setting of a wrong kind or out of range, whoever passed it to the constructor."""
        kept = {name: _KEPT_AS.get(name, name) for name in constructor_keywords(type(self)) if name not in _GIVEN}
        check_keywords(type(self), {name: getattr(self, own) for name, own in kept.items() if hasattr(self, own)})

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's keywords, except environment and device, with their current values."""
        names = [name for name in constructor_keywords(type(self)) if name not in (*_GIVEN, "policy")]
        aliases = [alias for alias, known in self.policy_aliases.items() if known is self.policy_class]
        policy = aliases[0] if aliases else self.policy_class
        return {"policy": policy, **{name: getattr(self, _KEPT_AS.get(name, name)) for name in names}}

    def not_data(self) -> dict[str, Any]:
        """The settings that a file cannot hold completely, such as functions; pass them to `load`."""
        settings = self.settings
        return {place.partition(".")[0]: settings[place.partition(".")[0]] for place in not_data(settings)}

    def get_state(self) -> dict[str, Any]:
        """The attributes named in `STATE`."""
        own = {name: getattr(self, name) for name in self.STATE}
        return {name: value.get_state() if hasattr(value, "get_state") else value for name, value in own.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: `check_state` refuses a value.
        """
        for name in self.STATE:
            own = getattr(self, name)
            if hasattr(own, "set_state"):
                own.set_state(state[name])
            else:
                self.check_state(name, state[name])
                setattr(self, name, _on(self.device, state[name]))

    def check_state(self, name: str, given: Any) -> None:
        """Raises ValueError if a file's value for an attribute in `STATE` or `PROGRESS` is invalid.

        By default it must have the type, dtype and shape of the current value, unless that is None. A subclass checks
        more where loops use the value as an index.
        """
        check_alike(name, getattr(self, name), given)

    def save(
        self,
        path: File,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Writes settings, nets, optimizers and progress.

        Args:
            path: file, with ".zip" added if it has no suffix; or an open binary file.
            exclude: names of settings, nets, optimizers and progress to leave out.
            include: names of attributes in `STATE` to add; `load` does not need them.
        """
        content = self.content(set(exclude or ()))
        content["state"] = {name: value for name, value in self.get_state().items() if name in set(include or ())}
        if isinstance(path, str | Path) and not Path(path).suffix:
            path = Path(path).with_suffix(".zip")
        write_zip(path, "agent", content)

    def content(self, left_out: Iterable[str] = ()) -> dict[str, Any]:
        """What an archive of the agent holds."""
        parts = {
            "settings": self.settings,
            "parameters": self.get_parameters(),
            "progress": {name: getattr(self, name) for name in self.PROGRESS},
        }
        kept = {
            part: {name: value for name, value in held.items() if name not in left_out} for part, held in parts.items()
        }
        spaces = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {"class": type(self).__name__, **spaces, **kept}

    def take(self, content: Mapping[str, Any]) -> None:
        """Takes over nets, optimizers and progress from the `content` of an agent with the same settings.

        Raises:
            ValueError: they do not fit.
        """
        parameters = {**self.get_parameters(), **content["parameters"]}  # its own where they were left out
        self.set_parameters(parameters, exact_match=True, device=self.device)
        for name in parameters:
            if isinstance(getattr(self, name), torch.optim.Optimizer):
                fit_moments(getattr(self, name))
        for name in self.PROGRESS:
            if name in content["progress"]:
                self.check_state(name, content["progress"][name])
                setattr(self, name, content["progress"][name])

    @classmethod
    def load(
        cls,
        path: File,
        env: GymEnv | None = None,
        device: torch.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        *,
        trust: bool = False,
        **keywords: Any,
    ) -> Self:
        """Loads an agent from a file that `save` wrote. No code from the file runs.

        Args:
            path: the file, ".zip" may be left out; or an open binary file.
            env: to train in, with any number of lanes that fits the settings; None: call `set_env` later.
            device: device of the nets.
            custom_objects, keywords: settings that replace those in the file; dicts are merged key by key. Settings
                that the file could not hold must be passed here. Among `custom_objects`, names of no settings are
                ignored, as Stable-Baselines3 does.
            print_system_info: prints the versions of this system.
            force_reset: unused, as every load starts new episodes; part of Stable-Baselines3's signature.
            trust: also read a pickled file, from before this format; this runs the code in it.

        Raises:
            ArchiveError: the file is no archive, is damaged, pickled or of another class, or a setting that it could
                not hold is missing. The message is one line.
        """
        if isinstance(path, str | Path) and not Path(path).is_file():
            path = Path(path).with_name(f"{Path(path).name}.zip")
        settings = constructor_keywords(cls)
        given = {name: value for name, value in (custom_objects or {}).items() if name in settings} | keywords
        if print_system_info:
            get_system_info()
        try:
            archive = read_zip(path, "agent")
        except PickledError:
            if not trust:
                raise
            archive = cls._pickled(path, given)
        return cls.rebuild(archive, source_of(path), env, device, given)

    def set_parameters(
        self,
        load_path_or_dict: str | dict[str, Any],
        exact_match: bool = True,
        device: torch.device | str = "auto",
    ) -> None:
        """Loads nets and optimizers from a dict, as `get_parameters` gives it, or from a file of `save`."""
        if not isinstance(load_path_or_dict, Mapping):
            load_path_or_dict = read_zip(load_path_or_dict, "agent").content["parameters"]
        super().set_parameters(load_path_or_dict, exact_match, device)

    @classmethod
    def rebuild(
        cls,
        archive: Archive,
        source: str,
        env: GymEnv | None = None,
        device: torch.device | str = "auto",
        given: Mapping[str, Any] | None = None,
    ) -> Self:
        """Builds an agent from an archive; see `load`."""
        content, given = archive.content, given or {}
        try:
            check_class(cls, content)
            agent = cls._made(content, archive.not_data, env, device, given)
            agent.take(content)
        except Exception as error:  # a damaged file may raise anything
            raise ArchiveError(f"{source}: {one_line(error)}") from error
        return agent

    @classmethod
    def _made(
        cls,
        content: Mapping[str, Any],
        places: Iterable[str],
        env: GymEnv | None,
        device: torch.device | str,
        given: Mapping[str, Any],
    ) -> Self:
        """An untrained agent with the archive's settings, overridden by those given."""
        refuse_missing(places, given)
        settings = merged(content["settings"], given)
        agent = cls(env=env, device=device, _init_setup_model=False, **settings)
        spaces = content["observation_space"], content["action_space"]
        if agent.env is not None and None not in spaces:
            check_for_correct_spaces(agent.env, *spaces)
        elif agent.env is None and None in spaces:
            raise ValueError("it could not hold a space of a class of your own: pass env=... to load")
        elif agent.env is None:
            agent.observation_space, agent.action_space = spaces
        agent._setup_model()
        return agent

    @classmethod
    def _pickled(cls, file: Any, given: Mapping[str, Any]) -> Archive:
        """The content of a file pickled by Stable-Baselines3; the policy is the class's first one, unless given."""
        policy = next(iter(cls.policy_aliases))
        data, parameters, _ = load_from_zip_file(file, device="cpu", custom_objects={"policy_class": policy, **given})
        data = {cls.RENAMED.get(name, name): value for name, value in (data or {}).items()}
        own = {name: _KEPT_AS.get(name, name) for name in constructor_keywords(cls) if name not in (*_GIVEN, "policy")}
        content = {
            "class": cls.__name__,
            "settings": {"policy": policy, **{name: data[kept] for name, kept in own.items() if kept in data}},
            "parameters": parameters,
            "progress": {name: data[name] for name in cls.PROGRESS if name in data},
            "observation_space": data["observation_space"],
            "action_space": data["action_space"],
        }
        return Archive("agent", content)


def check_class(kind: type, content: Mapping[str, Any]) -> None:
    """Raises ValueError if an archive's content is of another class."""
    if content["class"] != kind.__name__:
        raise ValueError(f"it holds a {content['class']}, not a {kind.__name__}")


def fit_moments(optimizer: torch.optim.Optimizer) -> None:
    """Lays what an optimizer keeps of each parameter out as the parameter itself: fused steps walk both side by side.

    Raises:
        ValueError: something that it keeps has another shape than its parameter, and is no single number.
    """
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if not isinstance(value, Tensor) or (value.dim() == 0 and parameter.dim() > 0):
                continue
            if value.shape != parameter.shape:
                raise ValueError(f"{name} of shape {tuple(value.shape)} is of a parameter {tuple(parameter.shape)}")
            if value.stride() != parameter.stride():
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def merged(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, overridden by those given; dicts are merged key by key."""
    both = dict(settings)
    for name, value in given.items():
        old = both.get(name)
        both[name] = {**old, **value} if isinstance(value, Mapping) and isinstance(old, dict) else value
    return both


def refuse_missing(places: Iterable[str], given: Mapping[str, Any]) -> None:
    """Raises ValueError if a setting that an archive could not hold is not given.

    Args:
        places: `Archive.not_data`.
        given: settings by name.
    """
    missing = [place.removeprefix("settings.") for place in places if place.startswith("settings.")]
    missing = [place for place in missing if not _is_given(place, given)]
    if missing:
        keyword = missing[0].partition(".")[0]
        raise ValueError(f"it could not hold {', '.join(missing)}, which is not data: pass {keyword}=... to load")


def _is_given(place: str, given: Any) -> bool:
    """Whether the keywords contain a place such as "policy_kwargs.features"."""
    for name in place.split("."):
        if not isinstance(given, Mapping):
            return True
        if name not in given:
            return False
        given = given[name]
    return True


def _on(device: torch.device, value: Any) -> Any:
    """Data with its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(_on(device, part) for part in value)
    if isinstance(value, dict):
        return {key: _on(device, part) for key, part in value.items()}
    return value
