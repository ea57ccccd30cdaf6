"""`torc reconcile`: deliver results that runners could not tell (`cli.md` §4.10, `runner.md` §9.2)."""

from __future__ import annotations

import os
from collections import Counter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.runner.delivery import TAKEN, Delivered, deliver
from torc_core.runner.outbox import FOLDER
from torc_core.session import Session
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.selector import found
from torc_terminal.standing import amount

COLUMNS = tuple(
    Column(title=title, key=key, right=right)
    for title, key, right in (
        ("Job ID", "job_id", True),
        ("Run", "run_id", True),
        ("Attempt", "attempt_id", True),
        ("Status", "status", False),
        ("Return", "return_code", True),
        ("Reason", "reason", False),
        ("Verdict", "verdict", False),
    )
)


def reconcile(
    workflow: str,
    run: int | None = None,
    /,
    *,
    base_dir: str | None = None,
    dry_run: Flag = False,
    session: Given,
) -> Report:
    """Deliver the results of jobs that their runners kept because the server was away, or because they died.

    May be repeated: what the server knows already is not counted twice, and what is no longer wanted is listed.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    run
        Only results of this run of it.
    base_dir
        Output directory of the runners; normally torc_output.
    dry_run
        Only list what would be delivered.
    """
    chosen = found(session, workflow)
    folder = os.path.abspath(base_dir or session.config.client.run.output_dir)
    if base_dir is not None and not os.path.isdir(folder):
        raise UsageError(
            f"no such directory: '{base_dir}'; --base-dir is the output directory of the runners"
        )
    told = deliver(session.store(), folder, chosen.id, run, dry_run=dry_run)
    items = [_item(one) for one in told]
    taken = sum(one.verdict in TAKEN for one in told)
    data: dict[str, Json] = {
        "workflow_id": chosen.id, "run_id": run, "base_dir": folder, "dry_run": dry_run, "items": items,
        "count": len(items), "delivered": taken, "refused": 0 if dry_run else len(told) - taken,
    }  # fmt: skip
    shown = (
        items
        if dry_run
        else [item for item, one in zip(items, told, strict=True) if one.verdict not in TAKEN]
    )
    return Report(
        schema="torc.reconcile/1",
        data=data,
        text=_sentence(told, taken, f"{folder}/{FOLDER}", dry_run=dry_run),
        rows=shown if session.format != "csv" else items,
        columns=COLUMNS if shown or session.format == "csv" else (),
        noun="results",
    )


def _sentence(told: list[Delivered], taken: int, folder: str, *, dry_run: bool) -> str:
    if not told:
        return f"no results are kept in {folder}"
    if dry_run:
        return f"{amount(len(told), 'result')} would be delivered"
    refused = Counter(str(one.verdict) for one in told if one.verdict not in TAKEN)
    text = f"delivered {amount(taken, 'result')}"
    if not refused:
        return text
    why = ", ".join(f"{number} {verdict}" for verdict, number in sorted(refused.items()))
    return f"{text}; not taken: {why} (another result stands, or the job was reset or run again)"


def _item(one: Delivered) -> dict[str, Json]:
    end = one.ending
    return {
        "job_id": end.job, "run_id": end.run_id, "attempt_id": end.attempt_id, "status": end.status.label,
        "return_code": end.return_code, "reason": end.reason,
        "verdict": None if one.verdict is None else one.verdict.value, "file": one.path,
    }  # fmt: skip


def deliver_command(session: Session, workflow: int, run: int, folder: str) -> list[str]:
    """The words with which the guardian of a dead runner has its results delivered."""
    import sys

    config, client = session.config, session.config.client
    user = config.files.get("user")
    files = (
        ("--config", str(user) if user is not None and user.exists() else None),
        ("--token-file", client.token_file),
        ("--tls-ca-cert", client.tls.ca_cert),
    )
    options = [word for name, path in files if path for word in (name, os.path.abspath(path))]
    return [
        *(sys.executable, "-m", "torc_core", "--quiet", "--store", config.store_url, *options),
        *("reconcile", str(workflow), str(run), "--base-dir", os.path.abspath(folder)),
    ]
