"""Writes down what the files of a workflow were: sizes, times, hashes, beside the jobs and never before them (OB60)."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Protocol, TypeVar

from torc_core.engine.provenance import Origin, Seen, file_entity
from torc_core.errors import Conflict, NotFound, TorcError
from torc_core.model import File, FileId, JobStatus, Page, Query, RoCrateEntity, Verdict, Workflow, WorkflowId
from torc_core.runner.log import log
from torc_core.runner.report import End

R = TypeVar("R")

AT_ONCE = 500
"""Files in one question to the store."""
BLOCK = 2**20
"""Bytes that are read at once; between two blocks it can be stopped."""
LAST_CALL = 2.0
"""Seconds that a call to the store may take to end when the runner leaves."""


class RecordStore(Protocol):
    """What is needed of a store to keep provenance."""

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a workflow."""
        ...

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records."""
        ...

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        ...

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist."""
        ...


class Recorder:
    """Records the files that jobs read and write, in a thread of its own.

    Parameters
    ----------
    cwd
        What relative paths are relative to.
    wake
        Called when all is written down.
    """

    def __init__(
        self, store: RecordStore, workflow: Workflow, cwd: str, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._workflow = workflow
        self._cwd = cwd
        self._wake = wake
        self._stopped = Event()
        self._done = Event()
        self._ended = False
        self._written: SimpleQueue[tuple[FileId, Origin] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="torc-provenance", daemon=True)

    @property
    def done(self) -> bool:
        """Whether all is written down that will be."""
        return self._done.is_set()

    def begin(self) -> None:
        """Write down the files that are there before the jobs."""
        self._thread.start()

    def hear(self, ends: Sequence[tuple[End, Verdict]]) -> None:
        """The store knows of these ends."""
        for end, verdict in ends:
            if verdict in (Verdict.DONE, Verdict.SAME) and end.ending.status is JobStatus.COMPLETED:
                job = end.given.job
                origin = Origin(job=job.id, attempt_id=job.attempt_id, run_id=job.run_id)
                for output in end.given.outputs:
                    self._written.put((output.file, origin))

    def end(self) -> None:
        """Nothing more will be heard of."""
        if not self._ended:
            self._ended = True
            self._written.put(None)

    def close(self) -> None:
        """Leave undone what is not done."""
        self._stopped.set()
        self.end()
        if self._thread.ident is not None:
            self._thread.join(LAST_CALL)

    def inputs(self) -> None:
        """Write down the files that have to be there before jobs run, now; a file that has not changed is not read."""
        files = self._store.required_files(self._workflow.id)
        for start in range(0, len(files), AT_ONCE):
            self._record({file.id: file for file in files[start : start + AT_ONCE]}, {})

    def _run(self) -> None:
        self._try(self.inputs)
        more = True
        while more and not self._stopped.is_set():
            found = [self._written.get()]
            while len(found) < AT_ONCE and found[-1] is not None:
                try:
                    found.append(self._written.get_nowait())
                except Empty:
                    break
            more = found[-1] is not None
            origins = dict(one for one in found if one is not None)
            self._try(lambda origins=origins: self._outputs(origins))  # type: ignore[misc]  # bound early
        self._done.set()
        if not self._stopped.is_set():
            self._wake()

    def _try(self, what: Callable[[], None]) -> None:
        try:
            what()
        except (TorcError, OSError) as error:
            # NOTE: jobs go on without it; an export tells of these files what the store knows.
            log.warning("provenance_not_recorded workflow_id=%d why=%s", self._workflow.id, error)

    def _outputs(self, origins: Mapping[FileId, Origin]) -> None:
        if origins:
            query = Query(workflow=self._workflow.id, where={"id": tuple(origins)})
            self._record({file.id: file for file in self._store.find(File, query).items}, origins)

    def _record(self, files: Mapping[FileId, File], origins: Mapping[FileId, Origin]) -> None:
        query = Query(workflow=self._workflow.id, where={"file_id": tuple(files)})
        known = {one.file_id: one for one in self._store.find(RoCrateEntity, query).items}
        new = []
        for file in files.values():
            if self._stopped.is_set():
                break
            entity = self._entity(file, known.get(file.id), origins.get(file.id))
            if entity is None:
                continue
            if file.id in known:
                self._change(known[file.id], entity)
            else:
                new.append(entity)
        if new:
            self._add(new)

    def _entity(
        self, file: File, before: RoCrateEntity | None, origin: Origin | None
    ) -> RoCrateEntity | None:
        """What is to be written down of a file; None: nothing."""
        path = os.path.join(self._cwd, file.path)
        try:
            there = os.stat(path)
        except (OSError, ValueError):
            return None
        seen = Seen(size=there.st_size, st_mtime=there.st_mtime, folder=stat.S_ISDIR(there.st_mode))
        entity = file_entity(self._workflow, file, seen, origin)
        if origin is None and before is not None and _says(before, entity):
            return None
        if stat.S_ISREG(there.st_mode):
            try:
                sha256 = self._digest(path)
            except OSError as error:
                log.warning("file_not_hashed path=%s why=%s", path, error.strerror)
                sha256 = None
            entity = file_entity(self._workflow, file, replace(seen, sha256=sha256), origin)
        return None if self._stopped.is_set() else entity

    def _digest(self, path: str) -> str:
        total = hashlib.sha256()
        with open(path, "rb", buffering=0) as content:
            while (block := content.read(BLOCK)) and not self._stopped.is_set():
                total.update(block)
        return total.hexdigest()

    def _add(self, entities: Sequence[RoCrateEntity]) -> None:
        try:
            self._store.add(entities)
        except Conflict:
            if len(entities) > 1:
                for entity in entities:
                    self._add([entity])
                return
            # Somebody else has described it, or another file of the workflow has the same place.
            (entity,) = entities
            query = Query(workflow=self._workflow.id, where={"entity_id": entity.entity_id})
            for one in self._store.find(RoCrateEntity, query).items:
                if one.file_id in (None, entity.file_id):
                    self._change(one, entity)

    def _change(self, before: RoCrateEntity, entity: RoCrateEntity) -> None:
        """What people said of a file stays, what is measured is told anew."""
        measured = {key: value for key, value in entity.metadata.items() if key != "name"}
        stale = {"sha256", "contentSize"} - measured.keys()
        kept = {key: value for key, value in before.metadata.items() if key not in stale}
        metadata = {"name": entity.metadata["name"], **kept, **measured}
        try:
            self._store.change(RoCrateEntity, before.id, {"metadata": metadata, "file_id": entity.file_id})
        except NotFound:
            self._store.add([entity])


def _says(before: RoCrateEntity, entity: RoCrateEntity) -> bool:
    """Whether an entity is up to date: of the same size and time, and hashed if it is a file."""
    told = all(
        before.metadata.get(key) == entity.metadata.get(key) for key in ("contentSize", "dateModified")
    )
    return told and ("sha256" in before.metadata or entity.entity_type != "File")
