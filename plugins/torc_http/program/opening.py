"""Which database a command of `torc-server` is about, and its store, through its server where there is one."""

from __future__ import annotations

from pathlib import Path

from torc_core.config import Config
from torc_core.config.choice import default_database, sqlite_url
from torc_core.protocols import Store
from torc_core.session import Session


def path_of(session: Session, database: str | None) -> Path:
    """The file that was named, else that of the configuration."""
    return database_path(session.config) if database is None else Path(database).expanduser().absolute()


def store_of(session: Session, database: str | None) -> Store:
    """The store of that file."""
    return session.host.open_store(sqlite_url(path_of(session, database)), session.clock)


def database_path(config: Config) -> Path:
    """The file to serve: what was given, else the user's own database."""
    named = config.server.database
    if named is None:
        return default_database(config.environ)
    return Path(named.removeprefix("sqlite:").removeprefix("//")).expanduser().absolute()
