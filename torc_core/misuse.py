"""Says in one sentence what is wrong with a command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cyclopts import (
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from torc_core.errors import did_you_mean
from torc_core.options import BY_NAME

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import ArgumentCollection


def sentence(error: CycloptsError, app: App) -> str:
    """The sentence for an error of the parser, with the nearest name and where to read on (C13, C14)."""
    command = " ".join(["torc", *(error.command_chain or ())])
    read_on = f"see '{command} --help'"
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        word = error.unused_tokens[0]
        if word.startswith("-"):
            return f"unknown option {word!r}{did_you_mean(word, _options())} ({read_on})"
        known = (name for name in (error.app or app) if not name.startswith("-"))
        return f"unknown command {word!r}{did_you_mean(word, known)} ({read_on})"
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        return f"unknown option {word!r} of '{command}'{did_you_mean(word, _options(error.argument_collection))} ({read_on})"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is one argument too many for '{command}' ({read_on})"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword:
            return f"option '{error.keyword}' of '{command}' needs a value ({read_on})"
        place = error.argument.field_info
        name = place.name.upper() if place.is_positional else error.argument.name
        return f"'{command}' needs {name} ({read_on})"
    error.verbose = False
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:].replace('. ', '; ')} ({read_on})"


def _options(*collections: ArgumentCollection) -> Iterable[str]:
    for arguments in collections:
        for argument in arguments:
            yield from argument.names
    yield from BY_NAME
