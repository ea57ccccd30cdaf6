"""What a runner does so that nothing is lost when it, its guardian or the store is: outbox, delivery, will."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from torc_core.errors import TorcError
from torc_core.model import Beat, Ending, JobStatus, Node, Turn, Usage, Verdict, Workflow
from torc_core.protocols import Clock, Executor, Guarding, Queue, Will
from torc_core.runner.actions import ChoreStore
from torc_core.runner.delivery import Recipient, deliver
from torc_core.runner.lease import Lease, insist
from torc_core.runner.log import log
from torc_core.runner.options import Options
from torc_core.runner.outbox import FOLDER, Outbox, Sender, second_folder
from torc_core.runner.place import Place
from torc_core.runner.report import End

LAST_CALL = 5.0
"""Seconds for which a runner that leaves tries to say so."""
ABSENT = 2
"""Beats that do not list a job until it counts as never forked (`engine.md` §15.2)."""
UNSEEN = 1.0
"""Seconds for which the guardian waits for the runner to do it itself."""
FENCE_LEAD = 10.0
"""Seconds between SIGTERM and SIGKILL when the guardian finds that the lease has run out."""


class Keeping:
    """The outbox of a runner, and what its guardian has to know; `keep` and `answered` may be called by any thread."""

    def __init__(
        self,
        store: Queue,
        executor: Executor,
        clock: Clock,
        options: Options,
        node: Node,
        workflow: Workflow,
        place: Place,
        output_dir: str,
        recipient: ChoreStore | None,
    ) -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._workflow = workflow
        self._spools = options.spools
        self._output_dir = output_dir
        self._outbox = Outbox(output_dir, Sender.of(store.server_id, workflow.run_id, node, place))
        self._guarding = executor if isinstance(executor, Guarding) else None
        self._told = 0.0
        if self._guarding is not None and options.deliver:
            name = f"{store.server_id}.{workflow.id}.{node.epoch}.last.json"
            self._guarding.entrust(
                Will(
                    path=f"{output_dir}/{FOLDER}/{name}",
                    second=f"{second_folder()}/{name}",
                    about={
                        "server_id": store.server_id, "workflow_id": workflow.id, "run_id": workflow.run_id,
                        "node_id": node.id, "epoch": node.epoch, "host": place.hostname, "boot_id": place.boot_id,
                        "pid": place.pid, "start": place.start,
                    },
                    deliver=options.deliver,
                )
            )  # fmt: skip
        if recipient is not None and hasattr(recipient, "reconcile"):
            self._deliver(cast("Recipient", recipient))

    def before_sending(self) -> Callable[[Sequence[Ending]], None] | None:
        """What is called with results before they are sent; None: the store is of this process, its commit suffices."""
        return self._outbox.keep if self._spools else None

    def keep(self, ends: Sequence[End]) -> None:
        """These may not be told for long."""
        self._outbox.keep([end.ending for end in ends])

    def answered(self, ends: Sequence[tuple[End, Verdict]]) -> None:
        """The store has judged these: they need not be kept, and what was only for bad ends is removed."""
        self._outbox.answered([end.ending for end, _ in ends])
        if self._guarding is not None:
            self._guarding.known([end.ending.job for end, _ in ends])
        for end, verdict in ends:
            _clean_up(end, verdict)

    def fail(self, ends: Sequence[End]) -> None:
        """This runner fails: these are kept, and its guardian tells the rest."""
        self.keep(ends)
        if self._guarding is not None:
            self._guarding.known([end.ending.job for end in ends])
            self._guarding.bequeath()

    def renew(self, lease: Lease) -> None:
        """See that the guardian ends the jobs when the lease of a runner that fences runs out unseen by itself."""
        if self._guarding is None or not (lease.fences and self._spools):
            return
        at, lead = lease.until + UNSEEN, FENCE_LEAD
        if lease.lost:
            # The jobs know from the runner by now, and need not be told twice.
            at, lead = at + lead, 0.0
        # PERF: not with each answer of a busy store; what is not told must never make it act too early.
        if at > self._told + UNSEEN / 2:
            self._told = at
            self._guarding.fence(at, lead)

    def goodbye(self, usage: Usage | None, beats: Sequence[Beat]) -> None:
        """Tell the store that this runner leaves, after these beats."""
        node = self._node
        try:
            for beat in beats:
                turn = Turn(node=node.id, epoch=node.epoch, beat=beat)
                insist(lambda turn=turn: self._store.turn(turn), self._clock, LAST_CALL)  # type: ignore[misc]
            insist(lambda: self._store.leave(node.id, usage), self._clock, LAST_CALL)
        except TorcError as error:
            log.warning("left_without_goodbye node_id=%d why=%s", node.id, error)

    def sentence(self) -> str | None:
        """Where results are kept that could not be told; None: there are none."""
        count, workflow = self._outbox.kept, self._workflow
        if not count:
            return None
        were = f"results of {count} job{'' if count == 1 else 's'} are kept in {self._outbox.folder}"
        return f"{were}; deliver with: torc reconcile {workflow.id} {workflow.run_id} --base-dir {self._output_dir}"

    def _deliver(self, store: Recipient) -> None:
        """Deliver what runners left that have died on this host (`runner.md` §2.1)."""
        try:
            told = deliver(store, self._output_dir, self._workflow.id, proven=True)
        except (TorcError, OSError) as error:
            log.warning("outboxes_not_delivered why=%s", error)
        else:
            if told:
                log.info("outboxes_delivered results=%d", len(told))


def _clean_up(end: End, verdict: Verdict) -> None:
    """An end is acknowledged: remove what was only to be kept for a bad one."""
    if verdict in (Verdict.STALE, Verdict.DIFFERENT):
        log.warning("ending_refused job_id=%d verdict=%s", end.ending.job, verdict)
    elif end.delete_on_success and end.ending.status is JobStatus.COMPLETED:
        for path in (end.stdout, end.stderr):
            if path is not None:
                with suppress(OSError):
                    os.unlink(path)
