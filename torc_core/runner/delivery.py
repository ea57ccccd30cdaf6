"""Delivers what dead runners left in their outboxes (`runner.md` §9.2, §2.1 step 11)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from torc_core.errors import TorcError, Unavailable
from torc_core.model import Beat, Ending, Held, JobId, NodeId, Orders, Progress, Turn, Verdict, WorkflowId
from torc_core.record import record
from torc_core.runner.log import log
from torc_core.runner.outbox import FOLDER, SCHEMA, key_of, second_folder
from torc_core.runner.place import Place
from torc_core.store import codec

LARGEST = 64 * 1024**2
"""Bytes of a file that is read at most."""
BATCH = 1_000
"""Results that are delivered in one call."""
TAKEN = (Verdict.DONE, Verdict.SAME, Verdict.RETRY)
"""The store has taken such a result."""


class Recipient(Protocol):
    """What a delivery needs of a store."""

    @property
    def server_id(self) -> str:
        """Which store it is."""
        ...

    def reconcile(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Results that a runner left."""
        ...

    def turn(self, turn: Turn) -> Orders:
        """A turn of a runner."""
        ...

    def bury(self, node: NodeId, evidence: str, detail: str = "") -> Progress:
        """A runner is dead."""
        ...


@record(frozen=True, slots=True, kw_only=True)
class Left:
    """A file of an outbox.

    Parameters
    ----------
    last
        Its guardian wrote it when the runner had died and its jobs were ended: nothing of it lives any more.
    give_back
        What was started on record but never forked.
    """

    path: str
    run_id: int
    node_id: NodeId
    epoch: str
    place: Place
    endings: Sequence[Ending]
    last: bool = False
    give_back: Sequence[Held] = ()


@record(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A result and what became of it; None: it was only looked at."""

    ending: Ending
    path: str
    verdict: Verdict | None = None


def left_in(folder: str, server_id: str, workflow: WorkflowId, run_id: int | None = None) -> Iterator[Left]:
    """Readable files of a workflow's outboxes below an output directory, those of guardians last."""
    found = []
    for where in (f"{folder}/{FOLDER}", second_folder()):
        try:
            names = sorted(os.listdir(where))
        except OSError:
            continue
        for name in names:
            if name.startswith(f"{server_id}.{workflow}.") and name.endswith(".json"):
                one = _read(f"{where}/{name}", server_id, workflow)
                if one is not None and run_id in (None, one.run_id):
                    found.append(one)
    yield from sorted(found, key=lambda one: one.last)


def deliver(
    store: Recipient,
    folder: str,
    workflow: WorkflowId,
    run_id: int | None = None,
    *,
    dry_run: bool = False,
    proven: bool = False,
) -> list[Delivered]:
    """Tell the store every result that is left; what it has judged is removed.

    Parameters
    ----------
    dry_run
        Only look.
    proven
        Only of runners that are proven dead: a runner that starts may see the files of others that live.

    Raises
    ------
    TorcError
        If the store cannot be reached, or refuses the whole.
    """
    told: list[Delivered] = []
    seen = set()
    found = list(left_in(folder, store.server_id, workflow, run_id))
    # What its guardian says is over says nothing more, also where the process that was the runner is still there.
    over = {left.epoch for left in found if left.last}
    for left in found:
        if left.epoch not in over and (not left.place.gone if proven else _lives(left.place)):
            continue
        # What the runner itself has said of an attempt stands before what its guardian saw of it.
        endings = [one for one in left.endings if not left.last or (key_of(one), left.epoch) not in seen]
        seen |= {(key_of(one), left.epoch) for one in endings}
        if dry_run:
            told += [Delivered(ending=one, path=left.path) for one in endings]
            continue
        verdicts = _last(store, left, endings) if left.last else None
        if verdicts is None:
            verdicts = []
            for at in range(0, len(endings), BATCH):
                verdicts += store.reconcile(workflow, endings[at : at + BATCH])
        told += [
            Delivered(ending=one, path=left.path, verdict=verdict)
            for one, verdict in zip(endings, verdicts, strict=True)
        ]
        with suppress(OSError):
            os.unlink(left.path)
    for one in told:
        if one.verdict is not None and one.verdict not in TAKEN:
            log.warning("ending_refused job_id=%d verdict=%s path=%s", one.ending.job, one.verdict, one.path)
    return told


def _last(store: Recipient, left: Left, endings: Sequence[Ending]) -> list[Verdict] | None:
    """Speak for a dead runner: its results, what it never forked, its end; None: its place is taken already."""
    try:
        # Two beats that list nothing: whatever it had not forked is ready again (`engine.md` §7.10).
        orders = store.turn(
            Turn(
                node=left.node_id,
                epoch=left.epoch,
                endings=endings,
                give_back=left.give_back,
                beat=Beat(),
            )
        )
        store.turn(Turn(node=left.node_id, epoch=left.epoch, beat=Beat()))
        store.bury(left.node_id, "process_gone", "its guardian said so")
    except Unavailable:
        raise
    except TorcError as error:
        log.info("node_gone node_id=%d why=%s", left.node_id, error)
        return None
    return list(orders.endings)


def _lives(place: Place) -> bool:
    """Whether a runner is seen to live on this host."""
    return place.hostname == os.uname().nodename and not place.gone


def _read(path: str, server_id: str, workflow: WorkflowId) -> Left | None:
    """A file, if it is ours and of this store and workflow; whatever else lies there is left alone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with open(fd, "rb") as file:
        seen = os.fstat(fd)
        if seen.st_uid != os.geteuid() or seen.st_size > LARGEST:
            log.warning("outbox_ignored path=%s why=owner_or_size", path)
            return None
        text = file.read()
    try:
        found = codec.loads(text)
        if (found["schema"], found["server_id"], found["workflow_id"]) != (SCHEMA, server_id, workflow):
            return None
        return _left(path, found)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        log.warning("outbox_ignored path=%s why=%s", path, error)
        return None


def _left(path: str, found: dict[str, Any]) -> Left:
    endings = [_ending(one) for one in found["endings"]]
    return Left(
        path=path,
        run_id=int(found["run_id"]),
        node_id=NodeId(int(found["node_id"])),
        epoch=str(found["epoch"]),
        place=Place(
            hostname=str(found["host"]),
            pid=int(found["pid"]),
            boot_id=str(found["boot_id"]),
            start=int(found["start"]),
        ),
        endings=endings,
        last=bool(found.get("last", False)),
        give_back=[
            Held(job=JobId(int(job)), attempt_id=int(attempt), lease=str(lease))
            for job, attempt, lease in found.get("give_back", ())
        ],
    )


def _ending(given: Any) -> Ending:
    if not isinstance(given, Ending):
        raise TypeError("an ending is not what it should be")
    return given
