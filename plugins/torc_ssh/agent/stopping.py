"""Ends the worker of a workflow on this host, and nobody else (`remote.md` §6.2)."""

from __future__ import annotations

import signal
import time

from torc_ssh.agent import places
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.looking import Seen, State, seen
from torc_ssh.agent.places import Lock, Note, Whose
from torc_ssh.agent.processes import Mark, marks, process_start, signaled

LOOK = 0.05
BEGIN = 10.0
"""Seconds within which a worker that begins writes its pid file."""
DEAD_WITHIN = 5.0
"""Seconds from SIGKILL until a process is gone."""


def stop(asked: Asked) -> Answered:
    """Ask a worker to end, or kill it and everything that it started.

    Answers `stopped`, `not running`, `stale` or `still_stopping`.
    """
    whose, force = Whose.of(asked), asked.flag("force")
    found = known_worker(whose, asked.maybe_text("output_dir"))
    told = found.answer()
    note = found.note
    if note is None and found.state is State.STARTING and force:
        # It has not even written down who it is, as when its setup hangs.
        killed = sum(mark.kill() for mark in marks(whose.prefix))
        _without_key(whose)
        return {**told, "status": "still_stopping" if marks(whose.prefix) else "stopped", "killed": killed}
    if note is None or found.state not in (State.RUNNING, State.STARTING):
        if force and note is not None:
            # What a dead worker left carries its mark, which is nobody else's.
            told["killed"] = Mark(note.mark).kill()
            _without_key(whose)
        return told
    if force:
        told |= _killed(note)
        _without_key(whose)
        return told
    signaled(note.pid, note.start, Mark(note.mark), signal.SIGTERM)
    if not _gone(note, asked.number("timeout", 60.0)):
        return {**told, "status": "still_stopping"}
    last = places.note_in(note.path)
    return {**told, "status": "stopped", "exit_code": None if last is None else last.exit_code}


def known_worker(whose: Whose, output_dir: str | None) -> Seen:
    """How the worker is; one that begins just now is waited for, until it has written down who it is."""
    deadline = time.monotonic() + BEGIN
    while True:
        lock = Lock(whose)
        try:
            found = seen(whose, lock, output_dir)
        finally:
            lock.close()
        if found.state is not State.STARTING or found.note is not None or time.monotonic() >= deadline:
            return found
        time.sleep(LOOK)


def _killed(note: Note) -> Answered:
    """End a worker at once, and whatever carries its mark: guardian, jobs, what they left behind."""
    mark = Mark(note.mark)
    signaled(note.pid, note.start, mark, signal.SIGKILL)
    killed = mark.kill()
    gone = _gone(note, DEAD_WITHIN) and not mark.carried()
    return {"status": "stopped" if gone else "still_stopping", "killed": killed}


def _without_key(whose: Whose) -> None:
    """Remove the key of a worker that is dead, unless another one has begun."""
    lock = Lock(whose)
    try:
        if lock.take():
            places.key_file(whose).unlink(missing_ok=True)
    finally:
        lock.close()


def _gone(note: Note, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process_start(note.pid) == note.start:
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK)
    return True
