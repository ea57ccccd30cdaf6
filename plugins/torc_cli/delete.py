"""`torc delete`: remove workflows and all that belongs to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from torc_cli.cancel import named
from torc_core.errors import Conflict, UsageError
from torc_core.given import Given
from torc_core.model import JobStatus, Json, Totals, WorkflowId
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Outcome, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.selector import confirm, workflows
from torc_terminal.standing import amount

FOLDERS = ("job_stdio", "actions")
"""Folders of the output directory that hold files of jobs, named by workflow (`runner.md` §5.3)."""


def delete(
    *workflow: str,
    yes: Yes = False,
    force: Flag = False,
    archived_before: str | None = None,
    with_logs: Flag = False,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    session: Given,
) -> Outcome:
    """Delete workflows with all their jobs, results and events.

    Parameters
    ----------
    workflow
        Ids, ranges such as `10-20`, or `last`.
    yes
        Do not ask.
    force
        Also while jobs run: they are stopped.
    archived_before
        Instead of ids: your workflows that were archived before this time, `2026-05-01` or `90d` (so long ago).
    with_logs
        Also remove the files with the output of their jobs, which are listed first.
    output_dir
        Where these files are; normally `torc_output`.
    """
    refuse_csv(session)
    if archived_before is None:
        chosen = workflows(session, workflow)
    else:
        from torc_cli.purging import due
        from torc_terminal.given_text import moment

        if workflow:
            raise UsageError("--archived-before chooses the workflows by itself; leave the ids out")
        before = moment(archived_before, session.clock.now())
        chosen = [one.workflow.id for one in due(session.store(), session.user(), before)]
        if not chosen:
            return Outcome(
                message="No workflow was archived before then",
                extra={"deleted_workflows": [], "deleted_jobs": 0},
            )
    store = session.store()
    totals = store.totals(chosen)
    for one in totals:
        refuse_live(one, force=force)
    folder = output_dir or session.config.client.run.output_dir
    if output_dir is not None and not with_logs:
        raise UsageError("--output-dir says where log files are; add --with-logs to remove them")
    logs = log_files(folder, chosen) if with_logs else []
    for path in logs:
        session.note(plain(path))
    confirm(session, question(totals, len(logs)), yes)
    for one in totals:
        if force and not one.complete and live(one):
            store.cancel(one.workflow.id, "deleted")
        store.delete(one.workflow.id, force=force)
    removed = sum(remove(path) for path in logs)
    jobs = sum(one.total for one in totals)
    extra: dict[str, Json] = {"deleted_workflows": list(chosen), "deleted_jobs": jobs}
    if with_logs:
        extra["deleted_files"] = removed
    return Outcome(
        message=f"Deleted {named(chosen)} ({jobs} job{'' if jobs == 1 else 's'})"
        + (f" and {removed} file{'' if removed == 1 else 's'}" if with_logs else ""),
        workflow_id=chosen[0] if len(chosen) == 1 else None,
        extra=extra,
    )


def live(totals: Totals) -> int:
    """Jobs that are held or run."""
    return totals.counts.get(JobStatus.RUNNING, 0) + totals.counts.get(JobStatus.PENDING, 0)


def refuse_live(totals: Totals, *, force: bool) -> None:
    """Object to the deletion of a workflow that runs.

    Raises
    ------
    Conflict
        If jobs are held or run and `force` is not given.
    """
    if live(totals) and not force:
        raise Conflict(
            f"workflow {totals.workflow.id} has {amount(live(totals), 'live job')}; cancel it first "
            f"(torc cancel {totals.workflow.id} --wait) or pass --force"
        )


def question(totals: Sequence[Totals], files: int) -> str:
    """What the user is asked."""
    also = f" and {amount(files, 'file')}" if files else ""
    if len(totals) == 1:
        one = totals[0]
        return f"Delete workflow {one.workflow.id} '{plain(one.workflow.name)}' with {amount(one.total, 'job')}{also}?"
    return f"Delete {len(totals)} workflows with {amount(sum(one.total for one in totals), 'job')}{also}?"


def log_files(folder: str, chosen: Sequence[WorkflowId]) -> list[str]:
    """The files of these workflows' jobs below an output directory, sorted."""
    marks = tuple(f"{kind}_wf{number}_" for number in chosen for kind in ("job", "action"))
    found = []
    for name in FOLDERS:
        try:
            with os.scandir(os.path.join(folder, name)) as entries:
                found += [
                    entry.path for entry in entries if entry.name.startswith(marks) and plain_file(entry)
                ]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot read '{folder}': {(error.strerror or 'error').lower()}") from error
    return sorted(found)


def plain_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file and no link to one."""
    return entry.is_file(follow_symlinks=False)


def remove(path: str) -> bool:
    """Remove a file; whether it was still there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Conflict(
            f"the workflow is deleted, but '{path}' cannot be removed: {(error.strerror or 'error').lower()}"
        ) from error
    return True
