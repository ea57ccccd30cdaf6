"""A document as a plan, and what has to be written besides it (`engine.md` §17)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.engine import importing_history as history
from torc_core.engine.checks import check_env, check_name, checked
from torc_core.engine.exporting import (
    EVENT_IDS,
    FILE,
    SETTINGS,
    STANDING,
    check_whole,
)
from torc_core.engine.importing_jobs import Jobs
from torc_core.engine.reading import Entry, entries, numbered, sound
from torc_core.errors import Invalid
from torc_core.model import (
    Allocation,
    Event,
    FailureHandler,
    File,
    HandlerId,
    Json,
    LocalScheduler,
    Node,
    Plan,
    PlannedAction,
    PlannedFile,
    PlannedHandler,
    PlannedRequirement,
    PlannedScheduler,
    PlannedUserData,
    PlannedWorkflow,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.record import record

_NOWHERE = WorkflowId(0)


@record(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A workflow that comes into a store; ids in its records are positions, those of the plan or of its own lists.

    Parameters
    ----------
    workflow
        Fields that the plan does not set.
    files
        With their fingerprints.
    user_data
        With their present values; the plan has the first ones.
    jobs
        By position the fields that the plan does not set; `spawned_by` is a position.
    current
        Position of a job to the position of its current result.
    actions
        By position the fields that the plan does not set.
    """

    plan: Plan
    workflow: Mapping[str, Any]
    files: Sequence[File]
    user_data: Sequence[UserData]
    jobs: Mapping[int, Mapping[str, Any]]
    current: Mapping[int, int]
    actions: Mapping[int, Mapping[str, Any]]
    local_schedulers: Sequence[LocalScheduler]
    entities: Sequence[RoCrateEntity]
    nodes: Sequence[Node]
    allocations: Sequence[Allocation]
    results: Sequence[Result]
    events: Sequence[Event]


def parcel(document: Mapping[str, Json], *, keep_status: bool = False) -> Parcel:
    """Read a document.

    Raises
    ------
    Invalid
        The sentence names the place in the document.
    """
    version = str(document.get("export_version", ""))
    if version.partition(".")[0] != "1":
        raise Invalid(f"export_version {version!r} is not known; this torc reads documents of version 1")
    check_whole(document)
    return _Reading(document, keep_status).parcel()


def settled(event: Event, ids: Mapping[str, Sequence[int]], workflow: WorkflowId) -> Mapping[str, Json]:
    """The data of an imported event, with the ids that records have now; `ids` by list of the document."""
    data = dict(event.data)
    for key, name in EVENT_IDS.items():
        at = data.get(key)
        if type(at) is int:
            data[key] = ids[name][at]
    return data | ({"workflow_id": workflow} if "workflow_id" in data else {})


