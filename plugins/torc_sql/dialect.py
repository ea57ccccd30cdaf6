"""How databases differ, as far as a running store must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torc_core.errors import TorcError
from torc_sql.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of database.

    Parameters
    ----------
    name
        As SQLAlchemy calls it.
    texts
        Reads the compiled statements by name (`compiling`).
    glob
        How a column (`{}`) is compared with a shell pattern.
    translate
        What the driver raised, as an error of torc; None when it is a bug of ours and has to be seen as it is.
    """

    name: str
    texts: Callable[[], Mapping[str, str]]
    glob: str
    translate: Callable[[Exception], TorcError | None]


Write = Callable[[], AbstractContextManager[Transaction]]
"""Begins a transaction that may write."""


class Database(Protocol):
    """The connections of one database."""

    @property
    def dialect(self) -> Dialect:
        """What kind of database it is."""
        ...

    @property
    def server_id(self) -> str:
        """The UUID that the database got when it was made."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that may write; one at a time. Settled and committed at the end, undone by an exception."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot to read from, beside writers."""
        ...

    def publish(self, address: Mapping[str, str]) -> None:
        """Tell other processes on this host where the store is served."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
