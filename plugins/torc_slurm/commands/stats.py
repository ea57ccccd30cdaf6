"""`torc slurm stats`: what each attempt used, as Slurm accounted for its step, or as torc has measured it."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.given import Given
from torc_core.model import Job, Json, Node, Query, Requirement, Result, SlurmStats, Value
from torc_core.model.resources import memory_text
from torc_terminal.output.answer import Listing
from torc_terminal.output.cells import Column
from torc_terminal.selector import workflow as selected

EVERY = 2**31
SLURM, OURS = "slurm", "torc"


def _size(title: str, key: str) -> Column:
    def show(item: Mapping[str, Json]) -> str:
        value = item[key]
        return memory_text(value) if isinstance(value, int) and value else ""

    return Column(title=title, key=key, right=True, show=show)


COLUMNS = (
    Column(title="Job", key="job_name"),
    Column(title="Run", key="run_id", right=True),
    Column(title="Attempt", key="attempt_id", right=True),
    Column(title="Slurm job", key="slurm_job_id", right=True),
    _size("Max RSS", "max_rss_bytes"),
    _size("Max VM", "max_vm_size_bytes"),
    _size("Disk read", "max_disk_read_bytes"),
    _size("Disk write", "max_disk_write_bytes"),
    Column(title="Avg CPU s", key="ave_cpu_seconds", right=True),
    Column(title="CPU % of requested", key="cpu_percent_of_requested", right=True),
    Column(title="Nodes", key="node_list"),
    Column(title="Source", key="source"),
)


def stats(
    workflow: str | None = None,
    /,
    *,
    job_id: int | None = None,
    run_id: int | None = None,
    session: Given,
) -> Listing:
    """List what each attempt used: by Slurm's accounting where it ran as a step, else as torc has measured it.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    job_id
        Only of this job.
    run_id
        Only of this run.
    """
    wf, store = selected(session, workflow), session.store()
    where: dict[str, Value | tuple[Value, ...]] = {}
    if job_id is not None:
        where["job_id"] = job_id
    if run_id is not None:
        where["run_id"] = run_id
    query = Query(workflow=wf, where=where, limit=EVERY)
    kept = {(one.job_id, one.run_id, one.attempt_id): one for one in store.find(SlurmStats, query).items}
    results = store.find(Result, query).items
    whole = Query(workflow=wf, limit=EVERY)
    needs: dict[int, Requirement] = {one.id: one for one in store.find(Requirement, whole).items}
    jobs = {one.id: one for one in store.find(Job, whole).items} if results or kept else {}
    nodes = {one.id: one for one in store.find(Node, whole).items}
    items = [
        _item(
            one,
            kept.get((one.job_id, one.run_id, one.attempt_id)),
            jobs.get(one.job_id),
            needs,
            None if one.node_id is None else nodes.get(one.node_id),
        )
        for one in results
    ]
    return Listing(
        schema="torc.slurm.stats/1",
        noun="attempts",
        items=items,
        columns=COLUMNS,
        total=len(items),
        extra={"workflow_id": wf},
    )


def _item(
    result: Result,
    found: SlurmStats | None,
    job: Job | None,
    needs: Mapping[int, Requirement],
    node: Node | None,
) -> Mapping[str, Json]:
    usage = result.usage
    seconds = result.exec_minutes * 60
    cpu = None if found is None else found.ave_cpu_seconds
    if cpu is None and usage.avg_cpu_percent is not None:
        cpu = round(usage.avg_cpu_percent / 100 * seconds, 3)
    asked = needs[job.requirement_id].num_cpus if job is not None and job.requirement_id in needs else None
    percent = None if cpu is None or not asked or seconds <= 0 else round(cpu / (asked * seconds) * 100, 1)
    rss = found.max_rss_bytes if found is not None and found.max_rss_bytes else usage.peak_memory_bytes
    told = None if node is None else (node.scheduler or {}).get("slurm_job_id")
    number = found.slurm_job_id if found is not None else None if told is None else str(told)
    hosts = (
        found.node_list if found is not None and found.node_list else None if node is None else node.hostname
    )
    return {
        "job_id": result.job_id,
        "job_name": result.job_name,
        "run_id": result.run_id,
        "attempt_id": result.attempt_id,
        "slurm_job_id": number,
        "max_rss_bytes": rss,
        "max_vm_size_bytes": None if found is None else found.max_vm_size_bytes,
        "max_disk_read_bytes": None if found is None else found.max_disk_read_bytes,
        "max_disk_write_bytes": None if found is None else found.max_disk_write_bytes,
        "ave_cpu_seconds": cpu,
        "cpu_percent_of_requested": percent,
        "node_list": hosts,
        "source": OURS if found is None else SLURM,
    }
