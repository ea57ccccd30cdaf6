"""Results that the store has not acknowledged, in files of a runner's output directory (`promises.md` P8)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock

from torc_core.model import Ending, JobId, Node
from torc_core.record import record
from torc_core.runner.log import log
from torc_core.runner.place import Place
from torc_core.store import codec

FOLDER = ".torc-spool"
SCHEMA = "torc.spool/1"

Key = tuple[JobId, int, int]
"""Of an attempt: job, run, attempt."""


@record(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whose results a file has: a runner, and what it was a runner of."""

    server_id: str
    workflow_id: int
    run_id: int
    node_id: int
    epoch: str
    place: Place

    @classmethod
    def of(cls, server_id: str, run_id: int, node: Node, place: Place) -> Sender:
        """The runner with this record."""
        return cls(
            server_id=server_id,
            workflow_id=node.workflow_id,
            run_id=run_id,
            node_id=node.id,
            epoch=node.epoch,
            place=place,
        )


class Outbox:
    """Writes results before they are first sent, and removes what is answered; any number of threads.

    Parameters
    ----------
    output_dir
        Absolute.
    """

    def __init__(self, output_dir: str, sender: Sender) -> None:
        self._sender = sender
        self._lock = Lock()
        self._number = 0
        self._files: dict[Key, _File] = {}
        self._folders = [f"{output_dir}/{FOLDER}", second_folder()]

    @property
    def folder(self) -> str | None:
        """Where results are kept at the time; None: only in memory."""
        return self._folders[0] if self._folders else None

    @property
    def kept(self) -> int:
        """Results that are in files."""
        return len(self._files)

    def keep(self, endings: Sequence[Ending]) -> None:
        """Write those that are in no file yet to one; where nothing can be written they are only in memory."""
        with self._lock:
            new = {key_of(one): one for one in endings if key_of(one) not in self._files}
            while new and self._folders:
                try:
                    file = _File(self._write(self._folders[0], list(new.values())), set(new))
                except OSError as error:
                    lost = self._folders.pop(0)
                    log.warning(
                        "outbox_unwritable folder=%s why=%s next=%s",
                        *(lost, os.strerror(error.errno or 0), self.folder or "memory"),
                    )
                else:
                    self._files.update(dict.fromkeys(new, file))
                    return

    def answered(self, endings: Sequence[Ending]) -> None:
        """The store has judged these: a file goes with the last of its results."""
        with self._lock:
            for ending in endings:
                key = key_of(ending)
                file = self._files.pop(key, None)
                if file is None:
                    continue
                file.left.discard(key)
                if not file.left:
                    with suppress(OSError):
                        os.unlink(file.path)

    def _write(self, folder: str, endings: Sequence[Ending]) -> str:
        sender = self._sender
        self._number += 1
        if len(endings) == 1:
            job, run, attempt = key_of(endings[0])
            name = f"{run}.{job}.{attempt}"
        else:
            name = f"{sender.epoch}.{self._number}"
        path = f"{folder}/{sender.server_id}.{sender.workflow_id}.{name}.json"
        place = sender.place
        text = codec.dumps(
            {
                "schema": SCHEMA,
                "server_id": sender.server_id,
                "workflow_id": sender.workflow_id,
                "run_id": sender.run_id,
                "node_id": sender.node_id,
                "epoch": sender.epoch,
                "host": place.hostname,
                "boot_id": place.boot_id,
                "pid": place.pid,
                "start": place.start,
                "endings": list(endings),
            }
        )
        os.makedirs(folder, mode=0o700, exist_ok=True)
        write_durably(path, text)
        return path


class _File:
    __slots__ = ("left", "path")

    def __init__(self, path: str, left: set[Key]) -> None:
        self.path = path
        self.left = left


def key_of(ending: Ending) -> Key:
    """Which attempt it is of."""
    return ending.job, ending.run_id, ending.attempt_id


def second_folder() -> str:
    """Where results are kept that cannot be written to the output directory."""
    return f"{tempfile.gettempdir()}/torc-spool-{os.geteuid()}"


def write_durably(path: str, text: bytes) -> None:
    """Write a file so that it is there, whole, after any crash, or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = os.path.dirname(path)
    mine = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(mine).st_uid != os.geteuid():
            raise PermissionError(1, "not our own folder")
        part = f"{os.path.basename(path)}.part"
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(part, flags, 0o600, dir_fd=mine)
        try:
            with open(file, "wb") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(part, os.path.basename(path), src_dir_fd=mine, dst_dir_fd=mine)
        except OSError:
            with suppress(OSError):
                os.unlink(part, dir_fd=mine)
            raise
        os.fsync(mine)
    finally:
        os.close(mine)
