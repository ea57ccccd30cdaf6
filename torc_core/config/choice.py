"""Which store a command speaks to, and why (`cli.md` §2)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from torc_core.config.source import LAYERS, Entry, Layer, Source
from torc_core.errors import UsageError
from torc_core.record import record

STANDALONE = Path("torc_output/torc.db")

FLAGS = ("flag.store", "client.api_url", "client.database")
"""The three ways to name a store; `flag.store` and `flag.standalone` exist on the command line only."""


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """A store by URL, what named it, and the weaker layers that named another."""

    url: str
    source: Source
    why: str


def choose(layers: Mapping[Layer, Mapping[str, Entry]], environ: Mapping[str, str]) -> Choice:
    """The store of the strongest layer that names one, else the default database.

    Raises
    ------
    UsageError
        If one layer names two, or what is no address.
    """
    if memory := layers.get("flag", {}).get("flag.in_memory"):
        return _in_memory(layers["flag"], memory)
    for layer in reversed(LAYERS):
        entries = layers.get(layer, {})
        named = [entries[name] for name in FLAGS if entries.get(name) and entries[name].value]
        if len(named) > 1:
            raise UsageError(_two(named[0], named[1]))
        standalone = entries.get("flag.standalone")
        if standalone and named and named[0].key != "client.database":
            raise UsageError(_two(standalone, named[0]))
        if named:
            return Choice(url=_url(named[0]), source=named[0].source, why=f"{_words(layer)} names it")
        if standalone:
            return Choice(
                url=sqlite_url(STANDALONE),
                source=standalone.source,
                why="a store of this folder was asked for",
            )
    return Choice(url=sqlite_url(default_database(environ)), source=Source(), why="no layer names a store")


def _in_memory(flags: Mapping[str, Entry], memory: Entry) -> Choice:
    """A store in memory for the file of `--db`, else for that of this folder (S4)."""
    named = [flags[name] for name in FLAGS if flags.get(name)]
    if other := next((one for one in named if one.key != "client.database"), None):
        raise UsageError(_two(memory, other))
    url = _url(named[0]) if named else sqlite_url(STANDALONE)
    return Choice(
        url=url.replace("sqlite:", "sqlite-memory:", 1),
        source=memory.source,
        why="a store in memory was asked for",
    )


def default_database(environ: Mapping[str, str]) -> Path:
    """The user's own database (S1)."""
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/torc/torc.db"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "torc/torc.db"


def sqlite_url(path: Path) -> str:
    """The URL of a database file: `sqlite://` and the absolute path as it is, nothing escaped."""
    return f"sqlite://{path.expanduser().absolute()}"


def _url(entry: Entry) -> str:
    text = str(entry.value)
    if entry.key == "client.api_url" and "://" not in text:
        raise UsageError(
            f"{text!r} ({entry.source}) is no address; write e.g. http://HOST:8080/torc-service/v1"
        )
    if entry.key != "client.database":
        return text
    if text.startswith("sqlite:"):
        text = text.removeprefix("sqlite:").removeprefix("//")
    return sqlite_url(Path(text))


def _two(one: Entry, other: Entry) -> str:
    return f"two stores are named: {one.value!r} ({one.source}) and {other.value!r} ({other.source}); give only one of them"


def _words(layer: Layer) -> str:
    return {
        "flag": "the command line",
        "env": "the environment",
        "project": "the project's torc.toml",
        "user": "the user's configuration",
        "system": "the system's configuration",
    }.get(layer, layer)
