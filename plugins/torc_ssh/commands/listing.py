"""`torc remote list-workers`: the machines of a workflow, without a connection to any of them."""

from __future__ import annotations

from torc_core.engine.addresses import parse
from torc_core.errors import TorcError
from torc_core.given import Given
from torc_core.model import Json
from torc_ssh.commands.hosts import stored
from torc_ssh.commands.standing import last_seen, nodes_by_worker, state_of
from torc_ssh.connection import Connector, open_connector
from torc_ssh.settings import remote_settings
from torc_terminal.output.answer import Listing, Text
from torc_terminal.output.cells import Column, instant
from torc_terminal.selector import workflow


def _of(name: str) -> Column:
    return Column(
        title=name.capitalize(),
        key="resolved",
        right=name == "port",
        show=lambda item: _part(item["resolved"], name),
    )


def _part(resolved: Json, name: str) -> str:
    value = resolved.get(name) if isinstance(resolved, dict) else None
    return "" if value is None else str(value)


COLUMNS = (
    Column(title="Worker", key="worker"),
    _of("user"),
    Column(title="Host", key="resolved", show=lambda item: _part(item["resolved"], "hostname")),
    _of("port"),
    Column(title="Label", key="label"),
    Column(title="State", key="state"),
    Column(title="Last seen", key="last_seen"),
)


def list_workers(workflow_id: str | None = None, /, *, session: Given) -> Listing | Text:
    """List the machines of a workflow: user, host and port as the configuration of ssh has them.

    Parameters
    ----------
    workflow_id
        Id of the workflow, or `last`.
    """
    number = workflow(session, workflow_id)
    workers, nodes = stored(session, number), nodes_by_worker(session, number)
    if not workers and session.format == "table":
        session.note(f"No remote workers stored for workflow {number}")
        return Text(text="")
    with open_connector(remote_settings(session.config), session.note) as connector:
        items = [
            {
                "worker": one.worker,
                "user": parse(one.worker).user,
                "host": parse(one.worker).host,
                "port": parse(one.worker).port,
                "resolved": _resolved(connector, one.worker),
                "label": one.label,
                "state": state_of(one, nodes),
                "compute_node_id": node.id if (node := nodes.get(one.worker)) else None,
                "last_seen": instant(last_seen(node)),
            }
            for one in workers
        ]
    return Listing(
        schema="torc.remote.list-workers/1",
        noun="remote workers",
        items=items,
        columns=COLUMNS,
        extra={"workflow_id": number},
    )


def _resolved(connector: Connector, worker: str) -> Json:
    try:
        found = connector.resolved(parse(worker))
    except TorcError:
        return None
    return {
        "hostname": found.hostname, "user": found.user, "port": found.port, "proxy_jump": found.proxy_jump,
        "identity_files": list(found.identity_files),
    }  # fmt: skip
