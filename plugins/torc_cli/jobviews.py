"""What is shown of jobs: what they need, what they wait for, how they ended and where their output is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_cli.joblogs import LogFile, log_files
from torc_cli.relations import blockers_of, with_relations
from torc_core.model import Job, JobStatus, Json, NodeId, Query, Requirement, Result, Workflow, WorkflowId
from torc_core.session import Session
from torc_terminal.noun import Noun
from torc_terminal.output.cells import Column, shortened
from torc_terminal.output.records import Item, job_item, result_item

if TYPE_CHECKING:
    from torc_core.protocols import Store

WAITING_SHOWN = 20
"""Open blockers that `jobs get` names."""

SORTS = {"resource_requirements_id": "requirement_id", "compute_node_id": "node_id"}

NOUN = Noun(
    record=Job,
    group="jobs",
    one="job",
    many="jobs",
    item=job_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Status", key="status"),
        Column(title="Attempt", key="attempt_id", right=True),
        Column(title="Priority", key="priority", right=True),
        Column(title="Node", key="compute_node_id", right=True),
        Column(title="Started", key="start_time"),
        Column(title="Command", key="command", show=lambda item: shortened(str(item["command"]), 40)),
    ),
    sorts=SORTS,
)


def columns(store: Store, workflow: WorkflowId) -> Sequence[Column]:
    """The columns of a list of jobs of one workflow, with what each job needs."""
    requirements = store.find(Requirement, Query(workflow=workflow)).items
    needs = {requirement.id: needs_text(requirement) for requirement in requirements}

    def text(item: Mapping[str, Json]) -> str:
        return needs.get(item["resource_requirements_id"], "")  # type: ignore[call-overload,no-any-return]  # an id

    at = next(index for index, column in enumerate(NOUN.columns) if column.title == "Node")
    return (
        *NOUN.columns[:at],
        Column(title="Needs", key="resource_requirements_id", show=text),
        *NOUN.columns[at:],
    )


def needs_text(requirement: Requirement) -> str:
    """A requirement in a few words: `4 cpu, 8g, 1 gpu, 2 nodes, 0:30:00`."""
    parts = [f"{requirement.num_cpus} cpu", requirement.memory]
    if requirement.num_gpus:
        parts.append(f"{requirement.num_gpus} gpu")
    if requirement.num_nodes > 1:
        parts.append(f"{requirement.num_nodes} nodes")
    minutes, seconds = divmod(requirement.runtime_s, 60)
    return ", ".join((*parts, f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"))


def latest_result(store: Store, job: Job) -> Result | None:
    """The result of the job's last attempt that ended, of whatever run."""
    query = Query(workflow=job.workflow_id, where={"job_id": job.id}, reverse=True, limit=1)
    found = store.find(Result, query).items
    return found[0] if found else None


def described(session: Session, job: Job) -> Item:
    """A job with its relations, its latest result, its log files and the jobs that it waits for."""
    store = session.store()
    item = with_relations(store, job.workflow_id, [job])[0]
    result = latest_result(store, job)
    item["result"] = result_item(result) if result else None
    files = {file.stream: str(file.path) for file in attempt_files(session, job, result)}
    item["stdout"] = files.get("stdout", files.get("combined"))
    item["stderr"] = files.get("stderr", files.get("combined"))
    waiting = (
        [] if job.status not in (JobStatus.UNINITIALIZED, JobStatus.BLOCKED) else blockers_of(store, job)
    )
    open_ones = [blocker for blocker in waiting if blocker.status.open]
    item["waiting_for"] = [
        {"job_id": blocker.id, "job_name": blocker.name, "status": blocker.status.label}
        for blocker in open_ones[:WAITING_SHOWN]
    ]
    item["waiting_for_count"] = len(open_ones)
    return item


def attempt_files(session: Session, job: Job, result: Result | None) -> Sequence[LogFile]:
    """The log files of the attempt that runs now, else of the one that the result tells of."""
    if job.status is JobStatus.RUNNING and (result is None or not _same_attempt(job, result)):
        run_id, attempt_id, node = job.run_id, job.attempt_id, job.node_id
    elif result is not None:
        run_id, attempt_id, node = result.run_id, result.attempt_id, result.node_id
    else:
        return ()
    return files_of_attempt(session, job, run_id=run_id, attempt_id=attempt_id, node=node)


def files_of_attempt(
    session: Session, job: Job, *, run_id: int, attempt_id: int, node: NodeId | None
) -> Sequence[LogFile]:
    """The log files of one attempt."""
    store = session.store()
    return log_files(
        store,
        store.get(Workflow, job.workflow_id),
        job,
        run_id=run_id,
        attempt_id=attempt_id,
        node=node,
        folder=session.config.client.run.output_dir,
    )


def _same_attempt(job: Job, result: Result) -> bool:
    return (job.run_id, job.attempt_id) == (result.run_id, result.attempt_id)
