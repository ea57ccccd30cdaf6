"""How workers are started on many machines: looked at first, then all or none, and the truth about each (`remote.md` §4)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torc_core import __version__
from torc_core.engine.resets import check_open
from torc_core.errors import Conflict, TorcError, UsageError
from torc_core.model import Json, RemoteWorker, RemoteWorkerId, Totals, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_ssh.commands.adding import added, connectivity, from_file, to_try
from torc_ssh.commands.addressing import Address, Way, address, through
from torc_ssh.commands.calling import SAME, HostTrouble
from torc_ssh.commands.hosts import Fleet, Host, output_dir, selected, stored, trouble
from torc_ssh.commands.lines import died_text, process_text
from torc_ssh.commands.running import Wish
from torc_ssh.fleet import Outcome
from torc_ssh.trouble import Lost, Overdue, Unreachable
from torc_ssh.tunnel.control import Tunnels
from torc_terminal.distance import distant
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import plain
from torc_terminal.preparing import initialize
from torc_terminal.selector import workflow as chosen_workflow
from torc_terminal.serving import served

REGISTER = 30.0
"""Seconds within which a worker registers with the server (RW15)."""

MARGIN = 30.0
"""Seconds more for the answer."""

TRIES = 4
"""How often a host is asked again whose connection broke while a worker was started (RW16)."""

PAUSE = 1.0
"""Seconds before it is asked for the second time; each further pause is so much longer."""

UNKNOWN = "whether a worker runs there is not known, ask with 'torc remote status'"

NONE = "No workers configured for workflow {}. Use 'torc remote add-workers' or '--workers' flag."


@record(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a look at a machine has told: how it reaches the server."""

    way: Way
    warning: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Began:
    """What became of a worker; `status` is started, already_running, failed, unreachable or refused."""

    status: str
    message: str
    pid: int | None = None
    node: int | None = None
    hostname: str | None = None
    log: str | None = None
    tunnel: bool = False
    registered: bool = True
    hint: str | None = None


def launch(session: Session, selector: str | None, wish: Wish) -> Report:
    """Start the workers of a workflow.

    Raises
    ------
    UsageError
        If there are no workers, or they cannot know where the server is.
    Conflict
        If the workflow cannot be run.
    """
    told = wish.worker.told()
    number = chosen_workflow(session, selector)
    (totals,) = session.store().totals([number])
    refuse(totals)
    if totals.complete:
        return nothing(number)
    parallel = wish.reach.parallel(session)
    would = _add(session, number, wish) if wish.workers is not None else ()
    workers = selected([*stored(session, number), *would], wish.reach.hosts, wish.exclude)
    if not workers:
        raise UsageError(NONE.format(number))
    here = session.config.store_url if wish.dry_run else served(session, far=False).url
    url = address(here, wish.worker_url, wish.reverse_tunnel)
    session.close()  # nobody waits for the store while machines are asked
    with Fleet(session, workers, parallel=parallel, timeout=wish.connect_timeout) as fleet:
        starting = Launch(session, number, fleet, wish, url, told)
        try:
            return starting.report()
        except KeyboardInterrupt:
            if starting.begun:
                session.note(f"interrupted; workers may have begun all the same: torc remote status {number}")
            raise


def refuse(totals: Totals) -> None:
    """Object to a workflow that cannot be run."""
    one = totals.workflow
    check_open(one.id, one.is_archived, "run")
    if one.is_canceled:
        raise Conflict(
            f"workflow {one.id} is canceled; to run it again: torc workflows reset-status {one.id} --reinitialize"
        )


def nothing(number: WorkflowId) -> Report:
    """The answer about a workflow that is complete."""
    data: dict[str, Json] = {
        "workflow_id": number, "server_url": None, "results": [], "started": 0, "already_running": 0, "failed": 0,
    }  # fmt: skip
    return Report(
        schema="torc.remote.run/1", data=data, text=f"Workflow {number} is complete; nothing to run"
    )


