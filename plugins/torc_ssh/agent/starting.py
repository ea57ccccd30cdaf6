"""Starts the worker of a workflow on this host, at most one, and finds out what became of it (`remote.md` §5)."""

from __future__ import annotations

import getpass
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from torc_core import __version__
from torc_core.errors import Conflict
from torc_core.record import record
from torc_ssh.agent import places, processes, reaching
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.looking import Seen, State, known, seen
from torc_ssh.agent.places import Lock, Note, Whose
from torc_ssh.agent.processes import MARK, MODULE

LOOK = 0.05
BEGIN = 10.0
"""Seconds within which who has the lock writes its pid file."""

FIRST_CONTACT = 10.0
"""Seconds that the server may be away when a worker begins (RW15)."""

LAST_LINES = 5
LONGEST_TAIL = 16_384

SETUP = '{ :; %s\n} </dev/null %d>&- || { echo "Error: --setup ended with code $?" >&2; exit 97; }\nexec "$@"'

SESSION = (
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "SSH_AUTH_SOCK",
    "SSH_ORIGINAL_COMMAND",
    "SSH_USER_AUTH",
)
"""What is said of the session that ends soon; a worker outlives it."""


@record(frozen=True, slots=True, kw_only=True)
class Files:
    """Where a new worker writes."""

    folder: Path
    pid: Path
    log: Path
    key: Path | None


def start(asked: Asked, umask: int) -> Answered:
    """Start a worker, unless there is one, and wait until it is registered, dead, or the time is over.

    Answers `started`, `already_running`, `died`, `complete` or `refused`.

    Raises
    ------
    Conflict
        If the output directory cannot be written to.
    """
    if refusal := refused(asked):
        return refusal
    whose, wait = Whose.of(asked), asked.number("wait", 30.0)
    folder = places.output_dir(asked.text("output_dir"))
    lock = Lock(whose)
    try:
        if not taken(lock, whose, asked.text("start_id"), str(folder)):
            return there(asked, whose, lock, wait)
        for pid in processes.workers(whose.prefix):
            # A worker whose lock was removed under its feet, with the runtime folder of a session that ended.
            return {"status": "already_running", "pid": pid, "started_at": None, "compute_node_id": None}
        files = prepared(asked, whose, folder)
        lock.tell(files.pid, asked.text("start_id"))
        process = spawned(asked, whose, files, lock, umask)
        return outcome(asked, whose, lock, process, files, wait)
    finally:
        lock.close()


def refused(asked: Asked) -> Answered | None:
    """Why nothing is started here: another version, or no way to the server; None: nothing is in the way."""
    wanted = asked.maybe_text("version")
    if wanted is not None and wanted != __version__:
        return {"status": "refused", "code": "version", "version": __version__}
    if asked.flag("test_url"):
        way = reaching.reach(asked.text("url"))
        if way["ok"] is not True:
            return {"status": "refused", "code": "unreached", "reach": way}
    return None


def taken(lock: Lock, whose: Whose, start_id: str, output_dir: str) -> bool:
    """Take the lock; False: a worker has it. Somebody who only looks is waited for."""
    deadline = time.monotonic() + BEGIN
    while not lock.take():
        told, note = lock.told(), known(whose, lock, output_dir)
        lives = note is not None and note.lives
        if lives or (told is not None and told[1] == start_id) or time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True


def there(asked: Asked, whose: Whose, lock: Lock, wait: float) -> Answered:
    """Tell of the worker that has the lock; one that this very request has started is reported as such (RW16)."""
    told, start_id = lock.told(), asked.text("start_id")
    if told is None or told[1] != start_id:
        return {**seen(whose, lock, None).answer(), "status": "already_running"}
    deadline = time.monotonic() + wait
    while True:
        free = lock.take(shared=True)
        note = places.note_in(told[0])
        ours = note is not None and note.start_id == start_id
        if note is not None and ours and note.node_id is not None and note.lives:
            return began(note)
        if free:
            return died(note.exit_code if note is not None and ours else None, told[0].with_suffix(".log"))
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK)
    return {
        **Seen(state=State.STARTING, note=note if ours else None, locked=True).answer(),
        "status": "started",
    }


def prepared(asked: Asked, whose: Whose, folder: Path) -> Files:
    """Make the folder, keep the former log, write the key down."""
    try:
        places.mark_folder(folder)
        pid = places.pid_file(folder, whose)
        log = pid.with_suffix(".log")
        places.rotate(log)
        key = None
        if text := asked.maybe_text("key"):
            key = places.key_file(whose)
            places.write_key(key, text)
    except OSError as error:
        raise Conflict(
            f"cannot write to '{error.filename or folder}': {(error.strerror or 'error').lower()}; choose another "
            "--output-dir"
        ) from error
    return Files(folder=folder, pid=pid, log=log, key=key)


