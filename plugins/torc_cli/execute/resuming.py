"""Goes on with what an earlier `torc run` left unfinished (`cli.md` R3, `engine.md` §8.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from torc_core.engine.resets import ENDED_BADLY
from torc_core.model import Progress, Query, Reset, Result, Totals, Workflow, WorkflowId
from torc_core.model.status import JobStatus
from torc_core.protocols import Executor, Store
from torc_terminal.processes import alive_nodes, dead_nodes

AGAIN = ("interrupted", "runner_died", "node_lost")
"""Reasons of ends that were the runner's, not the job's."""


def digest(document: bytes, commands: Iterable[str] = ()) -> str:
    """The SHA-256 of a list of commands, and of what parameters have made of it, in hexadecimal."""
    total = hashlib.sha256(document)
    for command in commands:
        total.update(b"\0" + command.encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def unfinished(store: Store, user: str, path: str, content: str, *, ended: bool = False) -> Workflow | None:
    """The user's newest workflow in this store, if this very document made it and nobody works on what is left of it.

    Parameters
    ----------
    path
        Real path of the document.
    content
        Its digest.
    ended
        Also if nothing is left of it, since its failures are to be run again.
    """
    newest = store.find(Workflow, Query(where={"user": user}, reverse=True, limit=1)).items
    if not newest:
        return None
    workflow = newest[0]
    if (workflow.source_path, workflow.source_digest) != (
        path,
        content,
    ) or workflow.is_archived:
        return None
    (totals,) = store.totals([workflow.id])
    over = totals.workflow.is_canceled or (totals.complete and not interrupted(store, workflow.id))
    if over and not ended:
        return None
    return None if alive_nodes(store, workflow.id) else workflow


def interrupted(store: Store, workflow: WorkflowId) -> bool:
    """Whether the last attempt of some job was ended by its runner's end, so that the job can go on."""
    return (
        store.find(Result, Query(workflow=workflow, where={"current": True, "reason": AGAIN}, limit=0)).total
        > 0
    )


def retry_failed(store: Store, totals: Totals) -> str | None:
    """Set back what failed, was terminated or canceled, and what waits for it; a sentence that says how much."""
    workflow = totals.workflow
    if workflow.is_canceled:
        store.reset_workflow(workflow.id)
    if not any(totals.counts.get(status) for status in ENDED_BADLY):
        return None
    count = store.reset(workflow.id, Reset(failed_only=True)).moved.get(JobStatus.UNINITIALIZED.label, 0)
    return f"{count} job{' is' if count == 1 else 's are'} reset, since {'it' if count == 1 else 'they'} had failed or waited for one that had"


def resume(
    store: Store, workflow: WorkflowId, executor: Callable[[], AbstractContextManager[Executor]]
) -> str | None:
    """Make ready again what dead or interrupted runners left; a sentence that says how much, None: nothing.

    What dead runners left running is ended first, since any runner may take it then.
    """
    dead = dead_nodes(store, workflow)
    if dead:
        with executor() as one:
            one.sweep(f"{store.server_id}.{workflow}.")
    progress = store.resume(workflow, [node.id for node in dead])
    return sentence(progress)


def sentence(progress: Progress) -> str | None:
    """What was resumed, in words."""
    ready = progress.moved.get(JobStatus.READY.label, 0)
    others = sum(number for label, number in progress.moved.items() if label != JobStatus.READY.label)
    if not ready and not others:
        return None
    text = f"{ready} job{' is' if ready == 1 else 's are'} ready again after an interrupted run"
    return text + (f", {others} that waited for them too" if others else "")