def _add(session: Session, number: WorkflowId, wish: Wish) -> Sequence[RemoteWorker]:
    """Add the workers of a file; those that a dry run would add."""
    workers, notes = from_file(wish.workers or "-")
    for note in notes:
        session.note(f"note: {note}")
    if wish.dry_run:
        known = {one.worker for one in stored(session, number)}
        new = [one for one in workers if one.address.text not in known]
        return [
            RemoteWorker(
                id=RemoteWorkerId(-place), workflow_id=number, worker=one.address.text, label=one.label
            )
            for place, one in enumerate(new, start=1)
        ]
    session.note(f"Adding {len(workers)} worker(s) to database...")
    added(session, number, workers, wish.reach, skip=True)
    return ()


class Launch:
    """One run of the command, with all that its steps share."""

    def __init__(
        self,
        session: Session,
        number: WorkflowId,
        fleet: Fleet,
        wish: Wish,
        url: Address,
        told: Mapping[str, Json],
    ) -> None:
        self._session = session
        self._number = number
        self._fleet = fleet
        self._wish = wish
        self._url = url
        self._told = told
        self._lock = threading.Lock()
        self._ready: Mapping[str, Json] | None = None
        self._tunnels = Tunnels(session, number, url.here)

    @property
    def begun(self) -> bool:
        """Whether a machine may have been asked for a worker."""
        return self._ready is not None

    def report(self) -> Report:
        """Start the workers, and tell what became of each."""
        if self._wish.best_effort:
            self._session.note("Starting workers...")
            return self._told_of(
                self._fleet.over(lambda host: self._begin(host, self._fit(host)), "starting")
            )
        hosts = self._fleet.hosts
        self._session.note(f"Checking SSH connectivity to {len(hosts)} worker(s)...")
        connected = self._fleet.over(lambda host: host.connect() and None, "checking")
        if failed := [one for one in connected if one.error]:
            reasons = {one.host.name: trouble(one.error) for one in failed}
            return self._none_started(connectivity(reasons), to_try(failed[0].host.name), connected)
        self._session.note(f"Checking torc version on {len(hosts)} worker(s)...")
        fits = self._fleet.over(self._fit, "checking")
        if failed_fits := [one for one in fits if one.error]:
            for one in failed_fits:
                if isinstance(one.error, UsageError):
                    raise one.error
            hints = {error.hint for one in failed_fits if (error := one.error) is not None and error.hint}
            return self._none_started(_version_lines(failed_fits), "\n".join(sorted(hints)) or None, fits)
        if self._wish.dry_run:
            return self._would(fits)
        self._prepared()
        self._session.note("Starting workers...")
        ways = {one.host.worker.id: one.result for one in fits}
        return self._told_of(
            self._fleet.over(lambda host: self._begin(host, ways[host.worker.id]), "starting")
        )

    def _fit(self, host: Host) -> Fit:
        """Look at a machine."""
        wanted: dict[str, Json] = {"url": self._url.url, "short": True, "output_dir": self._output_dir(host)}
        told = host.ask("check", wanted)
        if told.get("version") != __version__ and not self._wish.skip_version_check:
            raise HostTrouble(
                f"Version mismatch: local={__version__}, {host.name}={told.get('version')}",
                "version",
                SAME,
            )
        warning = told.get("warning")
        return Fit(
            way=self._url.way(host.name, told.get("boot_id"), told.get("reach")),
            warning=warning if isinstance(warning, str) else None,
        )

    def _prepared(self) -> Mapping[str, Json]:
        """Make the workflow ready to run, once; what every worker is told."""
        with self._lock:
            if self._ready is None:
                store = self._session.store()
                (totals,) = store.totals([self._number])
                initialize(self._session, store, totals)
                far = distant(store)
                key = far.runner_key(self._number) if far is not None else None
                about: dict[str, Json] = {
                    "store_id": store.server_id, "workflow": self._number, "key": key, "wait": REGISTER,
                }  # fmt: skip
                self._ready = about
            return self._ready

    def _begin(self, host: Host, fit: Fit) -> Began:
        """Start a worker on a machine, and remember how."""
        ready = self._prepared()
        url, tunnel = self._url.url, fit.way is Way.TUNNEL
        if tunnel:
            url = through(self._url.here, self._tunnels.port(host.worker.worker))
        request: dict[str, Json] = {
            **ready, "url": url, "worker": host.name, "output_dir": self._output_dir(host), "idle_exit": 0,
            "start_id": uuid.uuid4().hex, **self._told,
        }  # fmt: skip
        if host.worker.label is not None:
            request["label"] = host.worker.label
        if not self._wish.skip_version_check:
            request["version"] = __version__
        began = self._understood(host, asked_until_known(host, request), tunnel=tunnel)
        if began.status in ("started", "already_running"):
            self._remember(host.worker, url, tunnel=tunnel)
            if fit.warning:
                self._session.note(f"warning: {host.name}: {fit.warning}")
        return began

    def _understood(self, host: Host, told: Mapping[str, Json], *, tunnel: bool) -> Began:
        status, pid, node = told.get("status"), told.get("pid"), told.get("compute_node_id")
        common: dict[str, object] = {
            "pid": pid if isinstance(pid, int) else None, "node": node if isinstance(node, int) else None,
            "hostname": told.get("host"), "log": told.get("log"), "tunnel": tunnel,
        }  # fmt: skip
        make: Callable[..., Began] = lambda **more: Began(**common, **more)  # type: ignore[arg-type]  # noqa: E731 - as named
        match status:
            case "started" if node is None:
                text = f"Started{process_text(pid)}, not yet registered"
                return make(status="started", message=text, registered=False)
            case "started":
                return make(status="started", message=f"Started{process_text(pid)}")
            case "already_running":
                text = f"Already running{process_text(pid, told.get('started_at'))}"
                return make(status="already_running", message=text)
            case "complete" if self._over():
                return make(status="started", message="Started, and left at once: nothing is left to run")
            case "refused" if told.get("code") == "version":
                text = f"Version mismatch: local={__version__}, {host.name}={told.get('version')}"
                return make(status="refused", message=text, hint=SAME)
            case _:
                text, hint = died_text(told, self._url.remedies())
                return make(status="failed", message=text, hint=hint)

    def _over(self) -> bool:
        """Whether nothing is left to do."""
        with self._lock:
            (totals,) = self._session.store().totals([self._number])
        return totals.complete or totals.workflow.is_canceled

    def _output_dir(self, host: Host) -> str:
        return output_dir(self._session, host.worker, self._wish.worker.output_dir)

    def _remember(self, worker: RemoteWorker, url: str, *, tunnel: bool) -> None:
        """Keep how a worker was started, for status, stop and collect-logs."""
        options = {
            "output_dir": output_dir(self._session, worker, self._wish.worker.output_dir), "url": url, "tunnel": tunnel,
            **{name: value for name, value in self._told.items() if name != "env"},
        }  # fmt: skip
        with self._lock:
            self._session.store().change(RemoteWorker, worker.id, {"options": options})

    def _none_started(
        self, lines: Sequence[str], hint: str | None, outcomes: Sequence[Outcome[Host, Any]]
    ) -> Report:
        """All or none: what is wrong with some machines keeps all from being started."""
        results: list[Json] = [
            _result(one.host, Began(status=_kind(one.error), message=trouble(one.error)))
            if one.error
            else _result(one.host, Began(status="refused", message="not started, as others failed"))
            for one in outcomes
        ]
        failed = sum(1 for one in outcomes if one.error)
        text = "\n".join(plain(line) for line in lines)
        return self._answer(results, 0, 0, failed, text, hint, 1)

    def _would(self, fits: Sequence[Outcome[Host, Fit]]) -> Report:
        lines = [
            f"{one.host.name}: would start a worker, which reaches the server "
            + (f"at {self._url.url}" if one.result.way is Way.DIRECT else "through its SSH connection")
            for one in fits
        ]
        return self._answer([], 0, 0, 0, "\n".join(lines), None, 0)

    def _told_of(self, outcomes: Sequence[Outcome[Host, Began]]) -> Report:
        began = [
            one.result
            if one.ok
            else Began(status=_kind(one.error), message=trouble(one.error), hint=_hint(one.error))
            for one in outcomes
        ]
        good = ("started", "already_running")
        lines = [
            f"[{'OK' if one.status in good else 'FAILED'}] {outcome.host.name}: {plain(one.message, lines=True)}"
            for outcome, one in zip(outcomes, began, strict=True)
        ]
        started = sum(1 for one in began if one.status == "started")
        running = sum(1 for one in began if one.status == "already_running")
        late = self._wish.wait_registered and any(not one.registered for one in began)
        failed = len(began) - started - running
        code = 1 if failed or late else 0 if started else 3
        hints = list(dict.fromkeys(one.hint for one in began if one.hint))
        results: list[Json] = [_result(one.host, what) for one, what in zip(outcomes, began, strict=True)]
        lines.append(f"Started {started}/{len(began)} workers")
        if code == 3:
            hints.append("all workers run already; nothing was started")
        return self._answer(
            results, started, running, failed, "\n".join(lines), "\n".join(hints) or None, code
        )

    def _answer(
        self,
        results: Sequence[Json],
        started: int,
        running: int,
        failed: int,
        text: str,
        hint: str | None,
        code: int,
    ) -> Report:
        data: dict[str, Json] = {
            "workflow_id": self._number, "server_url": self._url.url, "results": list(results), "started": started,
            "already_running": running, "failed": failed,
        }  # fmt: skip
        return Report(schema="torc.remote.run/1", data=data, text=text, hint=hint, exit_code=code)


