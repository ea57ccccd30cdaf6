"""Where a worker leaves what: its lock, which is this host's alone, its files in the output directory, and its key."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torc_core.errors import Conflict
from torc_core.record import record
from torc_ssh.agent.asked import Asked
from torc_ssh.agent.processes import Mark, boot_id, process_start

MARKER = ".torc-output"
"""A file in every directory that is ours to empty."""

LOGS_KEPT = 5
_LONGEST = 65_536


@record(frozen=True, slots=True, kw_only=True)
class Whose:
    """Which worker of this host: that of a workflow of a store."""

    store_id: str
    workflow: int

    @classmethod
    def of(cls, asked: Asked) -> Whose:
        """The one that a request is about.

        Raises
        ------
        Conflict
            If the id of the store could not be the part of a file name.
        """
        store = asked.text("store_id")
        if not store or len(store) > 64 or not store.replace("-", "").isalnum():
            raise Conflict(f"{store!r} is not the id of a store")
        return cls(store_id=store, workflow=int(asked.number("workflow")))

    @property
    def prefix(self) -> str:
        """How the marks of its workers begin."""
        return f"{self.store_id}.{self.workflow}."


@record(frozen=True, slots=True, kw_only=True)
class Note:
    """What a worker wrote about itself into its pid file.

    Parameters
    ----------
    start
        Clock ticks since boot.
    start_id
        Of the request that started it.
    node_id, epoch
        As which node it was registered; None: not yet.
    exit_code
        With which it ended, in order; None: it has not, or was killed.
    """

    path: Path
    pid: int
    start: int
    boot_id: str
    mark: str
    store_id: str
    workflow: int
    hostname: str = ""
    version: str = ""
    start_id: str = ""
    started_at: float = 0.0
    log: str = ""
    key: str = ""
    output_dir: str = ""
    node_id: int | None = None
    epoch: str | None = None
    exit_code: int | None = None

    @property
    def lives(self) -> bool:
        """Whether the very process is there: pid, start, life of the host and mark (RW20)."""
        return (
            self.boot_id == boot_id()
            and process_start(self.pid) == self.start
            and Mark(self.mark).on(self.pid)
        )


def hostname() -> str:
    """What this host calls itself, as the part of a file name."""
    return os.uname().nodename.replace("/", "_")


def home() -> Path:
    """The home of this user."""
    return Path(os.environ.get("HOME") or Path.home())


def output_dir(text: str) -> Path:
    """The output directory that a text means: relative to the home; only a leading `~` is understood."""
    if text == "~" or text.startswith("~/"):
        text = text[2:]
    return home() / text


def lock_folder() -> Path:
    """A folder of this host and this user alone (`security.md` D3).

    Raises
    ------
    Conflict
        If somebody else has made it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime)
    folder = Path(tempfile.gettempdir()) / f"torc-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise Conflict(f"the folder for locks '{folder}' cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise Conflict(f"'{folder}' is not a folder of yours alone; have it removed, locks are kept there")
    return folder


class Lock:
    """The lock of a worker; what is in it tells where its pid file is."""

    def __init__(self, whose: Whose) -> None:
        self.path = lock_folder() / f"torc-worker-{whose.store_id}-{whose.workflow}-{hostname()}.lock"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False) -> bool:
        """Take it, if nobody has it; `shared`: with others who only look."""
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def tell(self, path: Path, start_id: str) -> None:
        """Write down where the pid file is, and which request it is for; for who has the lock."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{start_id}\n".encode() + os.fsencode(path), 0)

    def told(self) -> tuple[Path, str] | None:
        """Where the pid file of who has it, or had it last, is, and by which request it was started."""
        start_id, _, path = os.pread(self.descriptor, _LONGEST, 0).partition(b"\n")
        return (Path(os.fsdecode(path)), start_id.decode("utf-8", "replace")) if path else None

    def close(self) -> None:
        """Let go, unless another process was given it."""
        os.close(self.descriptor)


def pid_file(folder: Path, whose: Whose) -> Path:
    """The pid file in an output directory; that of a worker of another store keeps its name."""
    path = folder / f"torc_worker_{whose.workflow}_{hostname()}.pid"
    other = note_in(path)
    if other is not None and other.store_id != whose.store_id:
        return path.with_name(f"{path.stem}_{whose.store_id[:8]}.pid")
    return path


def note_in(path: Path) -> Note | None:
    """What a pid file says; None: nothing that we have written."""
    told = _json(path)
    try:
        return Note(
            path=path, pid=int(told["pid"]), start=int(told["process_start"]), boot_id=str(told["boot_id"]),
            mark=str(told["marker"]), store_id=str(told["store_id"]), workflow=int(told["workflow"]),
            hostname=str(told.get("hostname", "")), version=str(told.get("version", "")),
            start_id=str(told.get("start_id", "")), started_at=float(told.get("started_at", 0)),
            log=str(told.get("log", "")), key=str(told.get("key", "")), output_dir=str(told.get("output_dir", "")),
            node_id=told.get("node_id"), epoch=told.get("epoch"), exit_code=told.get("exit_code"),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def write_note(path: Path, told: Mapping[str, Any]) -> None:
    """Write a pid file, in one piece, for this user alone."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def ended(path: Path, code: int) -> None:
    """Write into a pid file that its process ends, in order."""
    told = _json(path)
    if told.get("pid") == os.getpid():
        write_note(path, {**told, "exit_code": code})


def rotate(log: Path) -> None:
    """Keep the logs of former workers as `.1` to `.5`; the oldest goes."""
    if not log.exists():
        return
    for number in range(LOGS_KEPT, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))


def mark_folder(folder: Path) -> None:
    """Make an output directory, and the file that says that it is one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / MARKER
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write('{"schema": "torc.output/1"}\n')


def key_file(whose: Whose) -> Path:
    """Where the key of a worker is kept, which it shows to the server."""
    state = os.environ.get("XDG_STATE_HOME") or home() / ".local/state"
    return Path(state) / "torc/workers" / f"{whose.store_id}.{whose.workflow}.{hostname()}.key"


def write_key(path: Path, text: str) -> None:
    """Write a key for this user alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def _json(path: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return {}
    with open(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != os.getuid():
            return {}
        try:
            told = json.loads(file.read(_LONGEST))
        except ValueError:
            return {}
    return told if isinstance(told, dict) else {}
