"""`torc remote stop`: end the workers of a workflow, and with them their jobs (`remote.md` §6.2)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from torc_core.errors import Conflict, NotFound, TorcError, UsageError
from torc_core.given import Given
from torc_core.model import JobStatus, Json, NodeId, Query, Result, Value, WorkflowId
from torc_core.record import record
from torc_core.runner.options import Execution
from torc_core.session import Session
from torc_ssh.commands.hosts import Fleet, Host, OutputDir, Reach, output_dir, selected, status_of, stored
from torc_ssh.fleet import Outcome
from torc_ssh.tunnel.control import asked
from torc_ssh.tunnel.places import files
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.selector import workflow as chosen_workflow
from torc_terminal.standing import amount

AFTER_GRACE = 30.0
"""Seconds more than jobs have to end, for a worker to leave."""

MARGIN = 30.0
"""Seconds more for the answer."""


@record(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What became of a worker."""

    status: str
    message: str
    pid: Json = None
    terminated: int | None = None
    ok: bool = True


def stop(
    workflow: str | None = None,
    /,
    *,
    force: Flag = False,
    output_dir: OutputDir = None,
    timeout: float | None = None,
    reach: Reach | None = None,
    session: Given,
) -> Report:
    """End workers: they take no more jobs, end those that run, report them and leave. The workflow is not canceled.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    force
        Kill workers and everything that they started, at once.
    output_dir
        Output directory on the machines; normally that of the last start.
    timeout
        Seconds that workers have to leave; normally 30 more than their jobs have to end.
    """
    refuse_csv(session)
    reach = reach or Reach()
    parallel = reach.parallel(session)
    if timeout is not None and not 0 < timeout <= 86_400:
        raise UsageError(f"--timeout '{timeout:g}' is out of range; give seconds above 0")
    number = chosen_workflow(session, workflow)
    workers = selected(stored(session, number), reach.hosts)
    store = session.store()
    (totals,) = store.totals([number])
    lead = Execution.of(totals.workflow.execution_config).lead
    patience = timeout if timeout is not None else lead + AFTER_GRACE
    about: dict[str, Json] = {
        "store_id": store.server_id, "workflow": number, "force": force, "timeout": patience,
    }  # fmt: skip
    session.close()
    stopping = Stopping(session, number, about, output_dir, patience, force=force)
    with Fleet(session, workers, parallel=parallel) as fleet:
        outcomes = fleet.over(stopping.one, "stopping")
    _hang_up(session, str(about["store_id"]), number, outcomes, all_of_them=reach.hosts is None)
    results = [
        one.result if one.ok else Stopped(status=status_of(one.error), message=_words(one.error), ok=False)
        for one in outcomes
    ]
    lines = [
        f"[{'OK' if one.ok else 'FAILED'}] {outcome.host.name}: {plain(one.message)}"
        for outcome, one in zip(outcomes, results, strict=True)
    ]
    failed = sum(1 for one in results if not one.ok)
    if not workers:
        lines = [f"No remote workers stored for workflow {number}"]
    data: dict[str, Json] = {
        "workflow_id": number,
        "results": [
            {
                "worker": outcome.host.name, "status": one.status, "pid": one.pid, "jobs_terminated": one.terminated,
                "message": one.message,
            }
            for outcome, one in zip(outcomes, results, strict=True)
        ],
        "failed": failed,
    }  # fmt: skip
    return Report(
        schema="torc.remote.stop/1",
        data=data,
        text="\n".join(lines),
        hint=f"workflow {number} is not canceled; if that was meant: torc cancel {number}",
        exit_code=1 if failed else 0,
    )


def _words(error: TorcError | None) -> str:
    text = str(error)
    return f"unreachable: {text}" if status_of(error) == "unreachable" else text


class Stopping:
    """Ends one worker after the other; from several threads."""

    def __init__(
        self,
        session: Session,
        number: WorkflowId,
        about: Mapping[str, Json],
        given: str | None,
        patience: float,
        *,
        force: bool,
    ) -> None:
        self._session = session
        self._number = number
        self._about = about
        self._given = given
        self._patience = patience
        self._force = force
        self._lock = threading.Lock()

    def one(self, host: Host) -> Stopped:
        """End the worker on a machine."""
        folder = output_dir(self._session, host.worker, self._given)
        told = host.ask("stop", {**self._about, "output_dir": folder}, self._patience + MARGIN)
        status, pid, node = str(told.get("status")), told.get("pid"), told.get("compute_node_id")
        if status in ("stopped", "stale") and self._force and isinstance(node, int):
            self._bury(NodeId(node))
        match status:
            case "stopped":
                jobs = self._terminated(node) if isinstance(node, int) else None
                about = [f"PID {pid}"] if pid is not None else []
                about += [f"{amount(jobs, 'job')} terminated"] if jobs is not None else []
                text = f"Stopped ({', '.join(about)})" if about else "Stopped before it had begun"
                return Stopped(status="stopped", message=text, pid=pid, terminated=jobs)
            case "starting":
                return Stopped(
                    status="starting",
                    message="a worker is just being started; try again, or use --force",
                    ok=False,
                )
            case "not running":
                return Stopped(status="not_running", message="Not running", pid=None)
            case "stale":
                killed = told.get("killed")
                more = (
                    f"; {amount(killed, 'process', 'processes')} that it left were killed" if killed else ""
                )
                return Stopped(
                    status="stale", message=f"Not running (stale: its process is gone{more})", pid=pid
                )
            case "still_stopping":
                return Stopped(
                    status="still_stopping", message="still stopping; use --force", pid=pid, ok=False
                )
        return Stopped(status="failed", message=f"the answer '{status}' is not understood", ok=False)

    def _bury(self, node: NodeId) -> None:
        """Tell the store that a runner is dead, as its host has confirmed (`wire.md` X9)."""
        with self._lock:
            try:
                self._session.store().bury(node, "stopped", "stopped by force")
            except (Conflict, NotFound):
                return  # it has left by itself meanwhile

    def _terminated(self, node: int) -> int | None:
        """How many jobs of a runner were ended with it."""
        statuses = (int(JobStatus.TERMINATED), *([int(JobStatus.FAILED)] if self._force else []))
        where: dict[str, Value | Sequence[Value]] = {
            "node_id": node, "status": statuses, "reason": ("interrupted", "node_lost", "runner_died"),
        }  # fmt: skip
        try:
            with self._lock:
                query = Query(workflow=self._number, where=where, limit=0)
                return self._session.store().find(Result, query).total
        except TorcError:
            return None


def _hang_up(
    session: Session,
    store_id: str,
    number: WorkflowId,
    outcomes: Sequence[Outcome[Host, Stopped]],
    *,
    all_of_them: bool,
) -> None:
    """End the tunnels of workers that have ended."""
    place = files(session.config.environ, store_id, number)
    ended = [one.host.name for one in outcomes if one.ok and one.result.ok]
    if not place.socket.exists():
        return
    if all_of_them and len(ended) == len(outcomes):
        asked(place, {"end": True})
        return
    for name in ended:
        asked(place, {"drop": name})
