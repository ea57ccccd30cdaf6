"""Plans a workflow from an object without parameters: every name is given out, every text stands as it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.model import PlannedFile, PlannedUserData
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path, Position
from torc_core.spec.drafts import COMMAND, DEPENDS, LABEL, LISTS, NAME, TEXTS, Draft
from torc_core.spec.expand import Expansion, label_fault
from torc_core.spec.names import Names
from torc_core.spec.parse import Options, parse
from torc_core.spec.rules import check_objects
from torc_core.spec.shape import Field, Reading, Table, absent, list_of, name_fault, plain_text, quoted
from torc_core.spec.shape import name as name_kind
from torc_core.spec.tables import FILE, JOB, USER_DATA, env_fault
from torc_core.spec.validate import Validated, whole

MOST = 1_000_000
"""Most jobs, files and user data together."""

_EXPANSION = ("parameters", "parameter_mode", "use_parameters")
_REGEXES = tuple(key for key in LISTS if key.endswith("_regexes"))


def _without(table: Table, *names: str, **more: Field) -> Table:
    return Table(**{name: field for name, field in table.fields.items() if name not in names}, **more)


JOBS = _without(JOB, *_EXPANSION, *_REGEXES, dependency_sets=Field(list_of(plain_text)))
FILES, USER_DATA_RECORDS = _without(FILE, *_EXPANSION), _without(USER_DATA, *_EXPANSION)
SETS = Table(name=Field(name_kind, required=True), jobs=Field(list_of(plain_text, low=1), required=True))
"""A list of jobs that several jobs wait for, written once."""

OTHERS = ("resource_requirements", "failure_handlers", "slurm_schedulers", "actions")
OBJECTS = ("jobs", "files", "user_data", *OTHERS, "dependency_sets")
"""Everything besides the settings of the workflow."""


def planned(
    settings: Mapping[str, Any], objects: Mapping[str, Any], options: Options | None = None
) -> Validated:
    """Check the parts of a workflow and plan it; everything that is wrong is told with its path.

    Parameters
    ----------
    settings
        As at the top of a document, without parameters, variables and objects.
    objects
        Lists of objects by the keys in `OBJECTS`, as in a document, but without parameters and regexes; jobs may
        also name `dependency_sets`.
    """
    report = Report()
    options = options or Options(no_resource_monitoring=True)
    for key in ("parameters", "variables", *OBJECTS):
        if key in settings:
            report.error("unknown-key", (key,), f"unknown key {quoted(key)} among the settings of a workflow")
    head = {name: value for name, value in settings.items() if name not in OBJECTS and not _varied(name)}
    spec = parse({**head, **{key: objects.get(key) or [] for key in OTHERS}, "jobs": []}, options, report)
    check_objects(spec, report)
    made = _Maker(report, spec.values["env"] or {}).make(objects)
    return whole(spec, made, options, report, locate=lambda path: Position(0, 0))


def _varied(name: str) -> bool:
    return name in ("parameters", "variables")


class _Template:
    """What a draft has to know of the object that it comes from."""

    __slots__ = ("path", "values")

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values = values
        self.path = path

    def about(self, name: str | None) -> None:
        return None

    def item(self, which: int, k: int) -> Path:
        written = self.values[LISTS[which]] or ()
        return (*self.path, LISTS[which], k) if k < len(written) else (*self.path, "dependency_sets")


class _Maker:
    """Makes drafts of jobs, and the files and user data that they name."""

    def __init__(self, report: Report, env: Mapping[str, str]) -> None:
        self._report = report
        self._reading = Reading(report)
        self._env = env
        self._made = Expansion()
        self._sets: dict[str, tuple[str, ...]] = {}
        self._joined: dict[tuple[str, ...], tuple[str, ...]] = {}

    def make(self, objects: Mapping[str, Any]) -> Expansion:
        """Everything that a document would have expanded."""
        total = sum(
            len(objects.get(key) or ())
            for key in ("jobs", "files", "user_data")
            if isinstance(objects.get(key), list)
        )
        if total > MOST:
            self._report.error("too-many", (), f"the plan has {total:,} objects; the limit is {MOST:,}")
            return self._made
        for path, values in self._read(objects, "dependency_sets", SETS):
            jobs = tuple([job for job in values["jobs"] or () if job is not None])
            if values["name"] is None:
                continue
            if values["name"] in self._sets:
                self._twice("dependency set", values["name"], path, ("dependency_sets",))
            self._sets[values["name"]] = jobs
        for path, values in self._read(objects, "files", FILES):
            if self._named("files", values, path):
                self._made.files.append(
                    PlannedFile(
                        name=values["name"], path=values["path"] or "", identifier=values["identifier"]
                    )
                )
                self._made.places["files"].append(path)
        for path, values in self._read(objects, "user_data", USER_DATA_RECORDS):
            if self._named("user_data", values, path):
                data = values["data"]
                self._made.user_data.append(
                    PlannedUserData(
                        name=values["name"], data=data, has_data=data is not None,
                        is_ephemeral=bool(values["is_ephemeral"]),
                    )
                )  # fmt: skip
                self._made.places["user_data"].append(path)
        for path, values in self._read(objects, "jobs", JOBS):
            self._job(path, values)
        return self._made

    def _read(
        self, objects: Mapping[str, Any], key: str, table: Table
    ) -> Sequence[tuple[Path, dict[str, Any]]]:
        entries = objects.get(key)
        if absent(entries):
            return ()
        if not isinstance(entries, list | tuple):
            self._reading.wrong("wrong-type", (key,), "expected a list")
            return ()
        found = []
        for k, entry in enumerate(entries):
            values = table(self._reading, entry, (key, k))
            if isinstance(values, dict):
                found.append(((key, k), values))
            elif key in self._made.names:
                self._made.names[key].excuse_all()
        return found

    def _job(self, path: Path, values: dict[str, Any]) -> None:
        for key in _REGEXES:
            values[key] = None
        names = self._made.names["jobs"]
        if not self._named("jobs", values, path):
            return
        texts = tuple([values[key] for key in TEXTS])
        command, label = texts[COMMAND], texts[LABEL]
        if command is not None and not command.strip():
            self._report.error("bad-value", (*path, "command"), "the command is empty; write what to run")
        if label is not None and (fault := label_fault(label)):
            self._report.error("bad-value", (*path, "label"), fault)
        lists: list[tuple[str, ...]] = [
            tuple([name for name in values[key] or () if name is not None]) for key in LISTS
        ]
        if values["dependency_sets"]:
            lists[DEPENDS] = self._with_sets(path, values["dependency_sets"], lists[DEPENDS])
        draft = Draft(_Template(values, path), texts, self._env_of(path, values), tuple(lists))  # type: ignore[arg-type]  # as much of a template as drafts need
        self._made.drafts.append(draft)
        assert names.positions[texts[NAME] or ""] == len(self._made.drafts) - 1

    def _with_sets(self, path: Path, sets: Sequence[Any], own: tuple[str, ...]) -> tuple[str, ...]:
        wanted = tuple([name for name in sets if name is not None])
        for k, name in enumerate(wanted):
            if name not in self._sets:
                known = Names("dependency set")
                known.positions = {one: at for at, one in enumerate(self._sets)}
                message = known.unknown(name) or ""
                self._report.error("unknown-reference", (*path, "dependency_sets", k), message)
        # PERF: jobs that name the same sets share one list as one object, so that it is looked up once.
        joined = self._joined.get(wanted)
        if joined is None:
            joined = tuple(dict.fromkeys([job for name in wanted for job in self._sets.get(name, ())]))
            self._joined[wanted] = joined
        return tuple(dict.fromkeys((*own, *joined))) if own else joined

    def _env_of(self, path: Path, values: Mapping[str, Any]) -> Mapping[str, str] | None:
        own = values["env"]
        if not own:
            return self._env or None
        merged = {**self._env, **own}
        fault = env_fault(merged)
        if fault:
            self._report.error("out-of-range", (*path, "env"), fault)
        return merged

    def _named(self, key: str, values: Mapping[str, Any], path: Path) -> bool:
        """Whether an object has a name that is good and new."""
        names, name = self._made.names[key], values["name"]
        if name is None:
            names.excuse_all()
            return False
        if fault := name_fault(name):
            self._report.error("bad-name", (*path, "name"), fault)
            names.excuse(name)
            return False
        number = len(self._made.drafts) if key == "jobs" else len(self._made.places[key])
        first = names.positions.setdefault(name, number)
        if first == number:
            return True
        at = self._made.drafts[first].template.path if key == "jobs" else self._made.places[key][first]
        self._twice(f"{names.noun} name", name, path, at)
        return False

    def _twice(self, what: str, name: str, path: Path, first: Path) -> None:
        where = "".join(f"[{step}]" if isinstance(step, int) else step for step in first)
        message = f"duplicate {what} {quoted(name)} (first at {where})"
        self._report.error("duplicate-name", (*path, "name"), message)
