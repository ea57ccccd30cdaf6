"""What a command is given: the host, the configuration, the store, and how to speak."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.host import Host
    from torc_core.model import Assignment
    from torc_core.protocols import Batch, Clock, Store

Format = Literal["table", "json", "csv"]


class Answer(Protocol):
    """What a command returns; `main` prints it and leaves with its exit code (`cli.md` §1.4)."""

    @property
    def exit_code(self) -> int:
        """0 when all is well."""
        ...

    def render(self, session: Session) -> None:
        """Print it in the session's format: results to stdout, all else to stderr."""
        ...


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of the program; commands take it as `session: Given` (`torc_core.given`).

    Parameters
    ----------
    host
        The plugins: `session.host.executors["subprocess"]` and the like.
    config
        The settings, each with its source: `session.config.client.run.output_dir`.
    clock
        Time and ids; commands ask for them nowhere else.
    format
        How answers are printed (C2).
    quiet, verbose
        `--quiet`: no notes, no progress. `--verbose`: debug messages.
    color, color_err
        Whether stdout, stderr may be coloured (C5).
    tty, tty_err
        Whether stdout, stderr is a terminal.
    progress
        Whether live lines may be drawn on stderr (C6).
    interactive
        Whether there is somebody to ask: stdin and stderr are terminals.
    umask
        The user's own, for jobs; torc itself writes with 077 (`security.md` D1).
    """

    host: Host
    config: Config
    clock: Clock
    format: Format = "table"
    quiet: bool = False
    verbose: bool = False
    color: bool = False
    color_err: bool = False
    tty: bool = False
    tty_err: bool = False
    progress: bool = False
    interactive: bool = False
    umask: int = 0o077
    _store: Store | None = field(default=None, repr=False)
    _job_url: Callable[[Assignment], str | None] | None = field(default=None, repr=False)

    def store(self) -> Store:
        """The store that was chosen (`cli.md` §2), opened at the first call; closed when the program ends.

        Raises
        ------
        UsageError
            If one layer of the configuration names two stores.
        Unavailable
            If it cannot be opened or reached.
        """
        if self._store is None:
            self._store = self.host.open_store(self.config.store_url, self.clock)
        return self._store

    @contextmanager
    def owning(self) -> Iterator[Store]:
        """The store, served to other processes of this host meanwhile: for `run`, `exec` and all that last."""
        store = self.store()
        with self.host.own(store, self.clock) as job_url:
            self._job_url = job_url
            try:
                yield store
            finally:
                self._job_url = None

    def job_url(self, given: Assignment) -> str | None:
        """Where a job of this run can speak to the store, while it is owned; None: nowhere."""
        return self._job_url(given) if self._job_url is not None else None

    def batches(self) -> Sequence[Batch]:
        """The batch systems that can be asked from here, in the service of the store."""
        url = self.config.store_url
        known = url if url.startswith(("http://", "https://")) else None
        return tuple(self.host.batches(self.store(), self.clock, known).values())

    def user(self) -> str:
        """In whose name: `--username`, `TORC_USERNAME`, `client.username`, else who is logged in."""
        return self.config.client.username

    def note(self, text: str) -> None:
        """Say something by the way, on stderr; not with `--quiet`."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Say that something is wrong though the work goes on, on stderr."""
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the store if it was opened."""
        store, self._store = self._store, None
        if store is not None:
            store.close()