def asked_until_known(host: Host, request: Mapping[str, Json]) -> Mapping[str, Json]:
    """Ask for a start; when there is no answer, ask again until the truth is known: it is one request (RW16).

    Raises
    ------
    Unreachable, HostTrouble
        If the host cannot be asked any more: whether a worker runs there is not known.
    """
    wait = request.get("wait")
    deadline = (wait if isinstance(wait, int | float) else REGISTER) + MARGIN
    pause = threading.Event()
    for left in reversed(range(TRIES)):
        try:
            return host.ask("start", request, deadline)
        except HostTrouble as error:
            if error.kind != "no_answer":
                raise
            if not left:
                raise HostTrouble(f"{error}; {UNKNOWN}", error.kind, error.hint) from error
        except Unreachable as error:
            if left == TRIES - 1 and not isinstance(error, Lost | Overdue):
                raise
            if not left:
                raise Unreachable(host.name, f"{error.cause}; {UNKNOWN}") from error
        host.close()
        pause.wait(PAUSE * (TRIES - left))
    raise AssertionError("unreachable: the last try returns or raises")


def _version_lines(failed: Sequence[Outcome[Host, Fit]]) -> Sequence[str]:
    versions = {"version", "missing", "too_old"}
    about = [one for one in failed if isinstance(one.error, HostTrouble) and one.error.kind in versions]
    others = [one for one in failed if one not in about]
    lines = [f"Error: Version check failed on {len(about)} worker(s):"] if about else []
    lines += [f"  {one.host.name}: {trouble(one.error)}" for one in about]
    lines += [f"Error: {len(others)} worker(s) cannot be used:"] if others else []
    return lines + [f"  {one.host.name}: {trouble(one.error)}" for one in others]


def _result(host: Host, began: Began) -> Json:
    return {
        "worker": host.name, "status": began.status, "pid": began.pid, "compute_node_id": began.node,
        "hostname": began.hostname, "tunnel": began.tunnel, "log": began.log, "message": began.message,
    }  # fmt: skip


def _kind(error: TorcError | None) -> str:
    if isinstance(error, Unreachable):
        return "unreachable"
    return "refused" if isinstance(error, HostTrouble) else "failed"


def _hint(error: TorcError | None) -> str | None:
    return None if error is None else error.hint
