"""Which database a command of `torc-server` is about, and its store, through its server where there is one."""

from __future__ import annotations

from pathlib import Path

from torc_core.config import Config
from torc_core.config.choice import default_database, sqlite_url
from torc_core.errors import UsageError
from torc_core.protocols import Store
from torc_core.session import Session


def path_of(session: Session, database: str | None) -> Path:
    """The file that `--database` has named, else as `database_path`.

    Raises
    ------
    UsageError
        If `--db` names another.
    """
    config = session.config
    return database_path(
        config if database is None else config.over({"server.database": (database, "--database")})
    )


def store_of(session: Session, database: str | None) -> Store:
    """The store of that file."""
    return session.host.open_store(sqlite_url(path_of(session, database)), session.clock)


def database_path(config: Config) -> Path:
    """The file to serve: what `--database` or `--db` names, else the configuration, else the user's own database.

    Raises
    ------
    UsageError
        If the two name different ones.
    """
    flags = config.layers.get("flag", {})
    given = [flags[key] for key in ("server.database", "client.database") if flags.get(key)]
    paths = [_path(str(one.value)) for one in given]
    if len(set(paths)) > 1:
        one, other = given
        raise UsageError(
            f"two databases are named: '{one.value}' ({one.source}) and '{other.value}' ({other.source}); give only one of them"
        )
    if paths:
        return paths[0]
    named = config.server.database
    return default_database(config.environ) if named is None else _path(named)


def _path(named: str) -> Path:
    return Path(named.removeprefix("sqlite:").removeprefix("//")).expanduser().absolute()
