"""The output of jobs as a part of an exported workflow (`torc workflows export --include-logs`)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torc_cli.joblogs import files_in
from torc_core.engine.exporting import checksum
from torc_core.model import Job, Json, Node, Result, Workflow
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_core.protocols import Store

MOST = 16 * 1024**2
"""Bytes of one file that are kept: the last ones."""


def with_logs(store: Store, workflow: Workflow, document: Mapping[str, Json], folder: str) -> dict[str, Json]:
    """A document with what the attempts of its jobs have printed, as far as the files can be read from here.

    Parameters
    ----------
    folder
        Output folder of attempts whose node is not known.
    """
    said = {key: value for key, value in document.items() if key != "checksum"}
    said["logs"] = list(_logs(store, workflow, folder))
    return {**said, "checksum": checksum(said)}


def _logs(store: Store, workflow: Workflow, folder: str) -> Iterator[Json]:
    jobs = {job.id: job for job in every(store, Job, workflow.id)}
    folders = {node.id: node.output_dir for node in every(store, Node, workflow.id)}
    for one in every(store, Result, workflow.id):
        job = jobs.get(one.job_id)
        if job is None:
            continue
        home = (folders.get(one.node_id) if one.node_id is not None else None) or folder
        for file in files_in(workflow, job, one.run_id, one.attempt_id, home):
            if (content := _content(file.path)) is not None:
                yield {
                    "job_id": one.job_id, "run_id": one.run_id, "attempt_id": one.attempt_id, "stream": file.stream,
                    "path": str(file.path), **content,
                }  # fmt: skip


def _content(path: Path) -> dict[str, Any] | None:
    """What is in a file: text, or base64 where it is none."""
    try:
        with path.open("rb") as source:
            size = source.seek(0, 2)
            source.seek(max(0, size - MOST))
            content = source.read(MOST)
    except OSError:
        return None
    head: dict[str, Any] = {"size_bytes": size, "is_cut": len(content) < size}
    try:
        return head | {"content": content.decode()}
    except UnicodeDecodeError:
        return head | {"content_base64": base64.b64encode(content).decode()}
