"""`%`-tokens, `~` and `${VARIABLES}` in values."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping

from torc_core.errors import InvalidConfig
from torc_core.record import record

_TOKEN = re.compile(r"%(.?)")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@record(frozen=True, slots=True, kw_only=True)
class Facts:
    """What tokens stand for.

    Parameters
    ----------
    original
        The host as the user named it.
    host
        What is connected to.
    alias
        `HostKeyAlias`, or None.
    jump
        The first of the hosts on the way, as written, or nothing.
    """

    original: str
    host: str
    port: int
    user: str
    alias: str | None = None
    jump: str = ""


def expanded(text: str, facts: Facts, allowed: str, place: str) -> str:
    """Replace tokens; `allowed`: the letters that this value may have.

    Raises
    ------
    InvalidConfig
        If it has another.
    """

    def value(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if not letter or letter not in allowed:
            raise InvalidConfig(f"{place}: unknown token '%{letter}' in {text!r}")
        return _value(letter, facts)

    return _TOKEN.sub(value, text)


def path(text: str, facts: Facts, place: str) -> str:
    """The full path that a value with tokens, `~` and variables stands for.

    Raises
    ------
    InvalidConfig
        If a token is unknown or a variable is not set.
    """

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise InvalidConfig(f"{place}: variable {match[1]!r} is not set, in {text!r}")
        return os.environ[match[1]]

    # NOTE: tokens and variables are replaced in one pass over what was written, never in what they stood for.
    pieces = re.split(r"(\$\{[^}]*\})", os.path.expanduser(text))
    return "".join(
        _VARIABLE.sub(variable, piece) if piece.startswith("${") else expanded(piece, facts, PATH, place)
        for piece in pieces
    )


PATH = "CdhijkLlnpru"
"""Tokens of paths and of `Match exec`."""

PROXY = "hnpr"
"""Tokens of `ProxyCommand` and `ProxyJump`."""


def local_user() -> str:
    """Who we are: by the user database, else by the environment."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return getpass.getuser()


def _value(letter: str, facts: Facts) -> str:
    name = socket.gethostname()
    port = str(facts.port)
    values: Mapping[str, str] = {
        "d": os.path.expanduser("~"),
        "h": facts.host,
        "i": str(os.getuid()),
        "j": facts.jump,
        "k": facts.alias or facts.original,
        "L": name.partition(".")[0],
        "l": name,
        "n": facts.original,
        "p": port,
        "r": facts.user,
        "u": local_user(),
    }
    if letter == "C":
        text = f"{name}{facts.host}{port}{facts.user}{facts.jump}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return values[letter]