def spawned(asked: Asked, whose: Whose, files: Files, lock: Lock, umask: int) -> subprocess.Popen[bytes]:
    """Start the process, which has the lock from its first moment and does not end with this session."""
    import json

    told = {
        "lock": lock.descriptor,
        "pid_file": str(files.pid),
        "umask": umask,
        "note": {
            "store_id": whose.store_id, "workflow": whose.workflow, "hostname": places.hostname(),
            "version": __version__, "start_id": asked.text("start_id"), "log": str(files.log),
            "key": str(files.key or ""), "output_dir": str(files.folder),
        },
        "words": words(asked, whose, files),
    }  # fmt: skip
    chdir = asked.maybe_text("chdir")
    # NOTE: the address is there for whoever looks at the processes of the host; nothing secret is.
    command = [
        sys.executable,
        "-P",
        "-m",
        MODULE,
        asked.text("url"),
        str(whose.workflow),
        asked.text("worker"),
    ]
    if setup := asked.maybe_text("setup"):
        shell = SETUP.replace("%d", str(lock.descriptor)).replace("%s", setup)
        command = ["bash", "-l", "-c", shell, "torc", *command]
    environ = {**environment(asked), MARK: f"{whose.prefix}{secrets.token_hex(16)}"}
    try:
        with open(
            os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab"
        ) as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environ, start_new_session=True,
                cwd=places.output_dir(chdir) if chdir else places.home(), pass_fds=(lock.descriptor,),
            )  # fmt: skip
    except OSError as error:
        raise Conflict(
            f"cannot start the worker: {error.filename or ''}: {(error.strerror or 'error').lower()}"
        ) from error
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.close()
    return process


def environment(asked: Asked) -> dict[str, str]:
    """What the worker, and with it every job, has in its environment."""
    own = {name: value for name, value in os.environ.items() if name not in SESSION}
    return own | {name: str(value) for name, value in asked.mapping("env").items()}


def words(asked: Asked, whose: Whose, files: Files) -> Sequence[str]:
    """The command line of the runner."""
    told = ["--url", asked.text("url")]
    if files.key is not None:
        told += ["--token-file", str(files.key)]
    told += ["run", str(whose.workflow), "--output-dir", str(files.folder), "--progress", "none"]
    told += ["--remote-worker", asked.text("worker"), "--node-file", str(files.pid)]
    told += ["--wait-for-server", repr(FIRST_CONTACT / 60), "--idle-exit", repr(asked.number("idle_exit", 0))]
    for name in ("poll_interval", "max_parallel_jobs", "num_cpus", "memory_gb", "num_gpus"):
        if (number := asked.maybe_number(name)) is not None:
            told += [f"--{name.replace('_', '-')}", f"{number:.15g}"]
    for name in ("time_limit", "label"):
        if (text := asked.maybe_text(name)) is not None:
            told += [f"--{name.replace('_', '-')}={text}"]
    return told


def outcome(
    asked: Asked, whose: Whose, lock: Lock, process: subprocess.Popen[bytes], files: Files, wait: float
) -> Answered:
    """Wait until the worker is registered or has ended."""
    deadline = time.monotonic() + wait
    note: Note | None = None
    while True:
        code = process.poll()
        note = places.note_in(files.pid)
        ours = note is not None and note.start_id == asked.text("start_id")
        if ours and note is not None and note.node_id is not None:
            return began(note)
        if code is not None:
            if files.key is not None:
                files.key.unlink(missing_ok=True)
            return died(code, files.log)
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK)
    if note is not None and ours:
        return began(note)
    return {"status": "started", "pid": process.pid, "compute_node_id": None, "log": str(files.log)}


def began(note: Note) -> Answered:
    """A worker that lives."""
    found = Seen(state=State.RUNNING, note=note, locked=True).answer()
    found["status"] = "started"
    if doubt := ends_with_session():
        found["warning"] = doubt
    return found


def died(code: int | None, log: Path) -> Answered:
    """A worker that has ended: there was nothing to do, or something was wrong."""
    if code in (0, 1, 7):
        return {"status": "complete", "exit_code": code, "last_log": list(last_lines(log))}
    return {"status": "died", "exit_code": code, "last_log": list(last_lines(log)), "log": str(log)}


def last_lines(log: Path) -> Sequence[str]:
    """The end of a log."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]


def ends_with_session(etc: Path = Path("/etc/systemd")) -> str | None:
    """What helps where the processes of a user end when he logs out (RW12)."""
    settings: Mapping[str, str] = {}
    for file in [etc / "logind.conf", *sorted((etc / "logind.conf.d").glob("*.conf"))]:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        settings = {
            **settings,
            **{key.strip(): value.strip() for key, _, value in (one.partition("=") for one in lines)},
        }
    if settings.get("KillUserProcesses", "no").lower() not in ("yes", "true", "on", "1"):
        return None
    user = getpass.getuser()
    if Path("/var/lib/systemd/linger", user).exists():
        return None
    return f"this host ends processes of '{user}' at logout; run there: loginctl enable-linger"
