"""`torc remote delete-logs`: remove the output directories of the machines (`remote.md` §7.2)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from torc_core.given import Given
from torc_core.model import Json, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_ssh.commands.hosts import Fleet, Host, Reach, output_dir, selected, status_of, stored
from torc_ssh.commands.lines import size_text
from torc_ssh.fleet import Outcome
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.selector import confirm
from torc_terminal.selector import workflow as chosen_workflow
from torc_terminal.standing import amount

REFUSED = ("running", "refused")
DELETING = 600.0
"""Seconds for a directory, however many files are in it; a connection that is lost is noticed long before."""


@record(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What came of one machine."""

    status: str
    message: str
    path: str | None = None
    files: int = 0
    bytes: int = 0
    ok: bool = True


def delete_logs(
    workflow: str | None = None,
    /,
    *,
    remote_output_dir: str | None = None,
    yes: Yes = False,
    dry_run: Flag = False,
    reach: Reach | None = None,
    session: Given,
) -> Report:
    """Remove the output directory from every machine without fetching it; 'collect-logs --delete' fetches it first.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    remote_output_dir
        Output directory on the machines; normally that of the last start, else torc_output.
    yes
        Do not ask.
    dry_run
        Say what would be removed.
    """
    refuse_csv(session)
    reach = reach or Reach()
    parallel = reach.parallel(session)
    number = chosen_workflow(session, workflow)
    workers = selected(stored(session, number), reach.hosts)
    about: dict[str, Json] = {"store_id": session.store().server_id, "workflow": number}
    session.close()
    if not workers:
        return _report(number, [], [], f"No remote workers stored for workflow {number}")
    if not (yes or dry_run or session.interactive):
        confirm(session, f"Delete the output directories of {amount(len(workers), 'worker')}?", yes)
    deleting = Deleting(session, about, remote_output_dir)
    with Fleet(session, workers, parallel=parallel) as fleet:
        if dry_run or not yes:
            seen = fleet.over(lambda host: deleting.one(host, dry=True), "looking at")
            if dry_run:
                return _report(number, seen, _results(seen), None)
            for outcome, one in zip(seen, _results(seen), strict=True):
                session.note(f"{outcome.host.name}: {plain(one.message)}")
            confirm(session, f"Delete the output directories of {amount(len(workers), 'worker')}?", yes)
        session.note(f"Deleting logs from {len(workers)} worker(s)...")
        outcomes = fleet.over(lambda host: deleting.one(host, dry=False), "deleting")
    return _report(number, outcomes, _results(outcomes), None)


class Deleting:
    """Removes directories; from several threads."""

    def __init__(self, session: Session, about: Mapping[str, Json], given: str | None) -> None:
        self._session = session
        self._about = about
        self._given = given
        self._lock = threading.Lock()

    def one(self, host: Host, *, dry: bool) -> Deleted:
        """Remove the directory of a machine, or say what would go."""
        folder = output_dir(self._session, host.worker, self._given)
        told = host.ask("delete", {**self._about, "output_dir": folder, "dry_run": dry}, DELETING)
        status, path = str(told.get("status")), str(told.get("path") or folder)
        files, size = told.get("files"), told.get("bytes")
        number = files if isinstance(files, int) else 0
        total = size if isinstance(size, int) else 0
        match status:
            case "deleted":
                text = f"Deleted {folder}"
            case "would_delete":
                text = f"would delete {path} ({amount(number, 'file')}, {size_text(total)})"
            case "missing":
                text = "Directory does not exist"
            case "running":
                text = f"a worker runs there; stop it first: torc remote stop {self._about['workflow']}"
            case _:
                text = str(told.get("message") or f"the answer '{status}' is not understood")
        return Deleted(
            status=status, message=text, path=path, files=number, bytes=total, ok=status not in REFUSED
        )


def _results(outcomes: Sequence[Outcome[Host, Deleted]]) -> Sequence[Deleted]:
    return [
        one.result if one.ok else Deleted(status=status_of(one.error), message=str(one.error), ok=False)
        for one in outcomes
    ]


def _report(
    number: WorkflowId,
    outcomes: Sequence[Outcome[Host, Deleted]],
    results: Sequence[Deleted],
    text: str | None,
) -> Report:
    lines = [
        f"[{'OK' if one.ok else 'FAILED'}] {outcome.host.name}: {plain(one.message)}"
        for outcome, one in zip(outcomes, results, strict=True)
    ]
    failed = [one for one in results if not one.ok]
    refused = bool(failed) and all(one.status in REFUSED for one in failed)
    data: dict[str, Json] = {
        "workflow_id": number,
        "results": [
            {
                "worker": outcome.host.name, "status": one.status, "path": one.path, "files": one.files,
                "bytes": one.bytes, "message": one.message,
            }
            for outcome, one in zip(outcomes, results, strict=True)
        ],
        "failed": len(failed),
    }  # fmt: skip
    return Report(
        schema="torc.remote.delete-logs/1",
        data=data,
        text=text or "\n".join(lines),
        exit_code=0 if not failed else 3 if refused else 1,
    )
