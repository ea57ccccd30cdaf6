"""The composition root: plugins loaded, registries read, things opened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from torc_core.config import Config, Problem
from torc_core.errors import Owned, Unavailable, did_you_mean
from torc_core.loading import PluginRecord, given, installed
from torc_core.providers import (
    ExecutorProvider,
    LauncherProvider,
    MonitorProvider,
    Provider,
    ServerProvider,
    SpecFormat,
    StoreProvider,
)
from torc_core.registry import Registry

if TYPE_CHECKING:
    from pluggy import PluginManager

    from torc_core.detection import Detected
    from torc_core.model import Assignment
    from torc_core.protocols import Batch, Clock, Store

P = TypeVar("P", bound=Provider | SpecFormat)

OWNER_PATIENCE = 5.0
"""Seconds that the owner of a database may take to answer (`cli.md` S8)."""


class Host:
    """One process's view of torc: its plugins, and what they offer."""

    def __init__(self, manager: PluginManager, config: Config, records: Sequence[PluginRecord]) -> None:
        self.manager = manager
        self.config = config
        self.plugins = tuple(records)
        """Every installed plugin, also those that are not loaded."""
        manager.hook.torc_configure(config=config)
        self._check_tables()

    @classmethod
    def load(cls, config: Config, *, tolerant: bool = False) -> Host:
        """A host with every installed plugin that is not disabled; `tolerant`: broken ones are only recorded.

        Raises
        ------
        PluginError
            If one is broken; the sentence names its distribution, what happened and how to disable it.
        """
        manager, records = installed(config, tolerant=tolerant)
        return cls(manager, config, records)

    @classmethod
    def of(cls, plugins: Mapping[str, object], config: Config | None = None) -> Host:
        """A host with exactly these plugins: what tests use, and programs that embed torc.

        Raises
        ------
        PluginError
            As `load`.
        """
        config = config or Config()
        manager, records = given(plugins, config)
        return cls(manager, config, records)

    @cached_property
    def stores(self) -> Registry[StoreProvider]:
        """Places where workflows can live, by URL scheme."""
        return self._registry("store", StoreProvider, "torc_stores")

    @cached_property
    def servers(self) -> Registry[ServerProvider]:
        """Ways to serve a store."""
        return self._registry("server", ServerProvider, "torc_servers")

    @cached_property
    def launchers(self) -> Registry[LauncherProvider]:
        """Ways to start runners."""
        return self._registry("launcher", LauncherProvider, "torc_launchers")

    @cached_property
    def executors(self) -> Registry[ExecutorProvider]:
        """Ways to turn a job into a process."""
        return self._registry("executor", ExecutorProvider, "torc_executors")

    @cached_property
    def monitors(self) -> Registry[MonitorProvider]:
        """Ways to measure jobs."""
        return self._registry("monitor", MonitorProvider, "torc_monitors")

    @cached_property
    def formats(self) -> Registry[SpecFormat]:
        """Ways to write a workflow down."""
        return self._registry("spec format", SpecFormat, "torc_spec_formats")

    def _registry(self, kind: str, type: type[P], hook: str) -> Registry[P]:
        return Registry(kind, type, getattr(self.manager.hook, hook), self.manager.trace.get("hook"))

    def registries(self) -> Mapping[str, Registry[Any]]:
        """All registries, by the name of their configuration table; `formats` has no table."""
        return {
            "stores": self.stores,
            "servers": self.servers,
            "launchers": self.launchers,
            "executors": self.executors,
            "monitors": self.monitors,
            "formats": self.formats,
        }

    def settings(self, kind: str, provider: Provider) -> Any:
        """The settings of a provider of this kind (`stores`, `launchers`, …), as configured.

        Raises
        ------
        InvalidConfig
            If its table has unknown keys or values of the wrong type.
        """
        return self.config.settings(kind, provider.name, provider.settings)

    def detect_resources(self) -> Detected | None:
        """What this node has, by the first plugin that can tell."""
        found: Detected | None = self.manager.hook.torc_detect_resources(environ=dict(self.config.environ))
        return found

    def batches(
        self, store: Store, clock: Clock, url: str | None = None, config: Config | None = None
    ) -> Mapping[str, Batch]:
        """The batch systems that can be asked from this host, in the service of a store, by the name of their launcher.

        Parameters
        ----------
        url
            The address under which other hosts reach the store; None: it has none, or it is not known.
        config
            Other settings than those of this process.
        """
        opened = {
            name: provider.batch(store, config or self.config, clock, url)
            for name, provider in self.launchers.items()
            if provider.batch is not None
        }
        return {name: one for name, one in opened.items() if one.here()}

    def open_store(self, url: str, clock: Clock) -> Store:
        """The store of this URL; one that another process of this host owns is reached through its socket.

        Raises
        ------
        UnknownProvider
            If no plugin offers the scheme.
        Unavailable
            If the store cannot be opened, or its owner does not answer within five seconds.
        """
        # PERF: only a command that opens a store pays for the protocols and the model (50 ms).
        from torc_core.store.following import Following

        store, elsewhere = self._reach(url, clock)
        if elsewhere:
            return cast("Store", Following(store, lambda: self._reach(url, clock)[0]))
        return store

    def open_own(self, url: str, clock: Clock, **settings: object) -> Store:
        """The store of this URL, in this process; `settings` replace those of its provider.

        Raises
        ------
        Owned
            If another process of this host has it.
        UnknownProvider, Unavailable
            As `open_store`.
        """
        from dataclasses import replace

        from torc_core.store.observed import observed

        provider = self.stores[url.partition(":")[0]]
        store = provider.open(url, replace(self.settings("stores", provider), **settings), clock)
        return observed(store, self.manager.hook.torc_events)

    def _reach(self, url: str, clock: Clock) -> tuple[Store, bool]:
        """The store, and whether another process has it."""
        from torc_core.store.observed import observed

        deadline = clock.monotonic() + OWNER_PATIENCE
        while True:
            try:
                return observed(self._open(url, clock), self.manager.hook.torc_events), False
            except Owned as owned:
                socket = owned.address.get("socket")
                if not socket:
                    raise
                try:
                    return self._open(f"unix://{socket}", clock), True
                except Unavailable as error:
                    if clock.monotonic() >= deadline:
                        raise Unavailable(f"{owned} but does not answer; end it and try again") from error
            # An owner that is about to leave closes its socket first and lets go of the database next.
            threading.Event().wait(0.05)

    def _open(self, url: str, clock: Clock) -> Store:
        provider = self.stores[url.partition(":")[0]]
        given = (self.config.credentials,) if provider.credentials else ()
        return provider.open(url, self.settings("stores", provider), clock, *given)

    @contextmanager
    def own(self, store: Store, clock: Clock) -> Iterator[Callable[[Assignment], str | None]]:
        """Serve a store of this process to other processes of this host, as long as the block lasts.

        A store that another process serves is served here from the moment when this one takes it over; one that
        others can open as well is left alone. What the block is given says where a job can speak to the store.
        """
        from torc_core.protocols import Admitting, Shared
        from torc_core.store.following import Following

        with ExitStack() as stack:
            admitting: list[Admitting] = []

            asked: tuple[object, list[Admitting]] = None, []

            def job_url(given: Assignment) -> str | None:
                nonlocal asked
                inside: object = store.present if isinstance(store, Following) else store
                if inside is not asked[0]:
                    # PERF: asked for every job; whether something follows a protocol takes as long as all the rest.
                    asked = inside, [inside] if isinstance(inside, Admitting) else []
                return next((url for door in (*admitting, *asked[1]) if (url := door.job_url(given))), None)

            def serve(store: Store) -> None:
                address: dict[str, str] = {}
                for provider in self.servers.values():
                    if provider.owner:
                        server = provider.open(store, self.settings("servers", provider), self.config, clock)
                        stack.callback(server.close)
                        address.update(server.start())
                        if isinstance(server, Admitting):
                            admitting.append(server)
                cast("Shared", store).publish(address)

            if isinstance(store, Following):
                store.taken = serve
                stack.callback(setattr, store, "taken", None)
            elif isinstance(store, Shared):
                serve(store)
            yield job_url

    def _check_tables(self) -> None:
        """Check the tables of providers that are given; those of nobody are warnings (`cli.md` K2)."""
        for (kind, table), entries in self.config.provider_tables().items():
            registry = self.registries()[kind]
            provider = next((one for name, one in registry.items() if _table(name) == _table(table)), None)
            if provider:
                self.settings(kind, provider)
            else:
                text = f"no plugin offers [{kind}.{table}]{did_you_mean(table, registry)}"
                self.config.warnings.append(
                    Problem(severity="warning", message=text, source=entries[0].source)
                )


def _table(name: str) -> str:
    return name.replace("-", "_")
