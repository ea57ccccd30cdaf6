"""Files, user data, requirements, handlers, schedulers, events and RO-Crate entities on the wire."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.model.resources import duration_seconds, memory_bytes
from torc_http.wire.fields import Anything, Flag, Id, Int, Measured, Name, Number, Parts, Text, TextOrObject


class FileModel(Schema):
    """A file."""

    model = "FileModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Name(required=True)
    path = Text(required=True, empty=False)
    st_mtime = Number()
    identifier = Text()
    size = Int(minimum=0)
    content_hash = Text()


class Files(Schema):
    """Files to be created together."""

    model = "FilesModel"

    files = Parts(FileModel, required=True)


class CreatedFiles(Schema):
    """Files that were created, in the order sent."""

    model = "CreateFilesResponse"

    files = Parts(FileModel, required=True)


class UserDataModel(Schema):
    """A JSON value by name."""

    model = "UserDataModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Name(required=True)
    data = Anything(allow_none=True)
    is_ephemeral = Flag()


class UserDataList(Schema):
    """User data to be created together."""

    model = "UserDataListModel"

    user_data = Parts(UserDataModel, required=True)


class CreatedUserData(Schema):
    """User data that were created, in the order sent."""

    model = "CreateUserDataListResponse"

    user_data = Parts(UserDataModel, required=True)


class RequirementModel(Schema):
    """What a job needs."""

    model = "ResourceRequirementsModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Name(required=True)
    num_cpus = Int(minimum=1)
    num_gpus = Int(minimum=0)
    num_nodes = Int(minimum=1)
    memory = Measured(memory_bytes)
    runtime = Measured(duration_seconds)


class HandlerModel(Schema):
    """Which exit codes are tried again; `rules` is JSON text."""

    model = "FailureHandlerModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Name(required=True)
    rules = Text(required=True)


class LocalSchedulerModel(Schema):
    """Kept for clients; nothing reads it."""

    model = "LocalSchedulerModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Text()
    memory = Text()
    num_cpus = Int()


class SlurmSchedulerModel(Schema):
    """How allocations are asked for."""

    model = "SlurmSchedulerModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Text()
    account = Text(required=True)
    nodes = Int(minimum=1, required=True)
    walltime = Text(required=True)
    partition = Text()
    qos = Text()
    gres = Text()
    mem = Text()
    tmp = Text()
    ntasks_per_node = Int(minimum=1)
    extra = Text()
    serialize_allocations = Flag()
    auto_top_up = Flag()
    keep_queued = Flag()


class EventModel(Schema):
    """Something that happened; `data` is any JSON."""

    model = "EventModel"

    id = Id()
    workflow_id = Id(required=True)
    timestamp = Int(required=True)
    data = Anything(required=True, allow_none=True)
    severity = Text()


class EntityModel(Schema):
    """An entity of the RO-Crate metadata."""

    model = "RoCrateEntityModel"

    id = Id()
    workflow_id = Id(required=True)
    entity_id = Text(required=True, empty=False)
    entity_type = Text(required=True, empty=False)
    file_id = Id()
    metadata = TextOrObject(required=True)


class DeletedEntities(Schema):
    """How many entities were removed."""

    model = "DeleteRoCrateEntitiesResponse"

    deleted_count = Int(required=True)
    message = Text(required=True)


class RemoteWorkerModel(Schema):
    """An address on which a runner is started over SSH."""

    model = "RemoteWorkerModel"

    worker = Text(required=True)
    workflow_id = Id(required=True)
