"""Command lines from functions: options from the signature, help from the docstring, one line for what is wrong."""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import re
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .signals import Stopped

USAGE_ERROR = 2  # exit status of a command line that cannot be carried out


class Refusal(SystemExit):
    """A command that cannot be carried out: printed as one line, exit status 2.

    Args:
        message: what is wrong, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the option that may have been meant."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            word = unknown[1].partition("=")[0]
            known = {option.lstrip("-"): option for action in self._actions for option in action.option_strings}
            near = difflib.get_close_matches(word.lstrip("-"), known, 1) if word.startswith("-") else []
            message = f"unknown {'option' if word.startswith('-') else 'word'} {word!r}"
            message += f": did you mean {known[near[0]]}?" if near else ""
        raise Refusal(f"{self.prog}: {message}; {self.prog} --help lists the options")


def program(command: str) -> str:
    """How a command is called, as this one was: ``foveal train-rllib`` or ``python -m scripts.train_rllib``."""
    if Path(sys.argv[0]).stem in ("foveal", "__main__"):
        return f"foveal {command}".removesuffix(" foveal").removesuffix(" __main__")
    return f"python -m scripts.{command.replace('-', '_')}"


def run_command(
    function: Callable[..., None],
    prog: str,
    words: Sequence[str] | None = None,
    epilog: Callable[[], str] | None = None,
) -> None:
    """Calls a function with the options of a command line, and turns every refusal into one line on stderr.

    Args:
        function: its parameters are the options. A parameter named ``environment`` or ``result`` is given without a
            name; ``json_output``, ``list_results`` and ``from_run`` are written ``--json``, ``--list`` and ``--from``.
        prog: how the command is called.
        words: of the command line; None: those of this process.
        epilog: gives what stands at the end of the help.

    Raises:
        SystemExit: status 2 for a refusal, 130 for Ctrl-C.
    """
    with refusals_in_one_line():
        parser = make_parser(function, prog)
        parser.epilog = epilog() if epilog is not None else None
        function(**vars(parser.parse_args(words)))


def choose(prog: str, known: Mapping[str, str], words: Sequence[str]) -> str | None:
    """What the first word of a command line names; None: it asks for help, which has been printed.

    Args:
        prog: how the command is called.
        known: name -> what it does, in a line.
        words: of the command line.

    Raises:
        Refusal: it names none of them.
    """
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: {prog} COMMAND ...; {prog} COMMAND --help lists its options\n")
        print("\n".join(f"  {name:10} {said}" for name, said in known.items()))
        return None
    if words[0] not in known:
        raise Refusal(f"{prog}: unknown command {words[0]!r}; there are {', '.join(known)}")
    return words[0]


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Inside, every refusal ends the process with one line on stderr and status 2, and Ctrl-C with status 130.

    A training that a signal has stopped ends it with the status of that signal.
    """
    try:
        yield
    except Stopped as stop:
        print(f"\nstopped by {stop}", file=sys.stderr)
        raise SystemExit(stop.exit_code) from None
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:  # what reads the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            raise SystemExit(USAGE_ERROR) from None
        raise


def run_one_of(functions: Sequence[Callable[..., None]], prog: str, words: Sequence[str] | None = None) -> None:
    """`run_command` for one of several functions, which the first word names."""
    words = sys.argv[1:] if words is None else words
    known = {function.__name__: function for function in functions}
    with refusals_in_one_line():
        name = choose(prog, {name: _docstring(each)[0].splitlines()[0] for name, each in known.items()}, words)
        if name is not None:
            run_command(known[name], f"{prog} {name}", words[1:])


POSITIONAL = ("environment", "result")
SHORT = {"json_output": "json", "list_results": "list", "from_run": "from"}


def make_parser(function: Callable[..., None], prog: str) -> argparse.ArgumentParser:
    """A parser whose options are the parameters of a function, described by the ``Args`` of its docstring."""
    summary, described = _docstring(function)
    parser = _Parser(
        prog=prog, description=summary, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    hints = typing.get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        _add(parser, name, hints[name], parameter.default, described.get(name, "").replace("%", "%%"))
    return parser


def _add(parser: argparse.ArgumentParser, name: str, hint: Any, default: Any, described: str) -> None:
    """One parameter as an option, or as a word without a name."""
    kind, many = _kind(hint)
    required = default is inspect.Parameter.empty
    shown = "" if required or default in (None, (), False, "") else f" (default: {default})"
    settings: dict[str, Any] = {"help": described + shown}
    if not required:
        settings["default"] = default
    if name in POSITIONAL:
        nargs = None if required else "?"
        parser.add_argument(name, type=kind, nargs=nargs, metavar=name.upper(), **settings)
        return
    option = "--" + SHORT.get(name, name).replace("_", "-")
    settings |= {"dest": name, "required": required}
    if kind is bool:
        parser.add_argument(option, action=argparse.BooleanOptionalAction if default else "store_true", **settings)
    elif many:
        metavar = "KEY=VALUE" if name in ("env", "agent", "lessons") else name.upper()
        parser.add_argument(option, type=kind, nargs="+", action=_Extend, metavar=metavar, **settings)
    else:
        parser.add_argument(option, type=kind, metavar=name.upper(), **settings)


class _Extend(argparse.Action):
    """Collects the words of an option that may be given several times, into a tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, (*(getattr(namespace, self.dest) or ()), *values))


def _kind(hint: Any) -> tuple[Any, bool]:
    """What converts a word, and whether there may be several."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is tuple:
        return _kind(typing.get_args(hint)[0])[0], True
    return {int: _whole, float: _number, Path: Path, bool: bool}.get(hint, str), False


def _whole(word: str) -> int:
    """A whole number, as 60000, 60_000 or 6e4; argparse names the function in its message."""
    try:
        return int(word)
    except ValueError:
        if not float(word).is_integer():
            raise
        return int(float(word))


def _number(word: str) -> float:
    return float(word)


_whole.__name__, _number.__name__ = "whole number", "number"


def _docstring(function: Callable[..., None]) -> tuple[str, dict[str, str]]:
    """What stands before ``Args``, and the description of every parameter there."""
    text = inspect.getdoc(function) or ""
    summary, _, arguments = text.partition("\nArgs:\n")
    described: dict[str, str] = {}
    for line in arguments.splitlines():
        if not line.strip():
            break
        entry = re.match(r"    (\w[\w, ]*): (.*)", line)
        if entry:
            last = entry[1]
            described[last] = entry[2]
        else:
            described[last] += " " + line.strip()
    return summary.strip(), {name: said for names, said in described.items() for name in names.split(", ")}
