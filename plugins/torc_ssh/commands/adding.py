"""`torc remote add-workers`, `add-workers-from-file` and `remove-worker`: which machines a workflow has."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.engine.addresses import parse
from torc_core.errors import BadValue, Conflict, UsageError
from torc_core.given import Given
from torc_core.model import Json, Node, NodeState, RemoteWorker, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_ssh.addresses import Worker, given_workers, read_workers
from torc_ssh.commands.hosts import Fleet, Reach, matching, stored
from torc_ssh.commands.standing import nodes_by_worker
from torc_ssh.fleet import Outcome as HostOutcome
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Outcome, refuse_csv
from torc_terminal.selector import LAST, workflow

CHECK_SECONDS = 10.0
"""To connect, when workers are added (RW61)."""


@record(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of workers that were to be added."""

    added: Sequence[RemoteWorker] = ()
    existing: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def add_workers(
    *words: str,
    skip_ssh_check: Flag = False,
    max_parallel_ssh: int | None = None,
    replace: Flag = False,
    labels: Texts = (),
    session: Given,
) -> Outcome:
    """Add machines to a workflow, when they can be reached.

    torc remote add-workers 42 worker1.example.com alice@worker2.example.com admin@192.168.1.10:2222

    Parameters
    ----------
    words
        Id of the workflow or `last`, then machines as [user@]host[:port]; IPv6 in brackets.
    skip_ssh_check
        Add them without connecting to them.
    max_parallel_ssh
        At most so many machines at once; normally 10.
    replace
        Let a machine take the place of one on the same host.
    labels
        HOST=LABEL: the worker there takes only jobs with this label; may be repeated.
    """
    refuse_csv(session)
    first = words[0] if words and (words[0].isdigit() or words[0] == LAST) else None
    rest = words[1:] if first is not None else words
    if not rest:
        raise UsageError("name the machines to add: torc remote add-workers 42 alice@worker1.example.com")
    number = workflow(session, first)
    found = given_workers(rest, _labels(labels))
    return _added(
        session,
        number,
        found.workers,
        found.notes,
        Reach(max_parallel_ssh=max_parallel_ssh),
        skip=skip_ssh_check,
        replacing=replace,
    )


def add_workers_from_file(
    file: str,
    workflow_id: str | None = None,
    /,
    *,
    skip_ssh_check: Flag = False,
    max_parallel_ssh: int | None = None,
    replace: Flag = False,
    labels: Texts = (),
    session: Given,
) -> Outcome:
    """Add the machines that a file lists, when they can be reached.

    torc remote add-workers-from-file workers.txt 42

    Parameters
    ----------
    file
        One [user@]host[:port] per line, `label=…` after it; `#` begins a comment. - is standard input.
    workflow_id
        Id of the workflow, or `last`.
    skip_ssh_check
        Add them without connecting to them.
    max_parallel_ssh
        At most so many machines at once; normally 10.
    replace
        Let a machine take the place of one on the same host.
    labels
        HOST=LABEL: the worker there takes only jobs with this label; may be repeated.
    """
    refuse_csv(session)
    workers, notes = from_file(file, _labels(labels))
    number = workflow(session, workflow_id)
    reach = Reach(max_parallel_ssh=max_parallel_ssh)
    return _added(session, number, workers, notes, reach, skip=skip_ssh_check, replacing=replace)


def remove_worker(
    worker: str, workflow_id: str | None = None, /, *, force: Flag = False, session: Given
) -> Outcome:
    """Remove a machine from a workflow.

    Parameters
    ----------
    worker
        As it is listed, or its host alone.
    workflow_id
        Id of the workflow, or `last`.
    force
        Although its worker runs: it goes on, and is only forgotten here.
    """
    refuse_csv(session)
    number = workflow(session, workflow_id)
    one = matching(stored(session, number), worker)
    node = nodes_by_worker(session, number).get(one.worker)
    if not force and runs(node):
        raise Conflict(
            f"the worker on {one.worker} runs; end it first: torc remote stop {number} --hosts {one.worker}, or forget "
            "it with --force"
        )
    session.store().remove(RemoteWorker, [one.id])
    return Outcome(
        message=f"Removed worker {one.worker} from workflow {number}",
        workflow_id=number,
        extra={"worker": one.worker},
    )


def runs(node: Node | None) -> bool:
    """Whether a worker has neither left nor been lost."""
    return node is not None and node.state in (NodeState.ACTIVE, NodeState.UNREACHABLE)


def from_file(file: str, labels: Mapping[str, str] | None = None) -> tuple[Sequence[Worker], Sequence[str]]:
    """The workers of a file, and notes about it.

    Raises
    ------
    UsageError
        If it cannot be read or lists none.
    """
    try:
        if file == "-":
            text = sys.stdin.buffer.read().decode("utf-8")
        else:
            with open(file, encoding="utf-8") as opened:
                text = opened.read()
    except FileNotFoundError as error:
        raise UsageError(f"no such file: '{file}'") from error
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "error").lower() if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read '{file}': {why}") from error
    name = "standard input" if file == "-" else file
    found = read_workers(text, name, labels)
    if not found.workers:
        raise UsageError(f"No workers found in {name}")
    return found.workers, found.notes


