"""How attempts ended and where everything lies that they wrote (`observability.md` §4.2)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torc_cli.joblogs import files_in
from torc_cli.results import UNSUCCESSFUL
from torc_core.model import Job, JobId, Json, Node, NodeId, Result, Workflow, WorkflowId
from torc_core.record import record
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column, instant
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_core.protocols import Store

SLURM = ("slurm_stdout", "slurm_stderr", "slurm_env_log", "dmesg_log")
"""Files of allocations, by the plugin that makes them."""


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which attempts: of every run, all or only the last one of each job, of some jobs, only bad ones."""

    all_runs: bool = False
    all_attempts: bool = False
    jobs: Collection[int] = ()
    failed: bool = False


def ended(
    store: Store, workflow: WorkflowId, choice: Choice, folder: str, columns: Sequence[Column]
) -> Report:
    """The report on a workflow; `folder` is where the output of a node lies that did not say so itself."""
    about = store.get(Workflow, workflow)
    jobs = {job.id: job for job in every(store, Job, workflow)}
    nodes = {node.id: node for node in every(store, Node, workflow)}
    rows = [
        _row(about, jobs.get(result.job_id), result, nodes, folder)
        for result in _chosen(every(store, Result, workflow), about.run_id, choice)
    ]
    return Report(
        schema="torc.reports.results/1",
        data={
            "workflow_id": workflow,
            "workflow_name": about.name,
            "workflow_user": about.user,
            "all_runs": choice.all_runs,
            "total_results": len(rows),
            "results": rows,
        },
        rows=rows,
        columns=columns,
        noun="results",
    )


def _chosen(results: Iterable[Result], run: int, choice: Choice) -> Sequence[Result]:
    found = [
        one
        for one in results
        if (choice.all_runs or one.run_id == run or one.current)
        and (not choice.jobs or one.job_id in choice.jobs)
    ]
    if not choice.all_attempts:
        last: dict[tuple[JobId, int], Result] = {}
        for one in found:
            # Of the present state the current result counts, which may be of an earlier run (`reinitialize`).
            last[one.job_id, one.run_id if choice.all_runs else 0] = one
        found = list(last.values())
    return [one for one in found if not choice.failed or one.status in UNSUCCESSFUL]


def _row(
    workflow: Workflow, job: Job | None, result: Result, nodes: Mapping[NodeId, Node], folder: str
) -> dict[str, Json]:
    node = nodes.get(result.node_id) if result.node_id is not None else None
    home = (node.output_dir if node is not None else None) or folder
    files: dict[str, str] = {}
    if job is not None:
        found = files_in(workflow, job, result.run_id, result.attempt_id, home)
        files = {file.stream: str(file.path) for file in found}
    slurm = node.scheduler.get("slurm_job_id") if node is not None and node.scheduler is not None else None
    return {
        "job_id": result.job_id,
        "job_name": result.job_name,
        "status": result.status.label,
        "run_id": result.run_id,
        "attempt_id": result.attempt_id,
        "return_code": result.return_code,
        "reason": result.reason,
        "completion_time": instant(result.completed_at),
        "exec_time_minutes": result.exec_minutes,
        "compute_node_id": result.node_id,
        "compute_node_type": None if node is None else node.type,
        "hostname": None if node is None else node.hostname,
        "job_stdout": files.get("stdout", files.get("combined")),
        "job_stderr": files.get("stderr", files.get("combined")),
        "job_runner_log": None if node is None else _runner_log(node, result, home),
        "slurm_job_id": None if slurm is None else str(slurm),
        **dict.fromkeys(SLURM),
    }


def _runner_log(node: Node, result: Result, home: str) -> str | None:
    """The log of the runner, if it can be seen from here."""
    path = Path(home).absolute() / f"job_runner_{node.hostname}_wf{node.workflow_id}_r{result.run_id}.log"
    return str(path) if os.path.exists(path) else None
