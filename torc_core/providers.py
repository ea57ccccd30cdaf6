"""What hooks yield: a name, a line for the user, and how to open the real thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.protocols import Batch, Clock, Executor, Launcher, Monitor, Server, Store
    from torc_core.spec.document import Document


@record(frozen=True, slots=True, kw_only=True)
class NoSettings:
    """For providers with nothing to configure."""


@record(frozen=True, slots=True, kw_only=True)
class Provider:
    """The face of everything that can be chosen by name.

    Parameters
    ----------
    settings
        A frozen dataclass; every field has a default and `metadata={"help": …}`. From it come the configuration
        table `[<kind>s.<name>]`, its environment variables and its page in the reference.
    """

    name: str
    summary: str
    settings: type[Any] = NoSettings


@record(frozen=True, slots=True, kw_only=True)
class StoreProvider(Provider):
    """A store, chosen by URL scheme: the name *is* the scheme. `open(url, settings, clock)`.

    `open` raises `Owned` when another process of this host serves the store.

    Parameters
    ----------
    credentials
        `open` takes one more argument: what the user can show to a server (`torc_core.config.credentials`).
    """

    open: Callable[..., Store]
    credentials: bool = False


@record(frozen=True, slots=True, kw_only=True)
class ServerProvider(Provider):
    """A way to serve a store. `open(store, settings, config, clock)`; `owner`: whoever owns a database starts it."""

    open: Callable[[Store, Any, Config, Clock], Server]
    owner: bool = False


@record(frozen=True, slots=True, kw_only=True)
class ExecutorProvider(Provider):
    """A way to turn a job into a process on this node."""

    open: Callable[[Any], Executor]


@record(frozen=True, slots=True, kw_only=True)
class LauncherProvider(Provider):
    """A way to start runners.

    Parameters
    ----------
    batch
        For batch systems: opens what cares for the allocations of a store's workflows whose `scheduler_type` is the
        name of this provider. `batch(store, config, clock, url)`; `url` is the address under which other hosts reach
        the store, None if it has none or whoever asks does not know it.
    internal
        For batch systems: how hosts of the cluster are called inside of it. `internal(config, clock)` gives forms of
        names, with `{short}` and `{fqdn}` for those of this host, and the host of its controller, None if not known.
    """

    open: Callable[[Any], Launcher]
    batch: Callable[[Store, Config, Clock, str | None], Batch] | None = None
    internal: Callable[[Config, Clock], tuple[Sequence[str], str | None]] | None = None


@record(frozen=True, slots=True, kw_only=True)
class MonitorProvider(Provider):
    """A way to measure jobs."""

    open: Callable[[Any], Monitor]


@record(frozen=True, slots=True, kw_only=True)
class SpecFormat:
    """A way to write a workflow down.

    Parameters
    ----------
    suffixes
        With the dot, lower case; the first is the usual one.
    load
        Text to a document; raises `Complaints` (`torc_core.spec.complaint`).
    dump
        A tree of plain values to text, so that `load(dump(tree)).tree == tree`.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    load: Callable[[str], Document]
    dump: Callable[[Mapping[str, Any]], str]
