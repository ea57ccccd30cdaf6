"""How the worker of a workflow is on this host (`remote.md` §6.1)."""

from __future__ import annotations

from enum import StrEnum

from torc_core.record import record
from torc_ssh.agent import places
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.places import Lock, Note, Whose


class State(StrEnum):
    """How a worker is."""

    RUNNING = "running"
    STARTING = "starting"
    NOT_RUNNING = "not running"
    STALE = "stale"


@record(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a worker; `locked`: whether somebody has its lock."""

    state: State
    note: Note | None
    locked: bool

    def answer(self) -> Answered:
        """As it is told."""
        note = self.note
        told: Answered = {"status": self.state.value}
        if note is not None:
            told |= {
                "pid": note.pid, "started_at": note.started_at, "compute_node_id": note.node_id, "epoch": note.epoch,
                "version": note.version, "log": note.log, "output_dir": note.output_dir, "exit_code": note.exit_code,
                "start_id": note.start_id,
            }  # fmt: skip
        return told


def status(asked: Asked) -> Answered:
    """Answer the question how a worker is."""
    whose = Whose.of(asked)
    lock = Lock(whose)
    try:
        return seen(whose, lock, asked.maybe_text("output_dir")).answer()
    finally:
        lock.close()


def seen(whose: Whose, lock: Lock, output_dir: str | None) -> Seen:
    """Look; the lock is shared afterwards if nobody had it for himself."""
    # NOTE: a lock cannot be looked at without being taken for a moment; who starts a worker waits for that moment.
    locked = not lock.take(shared=True)
    note = known(whose, lock, output_dir)
    if note is not None and note.lives:
        return Seen(state=State.STARTING if note.node_id is None else State.RUNNING, note=note, locked=locked)
    if locked:
        return Seen(state=State.STARTING, note=None, locked=True)
    if note is None or note.exit_code is not None:
        return Seen(state=State.NOT_RUNNING, note=note, locked=False)
    return Seen(state=State.STALE, note=note, locked=False)


def known(whose: Whose, lock: Lock, output_dir: str | None) -> Note | None:
    """What the pid file says: that of who has the lock, else that in the output directory."""
    told = lock.told()
    paths = [told[0]] if told is not None else []
    if output_dir is not None:
        paths.append(places.pid_file(places.output_dir(output_dir), whose))
    for path in paths:
        note = places.note_in(path)
        if note is not None and (note.store_id, note.workflow) == (whose.store_id, whose.workflow):
            return note
    return None
