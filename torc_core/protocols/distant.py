"""What only a store behind a server can tell: where it is, which release answers, and what happens while it happens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol, runtime_checkable

from torc_core.model import Event, JobId, Severity, WorkflowId
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who answers: a release of torc, and the HTTP API that it speaks."""

    version: str
    api_version: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """A part of what an attempt wrote: its text, where the next part begins, and how long the whole is."""

    text: str
    next_offset: int
    size: int


@runtime_checkable
class Distant(Protocol):
    """A store of another process."""

    @property
    def url(self) -> str:
        """The address as people know it."""
        ...

    def hello(self) -> Hello:
        """Ask the server who it is.

        Raises
        ------
        Unavailable
            If it does not answer.
        """
        ...

    def addresses(self) -> Sequence[str]:
        """Every address of the server: those of loopback first."""
        ...

    def runner_key(self, workflow: WorkflowId) -> str:
        """What a runner of this workflow shows to the server, on a host that does not see this home.

        The text of a file for `--token-file`: it can run jobs of this workflow and nothing else, and ends when the
        capabilities of the workflow are revoked (`security.md` S9).

        Raises
        ------
        Forbidden
            If who asks may not give such a key away.
        """
        ...

    def reload_auth(self) -> int:
        """Have the server read its password file again; how many users it has now."""
        ...

    def follow(
        self,
        workflow: WorkflowId,
        *,
        after: int,
        level: Severity,
        types: Collection[str],
        seconds: float | None,
    ) -> Iterator[Event | None]:
        """Events with a higher number than `after`, old ones first, then each as it is committed, without gaps.

        Ends when the time is over (`seconds` None: never). Yields None now and then while nothing happens.

        Raises
        ------
        Unavailable
            If the server goes away; the caller follows anew, after the last event that it has seen.
        """
        ...

    def log(
        self,
        job: JobId,
        stream: str,
        *,
        run: int,
        attempt: int,
        tail: int | None = None,
        offset: int | None = None,
    ) -> LogPiece:
        """At most 1 MiB of `stdout`, `stderr` or `combined` of an attempt, if the server can see the file.

        Parameters
        ----------
        tail
            The last so many lines.
        offset
            From this byte on; without it the end.

        Raises
        ------
        NotFound
            If the server cannot see it.
        """
        ...
