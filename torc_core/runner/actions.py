"""What a runner does when a trigger of its workflow fires: commands, one after the other (`runner.md` §11)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Protocol, TypeVar

from torc_core.errors import Conflict, NotFound, TorcError, Unavailable, Unreached
from torc_core.model import (
    Action,
    ActionClaim,
    ActionId,
    ActionRun,
    Held,
    JobId,
    Node,
    NodeId,
    Totals,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Batch, Clock, Exit, Task
from torc_core.runner.attempt import Workplace
from torc_core.runner.errands import Errands
from torc_core.runner.lease import NOBODY
from torc_core.runner.log import log
from torc_core.runner.provenance import RecordStore

R = TypeVar("R")

AT_START = ("on_workflow_start", "on_worker_start")
AT_END = ("on_workflow_complete", "on_worker_complete")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries while the store is away."""
LAST_CALL = 2.0
"""Seconds that a call to the store may take to end when the runner leaves."""


class ChoreStore(RecordStore, Protocol):
    """What a runner needs of a store besides the queue: for limits, actions, recovery scripts and provenance."""

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are."""
        ...

    def due_actions(self, workflow: WorkflowId, triggers: Sequence[str] = ()) -> Sequence[Action]:
        """Actions that have fired and are not executed, or are persistent."""
        ...

    def claim_action(self, action: ActionId, claim_id: str | None, node: NodeId | None) -> ActionClaim:
        """Take the firing of an action."""
        ...

    def step_action(self, action: ActionId, claim_id: str, step: int) -> ActionRun:
        """Record that a command is about to be run."""
        ...

    def end_action(self, action: ActionId, claim_id: str, ok: bool, message: str | None = None) -> ActionRun:
        """Record how it went."""
        ...

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended."""
        ...


