"""`torc remote collect-logs`: what workers and jobs wrote, from every machine into one folder (`remote.md` §7.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.engine.addresses import parse
from torc_core.errors import Conflict, UsageError
from torc_core.given import Given
from torc_core.model import Job, JobStatus, Json, Query, Value, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_ssh.commands.archives import Arriving, BadArchive, Entry, proven, unpacked
from torc_ssh.commands.hosts import Fleet, Host, Reach, output_dir, selected, status_of, stored
from torc_ssh.commands.lines import size_text
from torc_ssh.fleet import Outcome
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.selector import workflow as chosen_workflow
from torc_terminal.standing import amount

SINCE = ".torc-collected.json"
"""In the local folder: what was collected before, by host, for `--since-last`."""

CLEARING, SLOWEST = 60.0, 20.0
"""Seconds for an answer, and files that are deleted in a second on the slowest of file systems."""


@record(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of one machine."""

    status: str
    message: str
    path: str | None = None
    files: int = 0
    bytes: int = 0
    deleted: int | None = None
    stayed: Sequence[str] = ()
    ok: bool = True
    refused: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """How it is collected."""

    folder: Path
    remote_dir: str | None
    delete: bool
    finished: bool
    extract: bool
    since_last: bool


def collect_logs(
    workflow: str | None = None,
    /,
    *,
    local_output_dir: Annotated[str, Parameter(name=["--local-output-dir", "-l"])] = "remote_logs",
    remote_output_dir: str | None = None,
    delete: Flag = False,
    delete_finished: Flag = False,
    extract: Flag = False,
    since_last: Flag = False,
    include: Texts = (),
    exclude: Texts = (),
    only_workflow: Flag = False,
    all_: Annotated[Flag, Parameter(name="--all")] = False,
    reach: Reach | None = None,
    session: Given,
) -> Report:
    """Fetch the logs of the machines: output of jobs, logs of workers, measurements, results not yet delivered.

    torc remote collect-logs 42 -l ./logs

    torc remote collect-logs 42 --delete

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    local_output_dir
        Where the archives go.
    remote_output_dir
        Output directory on the machines; normally that of the last start, else torc_output.
    delete
        Delete there what has arrived here, when its worker has ended.
    delete_finished
        Of jobs that have ended only, also while the worker runs: fetch and delete their output.
    extract
        Also unpack each archive, into a folder by the name of the machine.
    since_last
        Leave out files that came with an earlier collection into the same folder and are unchanged.
    include
        Only files whose name or path has this pattern; may be repeated.
    exclude
        No files whose name or path has this pattern; may be repeated.
    only_workflow
        Files of this workflow only: as it is without --all.
    all_
        Everything in the output directory, other workflows too.
    """
    refuse_csv(session)
    reach = reach or Reach()
    parallel = reach.parallel(session)
    if only_workflow and all_:
        raise UsageError("--only-workflow and --all exclude each other")
    number = chosen_workflow(session, workflow)
    workers = selected(stored(session, number), reach.hosts)
    folder = Path(local_output_dir).expanduser()
    about: dict[str, Json] = {
        "store_id": session.store().server_id, "workflow": number, "all": all_, "include": list(include),
        "exclude": list(exclude), "finished": delete_finished,
    }  # fmt: skip
    if delete_finished:
        about["running"] = [str(job) for job in _unfinished(session, number)]
    session.close()
    if not workers:
        return _report(number, [], [], f"No remote workers stored for workflow {number}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to '{folder}': {(error.strerror or 'error').lower()}") from error
    wish = Wish(
        folder=folder,
        remote_dir=remote_output_dir,
        delete=delete or delete_finished,
        finished=delete_finished,
        extract=extract,
        since_last=since_last,
    )
    session.note(f"Collecting logs from {len(workers)} worker(s)...")
    with Fleet(session, workers, parallel=parallel) as fleet:
        outcomes = fleet.over(lambda host: _collect(session, host, number, about, wish), "collecting")
    results = [
        one.result if one.ok else Collected(status=status_of(one.error), message=str(one.error), ok=False)
        for one in outcomes
    ]
    return _report(number, outcomes, results, None)