def added(
    session: Session,
    number: WorkflowId,
    workers: Sequence[Worker],
    reach: Reach,
    *,
    skip: bool,
    replacing: bool = False,
) -> Added:
    """Add those that are new and can be reached.

    Raises
    ------
    BadValue
        If a host is there already with another user or port, and is not to be replaced.
    """
    parallel = reach.parallel(session)
    known = {parse(one.worker).host: one for one in stored(session, number)}
    new, existing, swapped = list[RemoteWorker](), list[str](), list[RemoteWorker]()
    problems: list[str] = []
    for worker in workers:
        old = known.get(worker.address.host)
        wanted = RemoteWorker(workflow_id=number, worker=worker.address.text, label=worker.label)
        if old is not None and old.worker == wanted.worker:
            existing.append(old.worker)
            if worker.label is not None and worker.label != old.label:
                session.store().change(RemoteWorker, old.id, {"label": worker.label})
            continue
        if old is not None and not replacing:
            problems.append(
                f"worker '{wanted.worker}' is on the same host as '{old.worker}', which is stored; swap them with --replace"
            )
            continue
        if old is not None:
            swapped.append(old)
        new.append(wanted)
    if problems:
        raise BadValue("\n".join(problems), details={"problems": problems})
    session.close()  # nobody waits for the store while machines are asked
    checked = [] if skip or not new else reachable(session, new, parallel)
    failed = {one.host: str(one.error) for one in checked if one.error}
    good = [one for one in new if one.worker not in failed]
    store = session.store()
    hosts = {parse(one.worker).host for one in good}
    store.remove(RemoteWorker, [one.id for one in swapped if parse(one.worker).host in hosts])
    made = store.add(good) if good else ()
    return Added(added=made, existing=existing, failed=failed)


def reachable(
    session: Session, workers: Sequence[RemoteWorker], parallel: int
) -> list[HostOutcome[str, None]]:
    """Whether each can be logged in to."""
    session.note(f"Checking SSH connectivity to {len(workers)} worker(s)...")
    with Fleet(session, workers, parallel=parallel, timeout=CHECK_SECONDS) as fleet:
        outcomes = fleet.over(lambda host: host.connect() and None, "checking")
    return [HostOutcome(one.host.name, None, one.error) for one in outcomes]


def _added(
    session: Session,
    number: WorkflowId,
    workers: Sequence[Worker],
    notes: Sequence[str],
    reach: Reach,
    *,
    skip: bool,
    replacing: bool,
) -> Outcome:
    for note in notes:
        session.note(f"note: {note}")
    done = added(session, number, workers, reach, skip=skip, replacing=replacing)
    extra: dict[str, Json] = {
        "added": [one.worker for one in done.added],
        "existing": list(done.existing),
        "failed": [{"worker": name, "message": text} for name, text in done.failed.items()],
    }
    if done.failed:
        for line in connectivity(done.failed):
            print(line, file=sys.stderr)
        session.note(to_try(next(iter(done.failed))))
    if not done.added and not done.failed:
        message = f"All workers already exist for workflow {number}"
    elif not done.added:
        message = f"No worker was added to workflow {number}"
    else:
        names = "".join(f"\n  {one.worker}" for one in done.added)
        message = f"Added {len(done.added)} worker(s) to workflow {number}:{names}"
        if done.existing:
            message += f"\n{len(done.existing)} were there already"
    return Outcome(
        message=message,
        workflow_id=number,
        extra=extra,
        status="partial_success" if done.failed else "success",
        exit_code=1 if done.failed else 0,
    )


def to_try(worker: str) -> str:
    """What to try where a worker cannot be connected to: ssh takes the port by itself, and no brackets."""
    place = parse(worker)
    port = f"-p {place.port} " if place.port else ""
    user = f"{place.user}@" if place.user else ""
    return f"try: ssh {port}{user}{place.host} true"


def connectivity(failed: Mapping[str, str]) -> Sequence[str]:
    """The lines about machines that cannot be reached (`remote.md` §12)."""
    lines = [f"Error: SSH connectivity check failed for {len(failed)} worker(s):"]
    return lines + [f"  {name}: {text}" for name, text in failed.items()]


def _labels(texts: Sequence[str]) -> Mapping[str, str]:
    labels = {}
    for text in (part for one in texts for part in one.split(",")):
        host, equals, label = text.partition("=")
        if not equals or not host or not label:
            raise UsageError(f"--labels '{text}' is not HOST=LABEL")
        labels[host] = label
    return labels
