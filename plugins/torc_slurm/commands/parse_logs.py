"""`torc slurm parse-logs`: what went wrong in allocations, by their logs, and which jobs that hit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_slurm.logs.patterns import ERROR, WARNING
from torc_slurm.logs.scanning import Issue, scan
from torc_slurm.logs.whom import Homes
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column, shortened
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import amount

COLUMNS = (
    Column(title="File", key="file", show=lambda item: Path(str(item["file"])).name),
    Column(title="Slurm Job", key="slurm_job_id", right=True),
    Column(title="Line", key="line_number", right=True),
    Column(title="Times", key="count", right=True),
    Column(title="Pattern", key="pattern_description"),
    Column(title="Severity", key="severity"),
    Column(title="Node", key="node"),
    Column(
        title="Affected jobs", key="affected_jobs",
        show=lambda item: shortened(", ".join(f"{one['job_id']} ({one['job_name']})" for one in item["affected_jobs"]), 60),  # type: ignore[union-attr, call-overload, index]  # a list of objects
    ),
)  # fmt: skip


def parse_logs(
    workflow: str | None = None,
    /,
    *,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    errors_only: Flag = False,
    job: int | None = None,
    context: int = 0,
    exit_code: Flag = False,
    session: Given,
) -> Report:
    """Look for trouble in the logs of a workflow's allocations: memory, time, nodes, GPUs, crashes, files, network.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output_dir
        Where the logs are; normally torc_output.
    errors_only
        No warnings.
    job
        Only what concerns this job.
    context
        So many lines before and after each, in JSON and below the table.
    exit_code
        Leave with 1 if something was found.
    """
    if not 0 <= context <= 100:
        raise UsageError(f"--context '{context}' is out of range; give 0 to 100 lines")
    wf = selected(session, workflow)
    folder = Path(output_dir or session.config.client.run.output_dir).expanduser()
    if not os.path.isdir(folder):
        raise NotFound(f"there is no folder '{folder}'; name the one with the logs: --output-dir DIR")
    read = scan(folder, wf, Homes.of(session.store(), wf), context=context)
    for text in read.unread:
        session.warn(text)
    issues = [
        one
        for one in read.issues
        if not (errors_only and one.pattern.severity != ERROR)
        and (job is None or job in {id for id, _ in one.jobs})
    ]
    data: dict[str, Json] = {
        "workflow_id": wf,
        "output_dir": str(folder),
        "slurm_jobs_count": len({file.slurm_job for file in read.files}),
        "files_scanned": len(read.files),
        "total_issues": len(issues),
        "errors": sum(one.pattern.severity == ERROR for one in issues),
        "warnings": sum(one.pattern.severity == WARNING for one in issues),
        "issues": [one.item() for one in issues],
    }
    files = f"{amount(len(read.files), 'log file')} of {amount(data['slurm_jobs_count'], 'allocation')} in '{folder}'"
    return Report(
        schema="torc.slurm.parse-logs/1",
        data=data,
        text=f"{amount(data['errors'], 'error')} and {amount(data['warnings'], 'warning')} in {files}{_around(issues)}",
        rows=[one.item() for one in issues],
        columns=COLUMNS,
        noun="issues",
        exit_code=1 if exit_code and issues else 0,
    )


def _around(issues: list[Issue]) -> str:
    """The lines around each, where they are wanted."""
    from torc_terminal.output.cells import plain

    told = [
        f"\n\n{one.file.path.name}:{one.line_number}\n"
        + "\n".join(f"  {plain(line)}" for line in one.context)
        for one in issues
        if one.context
    ]
    return "".join(told) + ("\n" if told else "")