def _collect(
    session: Session, host: Host, number: WorkflowId, about: Mapping[str, Json], wish: Wish
) -> Collected:
    """Fetch the logs of a machine, prove them, and only then delete anything there."""
    remote = output_dir(session, host.worker, wish.remote_dir)
    request = {**about, "output_dir": remote}
    name = local_name(host.name)
    path = wish.folder / f"torc_logs_{number}_{name}.tar.gz"
    since = _since(wish.folder, name, number)
    if wish.since_last:
        request["since"] = since
    with ExitStack() as stack:
        with host.agent().stream("logs", request) as (head, pieces):
            if wish.delete and not wish.finished and head.get("running") is True:
                text = "its worker runs; stop it first, or use --delete-finished"
                return Collected(status="running", message=text, ok=False, refused=True)
            if head.get("status") == "none":
                return Collected(status="none", message="No logs found")
            arriving = stack.enter_context(Arriving(path))
            size = arriving.write(pieces)
        try:
            entries = proven(arriving.part)
        except BadArchive as error:
            raise BadArchive(f"the archive was not accepted, and nothing was deleted: {error}") from error
        arriving.arrive()
    if wish.extract:
        unpacked(path, wish.folder / name, entries)
    _remember(wish.folder, name, number, since, entries)
    message = f"Saved to {path} ({amount(len(entries), 'file')}, {size_text(size)})"
    found = Collected(status="saved", message=message, path=str(path), files=len(entries), bytes=size)
    return _cleared(host, request, entries, found) if wish.delete else found


def _cleared(
    host: Host, request: Mapping[str, Json], entries: Sequence[Entry], found: Collected
) -> Collected:
    """Delete what has arrived."""
    from dataclasses import replace

    files: dict[str, Json] = {one.path: list(one.source) for one in entries if not one.torn}
    told = host.ask("clear", {**request, "files": files}, CLEARING + len(files) / SLOWEST)
    if told.get("status") != "cleared":
        return replace(
            found, message=f"{found.message}; nothing was deleted, a worker has begun meanwhile", ok=False
        )
    listed = told.get("stayed")
    stayed = [str(one) for one in listed] if isinstance(listed, list) else []
    stayed += [one.path for one in entries if one.torn]
    removed = told.get("removed")
    removed = removed if isinstance(removed, int) else 0
    message = f"{found.message} and deleted {removed} remote file(s)"
    if stayed:
        message += f"; {len(stayed)} changed meanwhile and stay: {', '.join(stayed[:5])}"
    return replace(found, message=message, deleted=removed, stayed=stayed)


def local_name(worker: str) -> str:
    """The host of a worker as part of a file name: what is no letter, digit, - or _ becomes _."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", parse(worker).host)


def _unfinished(session: Session, number: WorkflowId) -> Sequence[int]:
    """Jobs whose output may still be written to."""
    live = (int(JobStatus.RUNNING), int(JobStatus.PENDING))
    where: dict[str, Value | Sequence[Value]] = {"status": live}
    return [
        job.id for job in session.store().find(Job, Query(workflow=number, where=where, limit=2**31)).items
    ]


def _since(folder: Path, name: str, number: WorkflowId) -> dict[str, Json]:
    """What was collected before from a machine: size and time of change by path."""
    try:
        told = json.loads((folder / SINCE).with_name(f"{SINCE}.{number}.{name}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember(
    folder: Path, name: str, number: WorkflowId, since: Mapping[str, Json], entries: Sequence[Entry]
) -> None:
    path = folder / f"{SINCE}.{number}.{name}"
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(
            json.dumps({**since, **{one.path: list(one.source) for one in entries}}), encoding="utf-8"
        )
        part.replace(path)
    except OSError as error:
        raise Conflict(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error


def _report(
    number: WorkflowId,
    outcomes: Sequence[Outcome[Host, Collected]],
    results: Sequence[Collected],
    text: str | None,
) -> Report:
    good = sum(1 for one in results if one.ok)
    lines = [
        f"[{'OK' if one.ok else 'FAILED'}] {outcome.host.name}: {plain(one.message)}"
        for outcome, one in zip(outcomes, results, strict=True)
    ]
    if results:
        lines.append(f"Collected {good}/{len(results)}")
    failed = [one for one in results if not one.ok]
    code = 0 if not failed else 3 if all(one.refused for one in failed) else 1
    data: dict[str, Json] = {
        "workflow_id": number,
        "results": [
            {
                "worker": outcome.host.name, "status": one.status, "path": one.path, "files": one.files,
                "bytes": one.bytes, "deleted": one.deleted, "stayed": list(one.stayed), "message": one.message,
            }
            for outcome, one in zip(outcomes, results, strict=True)
        ],
        "collected": good,
        "failed": len(failed),
    }  # fmt: skip
    return Report(
        schema="torc.remote.collect-logs/1", data=data, text=text or "\n".join(lines), exit_code=code
    )
