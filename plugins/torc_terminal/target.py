"""What the argument of `torc run` means: a workflow, a spec, a command list or standard input (`cli.md` C18)."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.record import record

SPEC_SUFFIXES = (".yaml", ".yml", ".json", ".json5", ".kdl")
LIST_SUFFIXES = (".txt", ".cmds", ".list", ".tasks")

Stdin = Annotated[bool, Parameter(name="-", negative=(), show=False)]
"""A lone `-` among the words: standard input. A flag, so that misspelt options are not taken for files."""


class Kind(StrEnum):
    """What an argument turned out to be."""

    WORKFLOW = "workflow"
    SPEC = "spec"
    COMMANDS = "commands"


@record(frozen=True, slots=True, kw_only=True)
class Target:
    """An argument and its kind; `text` is a selector, a path or `-`."""

    kind: Kind
    text: str


def target_of(
    text: str,
    *,
    spec: bool = False,
    commands: bool = False,
    lists: bool = True,
    is_spec: Callable[[str], bool] = lambda path: True,
) -> Target:
    """Decide what an argument means.

    Parameters
    ----------
    spec, commands
        Decided by the user (`--spec`, `--commands`).
    lists
        Whether this command takes command lists.
    is_spec
        Whether a reader makes a workflow of this existing file with an unusual suffix.

    Raises
    ------
    UsageError
        If it names a file that is not there.
    """
    if spec and commands:
        raise UsageError("--spec and --commands exclude each other")
    if spec or commands:
        kind = Kind.SPEC if spec else Kind.COMMANDS
        return Target(kind=kind, text=text if text == "-" else there(text))
    if text == "-":
        return Target(kind=Kind.SPEC, text=text)
    if (text.isascii() and text.isdigit()) or text == "last":
        return Target(kind=Kind.WORKFLOW, text=text)
    suffix = os.path.splitext(text)[1].lower()
    if suffix in SPEC_SUFFIXES:
        return Target(kind=Kind.SPEC, text=there(text))
    if suffix in LIST_SUFFIXES and lists:
        return Target(kind=Kind.COMMANDS, text=there(text))
    there(text)
    return Target(kind=Kind.SPEC if not lists or is_spec(text) else Kind.COMMANDS, text=text)


def there(path: str) -> str:
    """The path itself, if something is there.

    Raises
    ------
    UsageError
        If not.
    """
    if not os.path.exists(path):
        raise UsageError(f"no such file: '{path}'")
    return path


def named(text: str | None, stdin: bool, command: str) -> str:
    """The argument of a command that takes a file or `-`.

    Raises
    ------
    UsageError
        If there is none, or both.
    """
    if stdin and text is not None:
        raise UsageError(f"'-' and '{text}' exclude each other; give 'torc {command}' one of them")
    if text is None and not stdin:
        raise UsageError(
            f"'torc {command}' needs to know what; name a file, or '-' (see 'torc {command} --help')"
        )
    return "-" if text is None else text
