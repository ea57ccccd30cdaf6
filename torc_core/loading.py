"""Finds the installed plugins and loads them; what is broken becomes one sentence with its remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import Distribution, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from pluggy import PluginManager, PluginValidationError

from torc_core import hookspecs
from torc_core.config import Config, Problem
from torc_core.errors import PluginError, did_you_mean
from torc_core.record import record

if TYPE_CHECKING:
    from pluggy import HookCaller

GROUP = "torc"
"""The group of entry points by which plugins are found."""


@record(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """One installed plugin, for `torc plugins`.

    Parameters
    ----------
    hooks
        Names of the hooks that it implements.
    why
        Why it is not loaded: what disables it, or what its import said.
    """

    name: str
    module: str
    origin: Distribution | None = None
    state: Literal["loaded", "disabled", "failed"] = "loaded"
    hooks: Sequence[str] = ()
    why: str = ""

    # PERF: read only when asked for; a distribution's metadata costs 1 ms to parse.
    @property
    def distribution(self) -> str:
        """Name of the distribution that it came with; empty for one that was given by hand."""
        return self.origin.name if self.origin else ""

    @property
    def version(self) -> str:
        """Version of that distribution."""
        return self.origin.version if self.origin else ""

    def __str__(self) -> str:
        return f"plugin {self.name!r}" + (f" of {self.distribution} {self.version}" if self.origin else "")

    @property
    def remedy(self) -> str:
        """What to do when it is broken."""
        return f"disable it with TORC_DISABLE_PLUGINS={self.name}"


Loaded = tuple[PluginManager, tuple[PluginRecord, ...]]


def installed(config: Config, *, tolerant: bool) -> Loaded:
    """Load every installed plugin that is not disabled, in the order of their names.

    Parameters
    ----------
    tolerant
        Keep a record of a broken plugin and go on.

    Raises
    ------
    PluginError
        If one is broken: it cannot be imported, or implements what is no hook.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    disabled = _disabled(config, [point.name for point in points])
    records: dict[str, PluginRecord] = {}
    found: list[tuple[PluginRecord, Callable[[], object]]] = []
    for point in points:
        record = PluginRecord(name=point.name, module=point.value, origin=point.dist)
        if point.name in disabled:
            records[point.name] = replace(record, state="disabled", why=f"disabled by {disabled[point.name]}")
        else:
            found.append((record, point.load))
    manager, loaded = _load(config, found, tolerant=tolerant)
    return manager, tuple(sorted((*records.values(), *loaded), key=lambda record: record.name))


def given(plugins: Mapping[str, object], config: Config) -> Loaded:
    """Load exactly these plugins: modules, or objects with the hooks as methods."""
    found = []
    for name, plugin in plugins.items():
        module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__qualname__
        found.append((PluginRecord(name=name, module=module), lambda plugin=plugin: plugin))
    return _load(config, found, tolerant=False)


def _load(
    config: Config, found: Sequence[tuple[PluginRecord, Callable[[], object]]], *, tolerant: bool
) -> Loaded:
    manager = PluginManager("torc")
    manager.add_hookspecs(hookspecs)
    if config.environ.get("TORC_TRACE_PLUGINS", "").lower() in ("1", "true"):
        manager.trace.root.setwriter(sys.stderr.write)
        manager.enable_tracing()
    records: list[PluginRecord] = []
    for plugin, load in found:
        try:
            _register(manager, plugin, load, records)
            records.append(plugin)
        except PluginError as error:
            if not tolerant:
                raise
            records.append(replace(plugin, state="failed", why=str(error)))
    manager.hook.torc_addhooks(manager=manager)
    for place, plugin in enumerate(records):
        if plugin.state != "loaded":
            continue
        try:
            records[place] = replace(plugin, hooks=_hooks(manager, plugin))
        except PluginError as error:
            if not tolerant:
                raise
            manager.unregister(name=plugin.name)
            records[place] = replace(plugin, state="failed", why=str(error))
    return manager, tuple(records)


def _register(
    manager: PluginManager, record: PluginRecord, load: Callable[[], object], before: Sequence[PluginRecord]
) -> None:
    for other in before:
        if other.name == record.name:
            raise PluginError(
                f"{record} has the same name as {other}; uninstall one of them, or rename its entry point"
            )
    try:
        plugin = load()
    except Exception as error:  # a stranger's module may raise anything while it is imported
        said = f"{type(error).__name__}: {error}"
        raise PluginError(f"{record} could not be loaded: {said}; {record.remedy}") from error
    try:
        manager.register(plugin, record.name)
    except PluginValidationError as error:
        manager.unregister(name=record.name)
        said = str(error).partition("\n")[2].replace("\n", "; ") or str(error)
        raise PluginError(f"{record} does not fit this version of torc: {said}; {record.remedy}") from error


def _hooks(manager: PluginManager, record: PluginRecord) -> tuple[str, ...]:
    """Names of the hooks that a plugin implements; refuses what no hook is called."""
    names = []
    for caller in manager.get_hookcallers(manager.get_plugin(record.name)) or ():
        impls = [impl for impl in caller.get_hookimpls() if impl.plugin_name == record.name]
        if not caller.has_spec() and not all(impl.optionalhook for impl in impls):
            hint = did_you_mean(caller.name, _known(manager))
            raise PluginError(f"{record} implements {caller.name!r}, which is no hook{hint}; {record.remedy}")
        names.append(caller.name)
    return tuple(sorted(names))


def _known(manager: PluginManager) -> Sequence[str]:
    callers: Mapping[str, HookCaller] = vars(manager.hook)
    return [name for name, caller in callers.items() if caller.has_spec()]


def _disabled(config: Config, installed: Sequence[str]) -> Mapping[str, str]:
    """Names of plugins to leave out, each with what says so."""
    listed = config.given("plugins.disable")
    by = dict.fromkeys(listed.value, f"plugins.disable ({listed.source})") if listed else {}
    asked = config.environ.get("TORC_DISABLE_PLUGINS", "")
    by |= {name.strip(): "TORC_DISABLE_PLUGINS" for name in asked.split(",") if name.strip()}
    for name, who in by.items():
        if name not in installed:
            text = f"{who} names the plugin {name!r}, which is not installed{did_you_mean(name, installed)}"
            config.warnings.append(Problem(severity="warning", message=text))
    return by
