"""What the argument of `torc run` means: a workflow, a spec, a command list or standard input (`cli.md` C18)."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum

from torc_core.errors import UsageError
from torc_core.record import record

SPEC_SUFFIXES = (".yaml", ".yml", ".json", ".json5", ".kdl")
LIST_SUFFIXES = (".txt", ".cmds", ".list", ".tasks")


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
