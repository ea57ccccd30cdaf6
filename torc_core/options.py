"""The options that every command knows: taken out of the command line before and after the command word (C3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args

from torc_core.config.declare import Color, LogLevel
from torc_core.errors import UsageError, did_you_mean
from torc_core.record import record
from torc_core.session import Format

VERBATIM = frozenset({"--", ":::", "::::", ":::+", "::::+"})
"""From the first of these words on, everything belongs to the command, whatever it looks like."""


@record(frozen=True, slots=True, kw_only=True)
class Option:
    """An option; `value` is what its value is called, empty for a switch; `key` is what it sets."""

    names: tuple[str, ...]
    value: str = ""
    key: str = ""
    fixed: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""


OPTIONS = (
    Option(names=("--url",), value="URL", key="client.api_url", help="Address of a server."),
    Option(names=("--db",), value="PATH", key="client.database", help="SQLite file to work on."),
    Option(names=("--store",), value="URL", key="flag.store", help="Any store: sqlite:///path, or what plugins offer."),
    Option(
        names=("--standalone", "-s"), key="flag.standalone", fixed="yes",
        help="The database ./torc_output/torc.db, whatever is configured.",
    ),
    Option(names=("--in-memory",), key="flag.in_memory", fixed="yes", help="run, exec: work in memory, write the database at the end."),
    Option(
        names=("--snapshot-interval-seconds",), value="N", key="stores.sqlite-memory.snapshot_interval_seconds",
        help="With --in-memory: write the database every so many seconds, too.",
    ),
    Option(
        names=("--format", "-f"), value="FORMAT", key="client.format", choices=get_args(Format),
        help="How results are printed: table, json, csv.",
    ),
    Option(names=("--json",), key="client.format", fixed="json", help="The same as --format json."),
    Option(
        names=("--log-level",), value="LEVEL", key="client.log_level", choices=get_args(LogLevel),
        help="What is told on stderr: error, warn, info, debug, trace.",
    ),
    Option(names=("--quiet", "-q"), key="flag.quiet", fixed="yes", help="No notes, no progress."),
    Option(names=("--verbose", "-v"), key="client.log_level", fixed="debug", help="The same as --log-level debug."),
    Option(
        names=("--color",), value="WHEN", key="client.color", choices=get_args(Color),
        help="Whether output is coloured: auto, always, never.",
    ),
    Option(names=("--no-color",), key="client.color", fixed="never", help="The same as --color never."),
    Option(names=("--no-progress",), key="flag.no_progress", fixed="yes", help="No live lines."),
    Option(names=("--username",), value="USER", key="client.username", help="In whose name."),
    Option(names=("--password",), value="PASSWORD", key="flag.password", help="For servers with passwords; visible in process lists."),
    Option(names=("--prompt-password",), key="flag.password", help="Ask for the password."),
    Option(names=("--token-file",), value="FILE", key="client.token_file", help="File with the key or token of the server."),
    Option(names=("--tls-ca-cert",), value="FILE", key="client.tls.ca_cert", help="Certificates to trust."),
    Option(names=("--tls-insecure",), key="client.tls.insecure", fixed="true", help="Do not check certificates."),
    Option(names=("--cookie-header",), value="TEXT", key="flag.cookie_header", help="Sent to the server as it is, for proxies."),
    Option(names=("--skip-version-check",), key="flag.skip_version_check", fixed="yes", help="Speak to a server of any version."),
    Option(names=("--config",), value="FILE", key="flag.config", help="Configuration file instead of the user's own."),
)  # fmt: skip

BY_NAME: Mapping[str, Option] = {name: option for option in OPTIONS for name in option.names}

Flags = dict[str, tuple[Any, str]]
"""Values by key, each with the option that gave it."""


def split(words: Sequence[str], owned: Callable[[Sequence[str]], Collection[str]]) -> tuple[Flags, list[str]]:
    """Take the global options out of a command line; what remains is the command's.

    Parameters
    ----------
    owned
        Names of the options that the command made of these words has itself: after its name they are its own.

    Raises
    ------
    UsageError
        If an option has no value or a wrong one, or two that exclude each other are given.
    """
    flags: Flags = {}
    rest: list[str] = []
    place = 0
    while place < len(words) and words[place] not in VERBATIM:
        word = words[place]
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = BY_NAME.get(name)
        place += 1
        if option is None or (rest and name in owned(rest)):
            rest.append(word)
            continue
        if option.value and not equals:
            if place == len(words):
                raise UsageError(f"option '{name}' needs a value: {option.value} (see 'torc --help')")
            value = words[place]
            place += 1
        elif equals and not option.value:
            raise UsageError(f"option '{name}' takes no value, but was given {value!r}")
        _take(flags, option, name, value)
    verbatim = words[place:]
    # NOTE: behind ":::" a word such as "-x" is an input, not an option.
    guard = ["--"] if verbatim and verbatim[0] != "--" else []
    return flags, [*rest, *guard, *verbatim]


def _take(flags: Flags, option: Option, name: str, value: str) -> None:
    if option.choices and value not in option.choices:
        choices = ", ".join(option.choices)
        raise UsageError(f"{name} {value!r} is none of {choices}{did_you_mean(value, option.choices)}")
    value = option.fixed or value
    before = flags.get(option.key)
    if before and before[0] != value and before[1] != name:
        raise UsageError(f"'{before[1]}' and '{name}' exclude each other; give only one of them")
    flags[option.key] = (value, name)


def described(width: int) -> str:
    """The options as help, in lines of at most so many characters."""
    from textwrap import wrap

    heads = [", ".join(option.names) + (f" {option.value}" if option.value else "") for option in OPTIONS]
    indent = max(map(len, heads)) + 4
    lines = ["Global options, before or after the command:"]
    for head, option in zip(heads, OPTIONS, strict=True):
        first = f"  {head}".ljust(indent)
        lines += wrap(
            option.help, max(width, 2 * indent), initial_indent=first, subsequent_indent=" " * indent
        )
    return "\n".join(lines)
