"""What the provenance of a workflow calls things, and what it says of a file (`observability.md` §13)."""

from __future__ import annotations

import posixpath
from urllib.parse import quote

from torc_core.model import File, JobId, Json, RoCrateEntity, Workflow
from torc_core.model.instants import instant_text
from torc_core.record import record

WORKFLOW = "#torc-workflow"
GENERATED, ATTRIBUTED = "prov:wasGeneratedBy", "prov:wasAttributedTo"


@record(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a file or directory looked like; `st_mtime` in seconds since 1970, `sha256` None for what has none."""

    size: int
    st_mtime: float
    sha256: str | None = None
    folder: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Origin:
    """The attempt that wrote a file."""

    job: JobId
    attempt_id: int
    run_id: int


def action_id(job: JobId, attempt_id: int) -> str:
    """The `@id` of an attempt."""
    return f"#job-{job}-attempt-{attempt_id}"


def run_reference(run_id: int) -> str:
    """The `@id` of a run."""
    return f"#torc-run-{run_id}"


def file_reference(file: File, workflow: Workflow, *, folder: bool = False) -> str:
    """The `@id` of a file: its identifier, else its place below the directory of the workflow, else a `file:` URI."""
    if file.identifier:
        return file.identifier
    path, home = posixpath.normpath(file.path), workflow.submission_directory
    if home:
        path = posixpath.join(posixpath.normpath(home), path)
        path = posixpath.normpath(path)
        path = path.removeprefix(posixpath.normpath(home).rstrip("/") + "/")
    # NOTE: file names that are no UTF-8 are kept byte by byte.
    text = quote(path, errors="surrogateescape")
    return ("file://" if text.startswith("/") else "") + text + ("/" if folder else "")


def origin_of(origin: Origin) -> dict[str, Json]:
    """Which attempt and which run a file is from."""
    return {
        GENERATED: {"@id": action_id(origin.job, origin.attempt_id)},
        ATTRIBUTED: {"@id": run_reference(origin.run_id)},
    }


def file_entity(workflow: Workflow, file: File, seen: Seen, origin: Origin | None) -> RoCrateEntity:
    """A file that is there; `origin` None: no job wrote it."""
    metadata: dict[str, Json] = {"name": file.name}
    if not seen.folder:
        metadata["contentSize"] = seen.size
    metadata["dateModified"] = modified(seen.st_mtime)
    if seen.sha256 is not None:
        metadata["sha256"] = seen.sha256
    return RoCrateEntity(
        workflow_id=workflow.id,
        entity_id=file_reference(file, workflow, folder=seen.folder),
        entity_type="Dataset" if seen.folder else "File",
        file_id=file.id,
        metadata=metadata | ({} if origin is None else origin_of(origin)),
    )


def modified(st_mtime: float) -> str:
    """When a file was changed, as the metadata has it."""
    return instant_text(max(0, round(st_mtime * 1000)))
