"""What a workflow with `enable_ro_crate` tells by itself: runs, attempts, files and who did it (`observability.md` §13)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from torc_cli.crates import Crate
from torc_cli.crates import Node as CrateNode
from torc_core import __version__
from torc_core.engine.provenance import (
    ATTRIBUTED,
    GENERATED,
    WORKFLOW,
    Origin,
    Seen,
    action_id,
    file_entity,
    modified,
    origin_of,
    run_reference,
)
from torc_core.errors import BadValue
from torc_core.model import (
    File,
    FileId,
    Job,
    JobFile,
    JobId,
    JobStatus,
    Json,
    Node,
    NodeId,
    Query,
    Result,
    RoCrateEntity,
    Workflow,
)
from torc_core.model.instants import instant_of, instant_text

if TYPE_CHECKING:
    from torc_core.protocols import Store

ALL = 2**31
"""No limit."""

TORC = "#torc"


def automatic(store: Store, workflow: Workflow, entities: Sequence[RoCrateEntity]) -> Crate:
    """The entities of a workflow and what else is known of it: derived, so that it is right whatever was imported."""
    query = Query(workflow=workflow.id, limit=ALL)
    history = History(
        workflow,
        store.find(Job, query).items,
        store.find(Result, query).items,
        store.find(JobFile, query).items,
        {file.id: file for file in store.find(File, query).items},
        {node.id: node.hostname for node in store.find(Node, query).items},
    )
    return history.told(entities)


class History:
    """What happened in a workflow, as a part of an RO-Crate."""

    def __init__(
        self,
        workflow: Workflow,
        jobs: Sequence[Job],
        results: Sequence[Result],
        relations: Sequence[JobFile],
        files: Mapping[FileId, File],
        hosts: Mapping[NodeId, str],
    ) -> None:
        self._workflow = workflow
        self._jobs = {job.id: job for job in jobs}
        self._results = sorted(results, key=lambda one: (one.run_id, one.job_id, one.attempt_id))
        self._files = files
        self._hosts = hosts
        self._reads: dict[JobId, set[FileId]] = defaultdict(set)
        self._writes: dict[JobId, set[FileId]] = defaultdict(set)
        for pair in relations:
            if pair.consumer_job_id is not None:
                self._reads[pair.consumer_job_id].add(pair.file_id)
            if pair.producer_job_id is not None:
                self._writes[pair.producer_job_id].add(pair.file_id)
        self._origins = {
            file: Origin(job=one.job_id, attempt_id=one.attempt_id, run_id=one.run_id)
            for one in self._results
            if one.status is JobStatus.COMPLETED
            for file in self._writes[one.job_id]
        }

    def told(self, entities: Sequence[RoCrateEntity]) -> Crate:
        """What people and runners have written down, completed, and all that follows from attempts."""
        described = [self._up_to_date(one) for one in entities]
        known = {one.file_id for one in described}
        described += [
            file_entity(self._workflow, file, Seen(size=file.size or 0, st_mtime=file.st_mtime), self._origins.get(id))
            for id, file in self._files.items()
            if id not in known and file.st_mtime is not None
        ]  # fmt: skip
        # Two files may have the same place; the first has it.
        taken = {one.entity_id: one for one in reversed(described)}
        described = [one for one in described if taken[one.entity_id] is one]
        places = {one.file_id: one.entity_id for one in described if one.file_id is not None}
        software = [one.entity_id for one in described if one.entity_type == "SoftwareApplication"]
        nodes = [
            *self._setting(),
            *self._actions(places, [{"@id": id} for id in (TORC, *software)]),
        ]
        return Crate(entities=described, nodes=[node for node in nodes if node["@id"] not in taken])

    def _up_to_date(self, entity: RoCrateEntity) -> RoCrateEntity:
        """A file's entity with the attempt that wrote it last, and without a hash of what it was before that."""
        file = self._files.get(entity.file_id) if entity.file_id is not None else None
        if file is None:
            return entity
        metadata: dict[str, Json] = dict(entity.metadata)
        if (origin := self._origins.get(file.id)) is not None:
            metadata |= origin_of(origin)
        elif GENERATED in metadata or ATTRIBUTED in metadata:
            metadata = {key: value for key, value in metadata.items() if key not in (GENERATED, ATTRIBUTED)}
        if "sha256" in metadata and _older(metadata.get("dateModified"), file.st_mtime):
            del metadata["sha256"]
            metadata |= {"contentSize": file.size, "dateModified": modified(file.st_mtime or 0.0)}
        return replace(entity, metadata=metadata)

    def _setting(self) -> Iterator[CrateNode]:
        """The workflow, its runs, torc, the user and the hosts."""
        workflow = self._workflow
        yield {"@id": TORC, "@type": "SoftwareApplication", "name": "torc", "version": __version__}
        yield {
            "@id": WORKFLOW,
            "@type": ["SoftwareSourceCode", "prov:Plan"],
            "name": workflow.name,
            "description": workflow.description or workflow.name,
            "author": {"@id": self._user},
        }
        yield {"@id": self._user, "@type": "Person", "name": workflow.user}
        for run in sorted({one.run_id for one in self._results} | ({workflow.run_id} - {0})):
            yield {
                "@id": run_reference(run),
                "@type": "SoftwareApplication",
                "name": f"torc, run {run} of workflow {workflow.name}",
                "version": __version__,
                "isBasedOn": {"@id": WORKFLOW},
                "prov:actedOnBehalfOf": {"@id": self._user},
            }
        for host in sorted({host for one in self._results if (host := self._host_of(one)) is not None}):
            yield {"@id": _host(host), "@type": "Place", "name": host}
        for code in sorted({one.return_code for one in self._results}):
            yield {"@id": _code(code), "@type": "PropertyValue", "name": "exit status", "value": code}

    def _actions(self, places: Mapping[FileId, str], software: list[Json]) -> Iterator[CrateNode]:
        last = {(one.job_id, one.attempt_id): one for one in self._results}
        for one in self._results:
            job = self._jobs.get(one.job_id)
            id = action_id(one.job_id, one.attempt_id)
            if last[one.job_id, one.attempt_id] is not one:
                id = f"#job-{one.job_id}-run-{one.run_id}-attempt-{one.attempt_id}"
            completed = one.status is JobStatus.COMPLETED
            node: CrateNode = {
                "@id": id,
                "@type": "CreateAction",
                "name": one.job_name,
                "description": job.command if job is not None else one.job_name,
                "startTime": instant_text(max(0, one.completed_at - round(one.exec_minutes * 60_000))),
                "endTime": instant_text(one.completed_at),
                "agent": {"@id": self._user},
                "instrument": software,
                "actionStatus": {
                    "@id": f"http://schema.org/{'Completed' if completed else 'Failed'}ActionStatus"
                },
                "additionalProperty": {"@id": _code(one.return_code)},
                "prov:wasAssociatedWith": {"@id": run_reference(one.run_id)},
            }
            if not completed:
                node["error"] = one.reason or one.status.label
            if (host := self._host_of(one)) is not None:
                node["location"] = {"@id": _host(host)}
            written = self._writes[one.job_id] if completed else ()
            for key, files in (("object", self._reads[one.job_id]), ("result", written)):
                if named := [{"@id": places[file]} for file in sorted(files) if file in places]:
                    node[key] = named
            yield node

    def _host_of(self, result: Result) -> str | None:
        return None if result.node_id is None else self._hosts.get(result.node_id)

    @property
    def _user(self) -> str:
        return f"#user-{quote(self._workflow.user, safe='')}"


def _older(text: Json, st_mtime: float | None) -> bool:
    """Whether what was written down is of an earlier state of the file."""
    try:
        return st_mtime is not None and instant_of(str(text)) < instant_of(modified(st_mtime))
    except BadValue:
        return False


def _host(name: str) -> str:
    return f"#host-{quote(name, safe='')}"


def _code(code: int) -> str:
    return f"#exit-status-{code}"
