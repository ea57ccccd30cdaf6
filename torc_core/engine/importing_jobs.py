"""Jobs read from a document: lists of blockers and inputs become groups, as in a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.engine.checks import check_name
from torc_core.engine.exporting import ATTEMPT
from torc_core.engine.importing_history import LABELS, Ids
from torc_core.engine.reading import Entry, entries
from torc_core.engine.runs import blockers, cycle, producers
from torc_core.errors import Invalid
from torc_core.model import LIVE, InputKind, JobId, PlannedInput, PlannedJob, Source

_NONE = -1
"""The number of a shared list that is empty."""


class Jobs:
    """The jobs of one document on their way in.

    Parameters
    ----------
    keep_status
        Whether they keep their statuses; live ones never do.
    """

    def __init__(
        self, document: Mapping[str, Any], lists: Mapping[str, list[Entry]], ids: Ids, keep_status: bool
    ) -> None:
        self._document = document
        self._lists = lists
        self._ids = ids
        self._keep = keep_status
        self._groups: dict[tuple[int, ...], int] = {}
        self._members: list[tuple[int, ...]] = []
        self._inputs: dict[tuple[InputKind, tuple[int, ...]], int] = {}
        self._sizes: dict[tuple[int, ...], int] = {}
        self.inputs: list[PlannedInput] = []
        self.needs_default = False
        """Whether a job has no requirement, and the document none that is called `default`."""

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The distinct blocker lists."""
        return self._members

    def read(self) -> tuple[list[PlannedJob], dict[int, dict[str, Any]]]:
        """The jobs, and by position the fields that the plan does not set."""
        found = self._lists["jobs"]
        # PERF: a shared list may be as long as the workflow, so it is looked up once and not for each job.
        shared = {at: self._group(one) if one else _NONE for at, one in enumerate(self._shared_groups())}
        reading = {
            at: self._inputs.setdefault(one, len(self._inputs)) if one[1] else _NONE
            for at, one in enumerate(self._shared_inputs())
        }
        attempts = {one.one("job_id", self._ids["jobs"]): one for one in self._lists["attempts"]}
        spawned = {at: one.one("spawned_by", self._ids["jobs"]) for at, one in attempts.items()}
        default = next(
            (
                at
                for at, one in enumerate(self._lists["resource_requirements"])
                if one.value.get("name") == "default"
            ),
            len(self._lists["resource_requirements"]),
        )
        read = [self._read_sets(one, reading) for one in found]
        outputs = [
            (
                one.many("output_file_ids", self._ids["files"]),
                one.many("output_user_data_ids", self._ids["user_data"]),
            )
            for one in found
        ]
        writers: dict[InputKind, dict[int, list[JobId]]] = {InputKind.FILE: {}, InputKind.USER_DATA: {}}
        for at, both in enumerate(outputs):
            for kind, written in zip((InputKind.FILE, InputKind.USER_DATA), both, strict=True):
                for item in written:
                    writers[kind].setdefault(item, []).append(JobId(at))
        self.inputs = []
        for kind, items in self._inputs:
            made_of = producers(items, writers[kind])
            group = self._group(made_of) if made_of else None
            self.inputs.append(PlannedInput(kind=kind, items=items, group=group))
        planned, states = [], {}
        for at, one in enumerate(found):
            uses: dict[int, Source] = {}
            for group in self._waits(one, shared):
                uses[group] = Source.EXPLICIT
            caller = spawned.get(at)
            if caller is not None:
                group = self._group((caller,))
                uses[group] = uses.get(group, Source(0)) | Source.SPAWN
            for entry in read[at]:
                made = self.inputs[entry]
                if made.group is not None:
                    source = Source.FILE if made.kind is InputKind.FILE else Source.USER_DATA
                    uses[made.group] = uses.get(made.group, Source(0)) | source
            planned.append(self._job(one, uses, read[at], outputs[at], default))
            states[at] = self._state(one, attempts.get(at), caller)
        self._check_circle(planned)
        return planned, states

    def _job(
        self, one: Entry, uses: Mapping[int, Source], read: Sequence[int], outputs: tuple[list[int], list[int]],
        default: int,
    ) -> PlannedJob:  # fmt: skip
        requirement = one.one("resource_requirements_id", self._ids["resource_requirements"])
        if requirement is None and default == len(self._lists["resource_requirements"]):
            self.needs_default = True
        groups = tuple(sorted(uses.items()))
        key = tuple(group for group, _ in groups)
        if key not in self._sizes:
            self._sizes[key] = blockers([[JobId(job) for job in self._members[group]] for group in key])
        cancels = one.get("cancel_on_blocking_job_failure", bool)
        planned = PlannedJob(
            name=one.need("name", str), command=one.need("command", str),
            invocation_script=one.get("invocation_script", str), env=one.texts("env"),
            priority=one.get("priority", int) or 0, cancel_on_blocking_job_failure=cancels is not False,
            supports_termination=bool(one.get("supports_termination", bool)),
            requirement=default if requirement is None else requirement,
            handler=one.one("failure_handler_id", self._ids["failure_handlers"]),
            scheduler=one.one("scheduler_id", self._ids["slurm_schedulers"]), label=one.get("label", str),
            groups=groups, inputs=tuple(read), output_files=outputs[0], output_user_data=outputs[1],
            num_blockers=self._sizes[key],
        )  # fmt: skip
        # NOTE: what torc itself has set may be in the environment of a spawned job.
        check_name(f"job ({one.at})", planned.name)
        if not planned.command:
            raise one.wrong("command", "is empty", "")
        if planned.priority < 0:
            raise one.wrong("priority", f"{planned.priority} is negative", planned.priority)
        return planned

    def _state(self, one: Entry, attempt: Entry | None, caller: int | None) -> dict[str, Any]:
        """The fields of a job that the plan does not set."""
        state: dict[str, Any] = {"origin": one.get("origin", str), "spawned_by": caller}
        state["schedule_compute_nodes"] = one.get("schedule_compute_nodes", dict)
        if attempt is not None:
            kinds: dict[str, type[Any]] = {"input_hash": str, "lineage": str}
            state |= {name: attempt.get(name, kinds.get(name, int)) for name in ATTEMPT}
        if self._keep:
            label = one.get("status", str) or "uninitialized"
            if label not in LABELS:
                raise one.wrong("status", f"{label!r} is not known; choose from {', '.join(LABELS)}", label)
            status = LABELS[label]
            if status not in LIVE:
                state |= {"status": status, "reason": one.get("reason", str)}
        return {name: value for name, value in state.items() if value is not None}

    def _shared_groups(self) -> list[tuple[int, ...]]:
        groups = self._document.get("dependency_groups") or []
        if not isinstance(groups, list):
            raise Invalid("dependency_groups is not a list")
        return [
            tuple(Entry(f"dependency_groups[{at}]", {"ids": ids}).many("ids", self._ids["jobs"]))
            for at, ids in enumerate(groups)
        ]

    def _shared_inputs(self) -> list[tuple[InputKind, tuple[int, ...]]]:
        made = []
        for one in entries(self._document, "input_groups"):
            kind = one.need("kind", str)
            if kind not in ("file", "user_data"):
                raise one.wrong("kind", f"{kind!r} is not known; choose from file, user_data", kind)
            ids = self._ids["files" if kind == "file" else "user_data"]
            made.append((InputKind(kind), tuple(one.many("ids", ids))))
        return made

    def _waits(self, one: Entry, shared: Mapping[int, int]) -> set[int]:
        groups = set(one.many("depends_on_groups", shared)) - {_NONE}
        named = tuple(one.many("depends_on_job_ids", self._ids["jobs"]))
        return groups | {self._group(named)} if named else groups

    def _read_sets(self, one: Entry, shared: Mapping[int, int]) -> list[int]:
        sets = set(one.many("input_groups", shared)) - {_NONE}
        for kind, key, name in (
            (InputKind.FILE, "input_file_ids", "files"),
            (InputKind.USER_DATA, "input_user_data_ids", "user_data"),
        ):
            items = tuple(one.many(key, self._ids[name]))
            if items:
                sets.add(self._inputs.setdefault((kind, items), len(self._inputs)))
        return sorted(sets)

    def _group(self, members: tuple[int, ...]) -> int:
        if members not in self._groups:
            self._groups[members] = len(self._members)
            self._members.append(members)
        return self._groups[members]

    def _check_circle(self, planned: Sequence[PlannedJob]) -> None:
        members = {at: [JobId(job) for job in group] for group, at in self._groups.items()}
        circle = cycle(
            members, {JobId(at): [group for group, _ in one.groups] for at, one in enumerate(planned)}
        )
        if circle is not None:
            names = [planned[job].name for job in (*circle, circle[0])]
            raise Invalid(f"jobs of the document wait for each other: {' -> '.join(names)}")
