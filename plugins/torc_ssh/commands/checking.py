"""`torc remote check`: whether the machines of a workflow are fit, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core import __version__
from torc_core.given import Given
from torc_core.model import Json
from torc_core.model.resources import memory_text
from torc_core.session import Session
from torc_ssh.commands.hosts import Fleet, Host, Reach, output_dir, selected, stored
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column, plain
from torc_terminal.selector import workflow

AHEAD = 2_000
"""Milliseconds by which a clock may differ without being mentioned."""


def _memory(item: Mapping[str, Json]) -> str:
    value = item.get("memory_bytes")
    return memory_text(value) if isinstance(value, int) else ""


def _disk(item: Mapping[str, Json]) -> str:
    value = item.get("disk_free_bytes")
    return memory_text(value) if isinstance(value, int) else ""


def _server(item: Mapping[str, Json]) -> str:
    reach = item.get("reach")
    if not isinstance(reach, dict):
        return ""
    return "reached" if reach.get("ok") else "no"


COLUMNS = (
    Column(title="Worker", key="worker"),
    Column(title="Fit", key="fit"),
    Column(title="Host", key="hostname"),
    Column(title="User", key="user"),
    Column(title="Torc", key="version"),
    Column(title="Python", key="python"),
    Column(title="CPUs", key="num_cpus", right=True),
    Column(title="Memory", key="memory_bytes", right=True, show=_memory),
    Column(title="GPUs", key="num_gpus", right=True),
    Column(title="Disk free", key="disk_free_bytes", right=True, show=_disk),
    Column(title="Server", key="reach", show=_server),
)
NOTE = Column(title="Note", key="message")
"""Only in CSV: it stands below a table, where there is more room."""


def check(
    workflow_id: str | None = None,
    /,
    *,
    worker_url: str | None = None,
    reach: Reach | None = None,
    session: Given,
) -> Report:
    """Look at every machine: who we are there, which torc, what it has, whether it reaches the server.

    Parameters
    ----------
    workflow_id
        Id of the workflow, or `last`.
    worker_url
        Address of the server to try from there; normally that of this command.
    """
    reach = reach or Reach()
    parallel = reach.parallel(session)
    number = workflow(session, workflow_id)
    workers = selected(stored(session, number), reach.hosts)
    url = worker_url or session.config.client.remote.worker_url or session.config.store_url
    known = url if url.startswith(("http://", "https://")) else None
    session.close()
    with Fleet(session, workers, parallel=parallel) as fleet:
        outcomes = fleet.over(lambda host: look(session, host, known), "checking")
    items: list[Mapping[str, Json]] = [
        one.result
        if one.ok
        else {"worker": one.host.name, "status": "failed", "fit": False, "message": str(one.error)}
        for one in outcomes
    ]
    fit = sum(1 for one in items if one["fit"])
    return Report(
        schema="torc.remote.check/1",
        data={"workflow_id": number, "server_url": known, "items": items, "fit": fit, "count": len(items)},
        rows=items,
        columns=(*COLUMNS, NOTE) if session.format == "csv" else COLUMNS,
        noun="remote workers",
        hint="\n".join([*_notes(items), f"{fit}/{len(items)} workers are fit"]) if items else None,
        exit_code=0 if fit == len(items) else 1,
    )


def _notes(items: Sequence[Mapping[str, Json]]) -> Sequence[str]:
    return [f"{one['worker']}: {plain(str(one['message']))}" for one in items if one["message"]]


def look(session: Session, host: Host, url: str | None) -> Mapping[str, Json]:
    """What a machine is and has, whether it is fit, and what is odd about it."""
    asked: dict[str, Json] = {"url": url, "output_dir": output_dir(session, host.worker, None)}
    before = session.clock.now()
    told = host.ask("check", asked)
    after = session.clock.now()
    notes = []
    same = told.get("version") == __version__
    if not same:
        notes.append(f"version {told.get('version')} is not {__version__}")
    reached = told.get("reach")
    if isinstance(reached, dict) and not reached.get("ok"):
        notes.append(f"cannot reach the server: {reached.get('text')}; 'remote run' uses a tunnel")
    clock = told.get("clock_ms")
    if isinstance(clock, int) and not before - AHEAD <= clock <= after + AHEAD:
        notes.append(
            f"its clock is {abs(clock - after) / 1000:.0f} s {'ahead' if clock > after else 'behind'}"
        )
    if told.get("warning"):
        notes.append(str(told["warning"]))
    item = {
        name: value for name, value in told.items() if name not in ("protocol", "host", "status", "warning")
    }
    return {"worker": host.name, "status": "ok", "fit": same, **item, "message": "; ".join(notes) or None}
