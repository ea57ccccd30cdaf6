"""What jobs read and write, and the relations that follow."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.ids import FileId, JobId, UserDataId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class File:
    """A file by name and path; the fingerprint is what was last seen: seconds since 1970, bytes."""

    id: FileId = FileId(0)
    workflow_id: WorkflowId
    name: str
    path: str
    identifier: str | None = None
    st_mtime: float | None = None
    size: int | None = None
    content_hash: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a file looked like: modification time in seconds since 1970, size in bytes; None: it was not there.

    Parameters
    ----------
    content_hash
        SHA-256 of its content, hexadecimal, where it was asked for.
    """

    file: FileId
    st_mtime: float | None
    size: int | None
    content_hash: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class UserData:
    """A JSON value by name; `has_data` tells a stored null from nothing."""

    id: UserDataId = UserDataId(0)
    workflow_id: WorkflowId
    name: str
    data: Json = None
    has_data: bool = False
    is_ephemeral: bool = False


@record(frozen=True, slots=True, kw_only=True)
class JobDependency:
    """One job waits for another."""

    workflow_id: WorkflowId
    job_id: JobId
    job_name: str
    depends_on_job_id: JobId
    depends_on_job_name: str


@record(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A file between the job that writes it and one that reads it; None where there is no such job."""

    workflow_id: WorkflowId
    file_id: FileId
    file_name: str
    file_path: str
    producer_job_id: JobId | None
    producer_job_name: str | None
    consumer_job_id: JobId | None
    consumer_job_name: str | None


@record(frozen=True, slots=True, kw_only=True)
class JobUserData:
    """A user data record between the job that writes it and one that reads it."""

    workflow_id: WorkflowId
    user_data_id: UserDataId
    user_data_name: str
    producer_job_id: JobId | None
    producer_job_name: str | None
    consumer_job_id: JobId | None
    consumer_job_name: str | None


@record(frozen=True, slots=True, kw_only=True)
class JobRelations:
    """The five id lists of a job, each ascending."""

    job_id: JobId
    depends_on: Sequence[JobId] = ()
    input_files: Sequence[FileId] = ()
    output_files: Sequence[FileId] = ()
    input_user_data: Sequence[UserDataId] = ()
    output_user_data: Sequence[UserDataId] = ()
