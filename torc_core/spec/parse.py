"""Turns a document into a spec: every key known, every value of its type, variables replaced (steps 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torc_core.record import record
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.parameters import Values, parameters
from torc_core.spec.shape import IDENT, WRONG, Reading, absent, bare, quoted, shown
from torc_core.spec.tables import WORKFLOW, variable_value

MONITOR = {"enabled": True, "granularity": "summary", "sample_interval_seconds": 10}
"""The resource monitor of a workflow that does not ask for one."""

EXPANDED = ("jobs", "files", "user_data")
"""The objects that have parameters."""


@record(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds to a document.

    Parameters
    ----------
    skip_checks
        Turns the few checks that may be skipped into warnings (`workflow-spec.md` §17.3).
    max_expanded
        Most jobs, files and user data together.
    no_resource_monitoring
        Do not add the default resource monitor.
    name, description, project, metadata, access_groups
        Given: they replace those of the document. Metadata is an object, or text that holds one.
    submission_directory
        Where relative paths start: the working directory of the client.
    source_path, source_digest
        Real path and SHA-256 of the document.
    """

    skip_checks: bool = False
    max_expanded: int = 1_000_000
    no_resource_monitoring: bool = False
    name: str | None = None
    description: str | None = None
    project: str | None = None
    metadata: Mapping[str, Any] | str | None = None
    access_groups: Sequence[str] = ()
    submission_directory: str | None = None
    source_path: str | None = None
    source_digest: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Spec:
    """A document whose values have their types; objects that are no mappings are left out.

    Parameters
    ----------
    values
        By key, with defaults filled in; what was complained about is None.
    tree
        The document as it was read, by which one can see what was given.
    pool
        The shared parameters; None: complained about.
    """

    values: Mapping[str, Any]
    tree: Mapping[str, Any]
    pool: Mapping[str, Values | None]
    reading: Reading

    def objects(self, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The objects under a top-level key, with their paths."""
        for k, values in enumerate(self.values[key] or ()):
            if values is not None:
                yield (key, k), values

    def given(self, path: Path) -> bool:
        """Whether the document has a value there."""
        node: Any = self.tree
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return False
        return not absent(node)


def parse(tree: Mapping[str, Any], options: Options, report: Report) -> Spec:
    """Read a document; complaints go to the report."""
    tree = _overridden(tree, options)
    variables = _variables(Reading(report), tree.get("variables"))
    shared = bare(tree.get("parameters"))
    names = [name for name in shared if isinstance(name, str)] if isinstance(shared, Mapping) else []
    reading = Reading(report, variables, [*variables, *names])
    values: dict[str, Any] = WORKFLOW(reading, tree, ()) or dict(WORKFLOW.defaults)
    pool = parameters(reading, tree.get("parameters"), ("parameters",))
    spec = Spec(values=values, tree=tree, pool=pool, reading=reading)
    for key in EXPANDED:
        for path, entry in spec.objects(key):
            if entry["parameters"] is not None:
                entry["parameters"] = parameters(reading, entry["parameters"], (*path, "parameters"))
    _clashes(spec)
    _monitor(values, tree, options, report)
    return spec


def _overridden(tree: Mapping[str, Any], options: Options) -> Mapping[str, Any]:
    over = {
        key: value
        for key in ("name", "description", "project", "metadata")
        if (value := getattr(options, key)) is not None
    }
    if options.access_groups:
        over["access_groups"] = list(options.access_groups)
    return {**tree, **over} if over else tree


def _variables(reading: Reading, tree: Any) -> dict[str, str | None]:
    if absent(tree):
        return {}
    if not isinstance(tree, Mapping):
        reading.wrong("wrong-type", ("variables",), f"expected a mapping, got {shown(tree)}")
        return {}
    variables: dict[str, str | None] = {}
    for name, value in tree.items():
        at = ("variables", name)
        if not IDENT.fullmatch(name):
            reading.wrong(
                "bad-name", at, f"{quoted(name)} is no name of a variable; use letters, digits and _"
            )
        elif not absent(value):
            read = variable_value(reading, value, at)
            variables[name] = None if read is WRONG else read
    return variables


def _clashes(spec: Spec) -> None:
    places: dict[str, str] = {name: f"parameters.{name}" for name in spec.pool}
    for key in EXPANDED:
        for path, entry in spec.objects(key):
            for name in entry["parameters"] or ():
                places.setdefault(name, f"{key}[{path[1]}].parameters.{name}")
    for name in spec.reading.variables:
        if name in places:
            message = f"variable '{name}' is also a parameter ({places[name]})"
            spec.reading.wrong("variable-clash", ("variables", name), message)


def _monitor(values: dict[str, Any], tree: Mapping[str, Any], options: Options, report: Report) -> None:
    one, other = values["resource_monitor"], values.pop("resource_monitor_config")
    given = [key for key in ("resource_monitor", "resource_monitor_config") if not absent(tree.get(key))]
    if len(given) == 2:
        message = "give resource_monitor or resource_monitor_config, not both"
        report.error("bad-value", ("resource_monitor_config",), message)
    monitor = one if one is not None else other
    if not given and not options.no_resource_monitoring:
        monitor = MONITOR
    values["resource_monitor"] = monitor