class Insistent:
    """Calls a store until it answers, or the runner is leaving for good."""

    def __init__(self, closed: Event) -> None:
        self._closed = closed

    def __call__(self, call: Callable[[], R]) -> R:
        """What the call answers.

        Raises
        ------
        TorcError
            As the store says; `Unavailable` once the runner is leaving.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                return call()
            except Unavailable as error:
                if self._closed.wait(pause):
                    raise
                pause = min(pause * 2, NOBODY if isinstance(error, Unreached) else LONGEST_PAUSE)


class Actions:
    """Claims what is due and executes its commands, in threads beside the loop.

    Parameters
    ----------
    output_dir
        Where commands run, and below which their output goes.
    batches
        Opens the batch systems in whose queues what is due is done; None: none is looked at.
    """

    def __init__(
        self,
        store: ChoreStore,
        errands: Errands,
        clock: Clock,
        node: Node,
        workflow: Workflow,
        place: Workplace,
        output_dir: str,
        batches: Callable[[], Sequence[Batch]] | None = None,
    ) -> None:
        self._open = batches
        self._batches: Sequence[Batch] | None = None
        self._store = store
        self._errands = errands
        self._clock = clock
        self._node = node
        self._run_id = workflow.run_id
        self._place = place
        self._output_dir = output_dir
        # A runner that stays after the end of the workflow does not wait for its own end.
        self._last = AT_END[1:] if workflow.compute_node_ignore_workflow_completion else AT_END
        self._closed = Event()
        self._insist = Insistent(self._closed)
        self._lock = Lock()
        self._hurried = False
        self._under_way = 0
        self._threads: list[Thread] = []
        self._waiting: set[SimpleQueue[Exit | None]] = set()
        self._tried: frozenset[ActionId] = frozenset()
        self._schedules = False
        self._first: list[Action] = []
        self.failures: list[str] = []
        """Sentences about actions that failed."""

    @property
    def busy(self) -> bool:
        """Whether one is being executed, or looked for."""
        with self._lock:
            return self._under_way > 0

    def begin(self) -> None:
        """Execute what is due at the start of a worker, one after the other."""
        try:
            found = self._at_start()
        except Unavailable:
            self._spawn(lambda: self._execute_all(self._insist(self._at_start)))
            return
        if found:
            self._spawn(lambda: self._execute_all(found))

    def hear(self, due: Sequence[ActionId]) -> None:
        """These have fired and wait; those that were looked at before are left alone until they fire again."""
        if self._schedules:
            # Jobs do not wait for it, as they do for the commands of the start.
            self._schedules = False
            self._spawn(self._tend)
        fresh = [action for action in due if action not in self._tried]
        self._tried = frozenset(due)
        if fresh:
            self._spawn(lambda: self._look(fresh))

    def finish(self) -> None:
        """Execute what is due when a worker goes, one after the other, and nothing more of what was due when it came."""
        self._first.clear()
        self._spawn(lambda: self._execute_all(self._insist(lambda: self._due(AT_END))))
        if self._open is not None:
            self._spawn(self._last_care)

    def hurry(self) -> None:
        """Start no further command; what has been asked for before can be ended as an errand."""
        with self._lock:
            self._hurried = True

    def close(self) -> None:
        """Execute nothing more; what is under way is lost."""
        self._closed.set()
        for queue in list(self._waiting):
            queue.put(None)
        for thread in self._threads:
            thread.join(LAST_CALL)

    def _at_start(self) -> list[Action]:
        due = self._store.due_actions(self._node.workflow_id)
        # Nodes that each runner asks for: nobody says again that they are due.
        self._schedules = any(one.action_type == "schedule_nodes" and one.persistent for one in due)
        self._first = self._commands(due, AT_START)
        return self._first

    def _due(self, triggers: Sequence[str]) -> list[Action]:
        return self._commands(self._store.due_actions(self._node.workflow_id, triggers), triggers)

    def _commands(self, due: Sequence[Action], triggers: Sequence[str]) -> list[Action]:
        due = [one for one in due if one.trigger_type in triggers]
        wanted = [one for one in due if one.action_type == "run_commands"]
        return sorted(wanted, key=lambda one: (triggers.index(one.trigger_type), one.id))

    def _look(self, ids: Sequence[ActionId]) -> None:
        due = self._insist(lambda: self._store.due_actions(self._node.workflow_id))
        if any(action.id in ids and action.action_type == "schedule_nodes" for action in due):
            self._spawn(self._tend)
        for action in due:
            mine = action.id in ids and action.action_type == "run_commands"
            if mine and action.trigger_type not in self._last:
                self._spawn(lambda action=action: self._execute(action))  # type: ignore[misc]  # bound early

    def _tend(self, *, leaving: bool = False) -> None:
        """Have the batch systems of this host do what is due."""
        if self._open is None:
            return
        with self._lock:
            self._batches = self._open() if self._batches is None else self._batches
        for batch in self._batches:
            try:
                done = batch.tend(self._node.workflow_id, node=self._node.id, leaving=leaving)
            except TorcError as error:
                log.warning("batch_lost workflow_id=%d why=%s", self._node.workflow_id, error)
            else:
                for sentence in done.waiting:
                    log.info("batch_waits workflow_id=%d why=%s", self._node.workflow_id, sentence)

    def _last_care(self) -> None:
        """Nodes that a runner asks for as it goes; what nothing needs any more leaves the queue before the last one goes."""
        workflow = self._node.workflow_id
        due = self._insist(lambda: self._store.due_actions(workflow, AT_END[1:]))
        (totals,) = self._insist(lambda: self._store.totals([workflow]))
        if totals.pending_allocations or any(one.action_type == "schedule_nodes" for one in due):
            self._tend(leaving=True)

    def _execute_all(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if self._hurried:
                return
            self._execute(action)

    def _execute(self, action: Action) -> None:
        claim_id = self._clock.uuid()
        try:
            claim = self._insist(lambda: self._store.claim_action(action.id, claim_id, self._node.id))
        except (Conflict, NotFound):
            return  # somebody else has it, or it is gone
        log.info("action_started workflow_id=%d action_id=%d trigger=%s", self._node.workflow_id, action.id,
                 action.trigger_type)  # fmt: skip
        commands = action.config["commands"]
        assert isinstance(commands, (list, tuple))
        path = self._log_of(action, claim.run)
        message = None
        for number, command in enumerate(commands, 1):
            self._insist(lambda number=number: self._store.step_action(action.id, claim_id, number))  # type: ignore[misc]
            ended = self._command(action, str(command), path)
            if ended is None:
                if self._closed.is_set():
                    return
                message = f"command {number} was not started: interrupted; log: {path}"
                break
            if ended.return_code or ended.error:
                message = f"command {number} ended with {ended.error or ended.return_code}; log: {path}"
                break
        ok = message is None
        self._insist(lambda: self._store.end_action(action.id, claim_id, ok, message))
        if message is not None:
            self.failures.append(f"action {action.id} ({action.trigger_type}) failed: {message}")
        log.info("action_ended workflow_id=%d action_id=%d ok=%s", self._node.workflow_id, action.id, ok)

    def _command(self, action: Action, command: str, path: str) -> Exit | None:
        """Run a command to its end; None: the runner leaves before, or starts nothing any more."""
        ends: SimpleQueue[Exit | None] = SimpleQueue()
        self._waiting.add(ends)
        try:
            if self._closed.is_set():
                return None
            with self._lock:
                if self._hurried:
                    return None
                self._errands.ask(lambda number: self._task(action, command, path, number), ends.put)
            return ends.get()
        finally:
            self._waiting.discard(ends)

    def _task(self, action: Action, command: str, path: str, number: JobId) -> Task:
        mark = f"{self._place.mark}.a{action.id}.{self._run_id}.{-number}"
        return Task(
            job=number, attempt_id=1, command=f"exec >>{shlex.quote(path)} 2>&1\n{command}", script=None,
            base=self._place.base, env={"TORC_RUN_ID": str(self._run_id), "TORC_MARK": mark}, cwd=self._output_dir,
            stdout=None, stderr=None, files=f"{path}.{-number}", mark=mark, daemons=self._place.execution.allow_daemons,
        )  # fmt: skip

    def _log_of(self, action: Action, run: ActionRun) -> str:
        """The file for the output of an action's commands, which nobody else may read."""
        each = f"_n{run.node_id}" if run.node_id else ""
        folder = f"{self._output_dir}/actions"
        path = f"{folder}/action_wf{action.workflow_id}_{action.id}_r{run.run_id}{each}.log"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return path

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = Thread(target=self._guarded, args=(work,), name="torc-action", daemon=True)
        with self._lock:
            self._under_way += 1
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (TorcError, OSError) as error:
            if not self._closed.is_set():
                self.failures.append(f"an action could not be executed: {error}")
                log.warning("action_lost workflow_id=%d why=%s", self._node.workflow_id, error)
        finally:
            with self._lock:
                self._under_way -= 1
            self._errands.wake()
