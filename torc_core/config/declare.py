"""How a settings record declares a key: with a default and a line of help."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

Color = Literal["auto", "always", "never"]
LogLevel = Literal["error", "warn", "info", "debug", "trace"]


def key(default: Any, help: str, *, secret: bool = False) -> Any:
    """A key with its default and its line of help; the value of a secret is never shown."""
    return field(default=default, metadata={"help": help, "secret": secret})


def tables(help: str) -> Any:
    """Tables by name, empty unless given."""
    return field(default_factory=dict, metadata={"help": help, "secret": False})


def section(kind: type[Any]) -> Any:
    """A table of its own."""
    return field(default_factory=kind)