class _Reading:
    """One document on its way in."""

    def __init__(self, document: Mapping[str, Any], keep_status: bool) -> None:
        self._document = document
        self._keep = keep_status
        self._lists = {
            key: entries(document, key)
            for key in ("files", "user_data", "resource_requirements", "slurm_schedulers", "local_schedulers",
                        "failure_handlers", "jobs", "workflow_actions", "results", "events", "compute_nodes",
                        "scheduled_compute_nodes", "ro_crate_entities", "attempts")
        }  # fmt: skip
        self._ids = {
            key: numbered(found)
            for key, found in self._lists.items()
            if key not in ("attempts", "results", "events", "local_schedulers", "ro_crate_entities")
        }

    def parcel(self) -> Parcel:
        """All of it."""
        workflow = Entry("workflow", self._document.get("workflow"))
        data = self._user_data()
        reader = Jobs(self._document, self._lists, self._ids, self._keep)
        jobs, states = reader.read()
        lists, ids = self._lists, self._ids
        found, current = history.results(lists["results"], ids)
        actions, counts = self._actions()
        requirements = [self._requirement(one) for one in self._lists["resource_requirements"]]
        if reader.needs_default:
            requirements.append(PlannedRequirement(name="default"))
        files = [self._file(one) for one in self._lists["files"]]
        plan = Plan(
            workflow=self._workflow(workflow),
            files=[PlannedFile(name=one.name, path=one.path, identifier=one.identifier) for one in files],
            user_data=[first for first, _ in data],
            requirements=requirements,
            handlers=[self._handler(one) for one in self._lists["failure_handlers"]],
            schedulers=[self._scheduler(one) for one in self._lists["slurm_schedulers"]],
            jobs=jobs,
            actions=actions,
            groups=reader.groups,
            inputs=reader.inputs,
        )
        standing: dict[str, Any] = {
            name: value
            for name in STANDING
            if (value := workflow.get(name, _STANDING_TYPES[name])) is not None
        }
        if not self._keep:
            standing.pop("is_canceled", None)
        standing.setdefault("initialized_run", standing.get("run_id", 0))
        return Parcel(
            plan=plan, workflow=standing, files=files, user_data=[now for _, now in data], jobs=states,
            current=current if self._keep else {}, actions=counts, results=found,
            local_schedulers=[self._local(one) for one in self._lists["local_schedulers"]],
            entities=[history.entity(one, ids) for one in lists["ro_crate_entities"]],
            nodes=[history.node(one, ids) for one in lists["compute_nodes"]],
            allocations=[history.allocation(one, ids) for one in lists["scheduled_compute_nodes"]],
            events=[history.event(one, ids) for one in lists["events"]],
        )  # fmt: skip

    def _workflow(self, one: Entry) -> PlannedWorkflow:
        check_name("workflow", one.need("name", str))
        given = {
            name: one.value[name] for name in SETTINGS if one.value.get(name) is not None and name != "user"
        }
        env = one.texts("env")
        check_env(env)
        for name, value in given.items():
            wanted = _SETTING_TYPES[name]
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is int):
                raise one.wrong(name, "has the wrong type", value)
        planned = PlannedWorkflow(**given)
        checked(Workflow(id=_NOWHERE, user="nobody", **{
            name: getattr(planned, name) for name in SETTINGS if name != "user"
        }))  # fmt: skip
        return planned

    def _file(self, one: Entry) -> File:
        kinds: dict[str, type[Any]] = {"st_mtime": float, "size": int}
        given: dict[str, Any] = {name: one.get(name, kinds.get(name, str)) for name in FILE}
        made: File = sound(one, File(workflow_id=_NOWHERE, **given))
        return made

    def _user_data(self) -> list[tuple[PlannedUserData, UserData]]:
        made = []
        for one in self._lists["user_data"]:
            name, ephemeral = one.need("name", str), bool(one.get("is_ephemeral", bool))
            data = one.value.get("data")
            has = data is not None or bool(one.get("has_data", bool))
            first, has_first = data, has
            if "has_initial_data" in one.value:
                first, has_first = one.value.get("initial_data"), bool(one.get("has_initial_data", bool))
            planned = PlannedUserData(name=name, data=first, has_data=has_first, is_ephemeral=ephemeral)
            now = UserData(workflow_id=_NOWHERE, name=name, data=data, has_data=has, is_ephemeral=ephemeral)
            made.append((planned, sound(one, now)))
        return made

    def _requirement(self, one: Entry) -> PlannedRequirement:
        numbers = {name: one.get(name, int) for name in ("num_cpus", "num_gpus", "num_nodes")}
        texts = {name: one.get(name, str) for name in ("memory", "runtime")}
        given = {name: value for name, value in (numbers | texts).items() if value is not None}
        need: Requirement = sound(
            one,
            Requirement(workflow_id=_NOWHERE, name=one.need("name", str), **given),  # type: ignore[arg-type]  # read by type
        )
        return PlannedRequirement(**{
            name: getattr(need, name)
            for name in ("name", "num_cpus", "num_gpus", "num_nodes", "memory", "runtime", "memory_bytes", "runtime_s")
        })  # fmt: skip

    def _scheduler(self, one: Entry) -> PlannedScheduler:
        fields = {key: value for key, value in one.value.items() if key not in ("id", "workflow_id", "name")}
        name = one.get("name", str) or ""
        check_name("Slurm scheduler", name or "scheduler")  # any that a specification may give
        made: SlurmScheduler = sound(one, SlurmScheduler(workflow_id=_NOWHERE, name="", fields=fields))
        return PlannedScheduler(name=name, fields=made.fields)

    def _handler(self, one: Entry) -> PlannedHandler:
        rules: Any = one.value.get("rules")
        if isinstance(rules, str):
            rules = one.read("rules", json.loads)
        made: FailureHandler = sound(
            one,
            FailureHandler(id=HandlerId(0), workflow_id=_NOWHERE, name=one.need("name", str), rules=rules),
        )
        return PlannedHandler(name=made.name, rules=made.rules)

    def _local(self, one: Entry) -> LocalScheduler:
        made: LocalScheduler = sound(
            one,
            LocalScheduler(
                workflow_id=_NOWHERE, name=one.get("name", str), memory=one.get("memory", str),
                num_cpus=one.get("num_cpus", int),
            ),
        )  # fmt: skip
        return made

    def _actions(self) -> tuple[list[PlannedAction], dict[int, dict[str, Any]]]:
        planned, counts = [], {}
        for at, one in enumerate(self._lists["workflow_actions"]):
            config = one.get("action_config", dict) or {}
            scheduler = config.get("scheduler_id")
            if scheduler is not None:
                inside = Entry(f"{one.at}.action_config", config)
                config = {**config, "scheduler_id": inside.one("scheduler_id", self._ids["slurm_schedulers"])}
            planned.append(
                PlannedAction(
                    trigger_type=one.need("trigger_type", str), action_type=one.need("action_type", str),
                    config=config, jobs=one.many("job_ids", self._ids["jobs"]),
                    trigger_mode=one.get("trigger_mode", str) or "all",
                    persistent=bool(one.get("persistent", bool)),
                )
            )  # fmt: skip
            counts[at] = {
                "is_recovery": bool(one.get("is_recovery", bool)),
                "trigger_count": (one.get("trigger_count", int) or 0) if self._keep else 0,
            }
        return planned, counts


_STANDING_TYPES: Mapping[str, type[Any]] = {
    "run_id": int, "initialized_run": int, "is_canceled": bool, "is_archived": bool, "slurm_config": str,
    "submit_options": dict,
}  # fmt: skip
_SETTING_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(SETTINGS, int),
    **dict.fromkeys(("metadata", "env", "execution_config", "resource_monitor_config", "slurm_defaults", "dynamic_jobs"), dict),
    **dict.fromkeys(("name", "user", "description", "project", "api_access", "submission_directory", "source_path",
                     "source_digest"), str),
    **dict.fromkeys(("report", "use_pending_failed", "enable_ro_crate", "compute_node_ignore_workflow_completion"), bool),
    "notify": list,
}  # fmt: skip
