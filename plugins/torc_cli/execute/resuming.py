"""Goes on with what an earlier `torc run` left unfinished (`cli.md` R3, `engine.md` §8.4)."""

from __future__ import annotations

import hashlib
import os

from torc_cli.execute.processes import alive_nodes, dead_nodes
from torc_core.model import Progress, Query, Workflow, WorkflowId
from torc_core.model.status import JobStatus
from torc_core.protocols import Store

AGAIN = ("interrupted", "runner_died", "node_lost")
"""Reasons of ends that were the runner's, not the job's."""


def digest(*parts: bytes) -> str:
    """The SHA-256 of a document, and of whatever else decides what is made of it, in hexadecimal."""
    total = hashlib.sha256(parts[0])
    for part in parts[1:]:
        total.update(b"\0" + part)
    return total.hexdigest()


def unfinished(store: Store, user: str, path: str, content: str) -> Workflow | None:
    """The user's newest workflow in this store, if this very document made it and nobody works on what is left of it.

    Parameters
    ----------
    path
        Of the document, as given.
    content
        Its digest.
    """
    newest = store.find(Workflow, Query(where={"user": user}, reverse=True, limit=1)).items
    if not newest:
        return None
    workflow = newest[0]
    if (workflow.source_path, workflow.source_digest) != (os.path.realpath(path), content) or workflow.is_archived:
        return None
    (totals,) = store.totals([workflow.id])
    left = any(totals.failures.get(reason) for reason in AGAIN)
    if totals.workflow.is_canceled or (totals.complete and not left):
        return None
    return None if alive_nodes(store, workflow.id) else workflow


def resume(store: Store, workflow: WorkflowId) -> str | None:
    """Make ready again what dead or interrupted runners left; a sentence that says how much, None: nothing."""
    progress = store.resume(workflow, [node.id for node in dead_nodes(store, workflow)])
    return sentence(progress)


def sentence(progress: Progress) -> str | None:
    """What was resumed, in words."""
    ready = progress.moved.get(JobStatus.READY.label, 0)
    others = sum(number for label, number in progress.moved.items() if label != JobStatus.READY.label)
    if not ready and not others:
        return None
    text = f"{ready} job{' is' if ready == 1 else 's are'} ready again after an interrupted run"
    return text + (f", {others} that waited for them too" if others else "")
