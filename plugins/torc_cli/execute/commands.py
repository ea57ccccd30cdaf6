"""Reads command lists: one shell command a line, as `torc exec -C` and `torc run tasks.txt` take them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torc_core.errors import UsageError

LONGEST_LIST = 256 * 1024**2
"""Bytes; a list above this is a mistake or an attack."""

LONGEST_COMMAND = 1024**2
"""Characters of one command, as for commands in a spec (`workflow-spec.md` §1.2)."""


def read_list(path: str) -> tuple[str, bytes]:
    """The text of a list and its bytes (for the digest); `-` is standard input.

    Raises
    ------
    UsageError
        If it cannot be read, is too long or is not UTF-8.
    """
    name = "standard input" if path == "-" else f"'{path}'"
    try:
        if path == "-":
            data = sys.stdin.buffer.read(LONGEST_LIST + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(LONGEST_LIST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {(error.strerror or 'error').lower()}") from error
    if len(data) > LONGEST_LIST:
        raise UsageError(f"{name} is longer than {LONGEST_LIST // 1024**2} MiB; split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not valid UTF-8 at byte {error.start}") from error
    return text, data


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends; the last one needs no line break."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return lines


def parse_list(text: str, name: str = "-") -> Sequence[str]:
    """The commands of a list: blank lines and lines that start with `#` are skipped, a final backslash continues one.

    Raises
    ------
    UsageError
        For a NUL character or a command that is too long; the message names the line.
    """
    commands: list[str] = []
    parts: list[str] = []
    first = 0
    for number, line in enumerate(lines_of(text), start=1):
        if not parts:
            first = number
            stripped = line.lstrip()
            if not stripped or stripped.startswith("#"):
                continue
        if continued(line):
            parts.append(line[:-1])
            continue
        commands.append(checked("".join((*parts, line)).strip(), name, first))
        parts.clear()
    if parts:
        commands.append(checked("".join(parts).strip(), name, first))
    return [command for command in commands if command]


def continued(line: str) -> bool:
    """Whether the last backslash of a line is not itself escaped."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def checked(command: str, name: str, line: int) -> str:
    """The command itself, if it can be one."""
    if "\0" in command:
        raise UsageError(f"{name}:{line}: a command cannot contain a NUL character")
    if len(command) > LONGEST_COMMAND:
        raise UsageError(f"{name}:{line}: the command has more than {LONGEST_COMMAND} characters")
    return command
