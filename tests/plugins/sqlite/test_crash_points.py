"""The server dies before and after every commit, and at every statement: repeated calls lead to the same end (F2, C2).

A server is a process of its own that owns the database and answers calls over a pipe, one line each; where it dies is
counted from outside by the statements that its connection executes. Its client repeats the call that was not answered,
with the same keys, as runners and commands do.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from torc_core import errors
from torc_core.model import (
    ActionRun,
    Assignment,
    Beat,
    Ending,
    Held,
    Initialize,
    Job,
    JobStatus,
    Kept,
    NewNode,
    Node,
    Offer,
    Orders,
    Plan,
    PlannedAction,
    PlannedHandler,
    PlannedJob,
    PlannedScheduler,
    PlannedWorkflow,
    Query,
    Resources,
    Result,
    Source,
    Spawn,
    SpawnJob,
    Turn,
    Workflow,
)
from torc_core.model.resources import GIB
from torc_core.store.calls import ONCE
from torc_core.store.codec import dumps, loads
from torc_core.system import SystemClock
from torc_core.testing.checker import Call, Mark, check, gathered
from torc_sql import creation
from torc_sql.store import SqlStore
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.settings import SqliteSettings

POINTS = int(os.environ.get("TORC_TEST_CRASH_POINTS", "4"))
"""So many single points, spread over a whole run, are tried each in a run of its own; 0: every one."""
STATEMENTS = int(os.environ.get("TORC_TEST_CRASH_STATEMENTS", "4"))
"""The same for single statements."""

MIDDLE = 26
RULE = {
    "match_all_exit_codes": False,
    "max_retries": 3,
    "delay_seconds": 0,
    "backoff": 1.0,
    "max_delay_seconds": 0,
}
RULES = [
    {**RULE, "exit_codes": [7], "recovery_script": None},
    {**RULE, "exit_codes": [9], "recovery_script": "fix"},
]
RUN = {"commands": ["echo 1", "echo 2"]}

Where = tuple[str, int] | None
"""At which point a server dies: `before` or `after` so many commits, at so many `statement`s; None: it does not."""


def diamond() -> Plan:
    """A head, 26 in the middle, a tail that comes whatever they do: retries, a script, actions; the head spawns two."""
    head = PlannedJob(name="head", command="true")
    middle = [
        PlannedJob(name=f"m{at}", command="true", groups=[(0, Source.EXPLICIT)], num_blockers=1, handler=0)
        for at in range(MIDDLE)
    ]
    tail = PlannedJob(
        name="tail", command="true", groups=[(1, Source.EXPLICIT)], num_blockers=MIDDLE, cancel_on_blocking_job_failure=False
    )  # fmt: skip
    between = tuple(range(1, MIDDLE + 1))
    actions = [
        PlannedAction(trigger_type="on_jobs_complete", action_type="run_commands", config=RUN, jobs=between),
        PlannedAction(
            trigger_type="on_workflow_start", action_type="schedule_nodes",
            config={"scheduler": "s", "scheduler_type": "slurm", "num_allocations": 2},
        ),
    ]  # fmt: skip
    return Plan(
        workflow=PlannedWorkflow(name="diamond", retry_on_node_loss=1), jobs=[head, *middle, tail],
        groups=[(0,), between], handlers=[PlannedHandler(name="h", rules=RULES)], actions=actions,
        schedulers=[PlannedScheduler(name="s", fields={"nodes": 1})],
    )  # fmt: skip


class Mortal(SqliteDatabase):
    """A database whose process ends at a point: nothing is flushed, closed or rolled back."""

    def __init__(self, path: Path) -> None:
        self.where: Where = None
        self.seen: Counter[str] = Counter()
        super().__init__(str(path), SqliteSettings(), SystemClock())

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.set_trace_callback(self._executes)
        return connection

    def _executes(self, sql: str) -> None:
        self._reach("before" if sql == "COMMIT" else "statement")

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as tx:
            yield tx
        self._reach("after")

    def _reach(self, point: str) -> None:
        self.seen[point] += 1
        if self.where == (point, self.seen[point]):
            os._exit(137)


def serve(path: Path, where: Where, requests: int, answers: int) -> None:
    """Answer one call after the other until the pipe ends; the last line tells which points there were."""
    database = Mortal(path)
    store = SqlStore(database, SystemClock())
    repaired = list(store.repair())
    store.renew_leases()
    database.seen.clear()
    database.where = where
    with os.fdopen(requests, "rb") as lines, os.fdopen(answers, "wb", buffering=0) as out:
        for line in lines:
            name, key, args = json.loads(line)
            given = loads(json.dumps(args).encode())
            try:
                assert not repaired, f"counters were wrong after a crash: {repaired}"
                said = [True, json.loads(dumps(_carry_out(store, name, key, given)))]
            except errors.TorcError as error:
                said = [False, type(error).__name__, str(error)]
            out.write(json.dumps([said, database.seen]).encode() + b"\n")
    store.close()


def _carry_out(store: SqlStore, name: str, key: str, given: Any) -> Any:
    """Do what is asked; calls that must not be done twice keep their answer in the same transaction."""
    if name not in ONCE:
        return getattr(store, name)(*given)
    with store.together():
        kept = store.kept("client", name, key)
        if kept is not None:
            # A repetition ends with a commit as well.
            store.find(Workflow, Query(limit=1))
            return loads(kept.answer.encode())
        answer = getattr(store, name)(*given)
        store.keep(
            Kept(
                principal="client",
                route=name,
                key=key,
                body_hash="",
                status=200,
                answer=dumps(answer).decode(),
            )
        )
        return answer


class Client:
    """A store behind a server that dies: every call is repeated until it is answered.

    `plan` says for each server, by its number and whether the one before it died, where it will die.
    """

    def __init__(self, path: Path, plan: Callable[[int, bool], Where]) -> None:
        self._path, self._plan = path, plan
        self.servers = self.deaths = self._keys = 0
        self.calls: list[Call] = []
        self.seen: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        self._pid = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._keys += 1
            line = json.dumps([name, f"key{self._keys}", json.loads(dumps(list(args)))]).encode() + b"\n"
            while (answer := self._ask(line)) is None:
                self.calls.append(Call(name=name, args=args, error="no answer"))
            (ok, *said), _ = answer
            if not ok:
                raise getattr(errors, said[0])(said[1])
            found = loads(json.dumps(said[0]).encode())
            self.calls.append(Call(name=name, args=args, answer=found))
            return found

        return call

    def _ask(self, line: bytes) -> Any:
        if not self._pid:
            self._start()
        try:
            self._out.write(line)
            said = self._in.readline()
        except BrokenPipeError:
            said = b""
        if said:
            answer = json.loads(said)
            self._last = answer[1]
            return answer
        self._reap()
        self.deaths += 1
        return None

    def _start(self) -> None:
        where = self._plan(self.servers, self.deaths > 0)
        self.servers += 1
        requests, answers = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            code = 1
            try:
                os.close(requests[1])
                os.close(answers[0])
                serve(self._path, where, requests[0], answers[1])
                code = 0
            finally:
                os._exit(code)
        os.close(requests[0])
        os.close(answers[1])
        self._out, self._in = os.fdopen(requests[1], "wb", buffering=0), os.fdopen(answers[0], "rb")

    def _reap(self) -> None:
        self._out.close()
        self._in.close()
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 137), f"a server ended with {code}"

    def close(self) -> None:
        """Stop the server; the points that the last one passed are in `seen`."""
        if self._pid:
            self._reap()
        self.seen = Counter(self._last)


class Run:
    """The whole life of the diamond as its clients live it: two runners, one of which is lost, and a command."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.marks: list[Mark] = []
        self._claims = 0

    def __call__(self) -> None:
        store = self.store
        self.workflow = store.create(diamond(), "ann").id
        store.initialize(self.workflow, Initialize())
        self._submit()
        node, lost = self._joined("n1"), self._joined("n2")
        ends = self._work(node, self._turn(node, claim=True))
        self._turn(node, ends)
        # This one takes two jobs with it.
        self._turn(lost, claim=True, limit=2)
        store.bury(lost.id, "boot_id")
        ends = []
        while not (orders := self._turn(node, ends, claim=True)).complete or orders.due:
            ends = self._work(node, orders)
            for action in orders.due:
                self._act(action, node)
        store.leave(node.id, None)

    def _joined(self, host: str) -> Node:
        return self.store.join(
            NewNode(
                workflow_id=self.workflow, epoch=f"epoch of {host}", hostname=host, pid=1, boot_id="b", process_start=1,
                capacity=Resources(cpus=5, memory=8 * GIB, gpus=0),
            )
        )  # fmt: skip

    def _turn(
        self, node: Node, ends: list[Ending] | None = None, *, claim: bool = False, limit: int = 3
    ) -> Orders:
        self._claims += 1
        offer = Offer(claim_id=f"claim {self._claims}", free=[node.capacity], limit=limit) if claim else None
        listed = [Held(job=end.job, attempt_id=end.attempt_id, lease=end.lease or "") for end in ends or ()]
        beat = Beat(running=listed)
        return self.store.turn(
            Turn(node=node.id, epoch=node.epoch, endings=ends or [], beat=beat, offer=offer)
        )

    def _work(self, node: Node, orders: Orders) -> list[Ending]:
        for order in orders.recover:
            self.marks.append(Mark(what="effect", key=f"script {order.job} {order.attempt_id}"))
            name = self.store.get(Job, order.job).name
            held = Held(job=order.job, attempt_id=order.attempt_id, lease=order.lease)
            self.store.recovered(node.id, node.epoch, held, name != "m6")
        return [self._ended(given) for given in orders.jobs]

    def _ended(self, given: Assignment) -> Ending:
        job, at = given.job, len(self.marks)
        for what in ("start", "end"):
            self.marks.append(
                Mark(
                    what=what, workflow=job.workflow_id, job=job.id, run=job.run_id, attempt=job.attempt_id, host="n",
                    pid=at, ns=len(self.marks) * 1000,
                )
            )  # fmt: skip
        if job.name == "head":
            self.store.spawn(
                job.id, Spawn(jobs=[SpawnJob(name=name, command="true") for name in ("s0", "s1")])
            )
        fails = {"m2": 7, "m3": 7, "m4": 9, "m6": 9, "m8": 1}
        code = fails.get(job.name, 0) if job.attempt_id == 1 or job.name == "m8" else 0
        return Ending(
            job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=job.lease, return_code=code,
            status=JobStatus.FAILED if code else JobStatus.COMPLETED,
        )  # fmt: skip

    def _submit(self) -> None:
        """Submit what the workflow asks for at its start, each intent once."""
        (action,) = self.store.due_actions(self.workflow)
        claim = self.store.claim_action(action.id, "submission", None)
        for one in claim.allocations:
            self.marks.append(Mark(what="effect", key=f"sbatch {one.submission_key}"))
            self.store.submitted(one.id, one.submission_key, f"slurm {one.ordinal}")
        self.store.end_action(action.id, "submission", True)

    def _act(self, action: Any, node: Node) -> None:
        self.store.claim_action(action, "executor", node.id)
        for step in (1, 2):
            self.store.step_action(action, "executor", step)
            self.marks.append(Mark(what="effect", key=f"action {action} step {step}"))
        self.store.end_action(action, "executor", True)


def lived(folder: Path, plan: Callable[[int, bool], Where]) -> tuple[Client, Any]:
    """Live through it; the client, and how everything stands at the end."""
    path = folder / "torc.db"
    client = Client(path, plan)
    run = Run(client)
    try:
        run()
    finally:
        client.close()
    store = SqlStore(SqliteDatabase(str(path), SqliteSettings(), SystemClock()), SystemClock())
    try:
        assert list(store.repair()) == []
        found = check(gathered(store, SystemClock().now(), marks=run.marks, calls=client.calls), ends=True)
        assert found == [], [str(one) for one in found]
        query = Query(workflow=run.workflow)
        jobs = [
            (one.name, one.status.label, one.attempt_id, one.reason) for one in store.find(Job, query).items
        ]
        results = sorted(
            (one.job_name, one.attempt_id, one.status.label, one.return_code)
            for one in store.find(Result, query).items
        )
        firings = [
            (one.action_id, one.state.value, one.progress) for one in store.find(ActionRun, query).items
        ]
        return client, (jobs, results, firings)
    finally:
        store.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, Any]:
    """What comes out when nobody dies."""
    return lived(tmp_path_factory.mktemp("calm"), lambda server, died: None)


def test_nobody_dies_in_a_calm_life(undisturbed: tuple[Client, Any]) -> None:
    client, (jobs, results, firings) = undisturbed

    assert (client.servers, client.deaths, len(jobs)) == (1, 0, 30)
    assert Counter(status for _, status, _, _ in jobs) == {"completed": 28, "failed": 2}
    assert len(results) == 30 + 3 + 2
    assert [state for _, state, _ in firings] == ["done", "done"]
    assert client.seen["before"] == client.seen["after"] >= 30


@pytest.mark.timeout(0)
def test_a_server_that_dies_before_and_after_every_commit_leaves_the_same(
    tmp_path: Path, undisturbed: tuple[Client, Any]
) -> None:
    def plan(server: int, died: bool) -> Where:
        # Every call dies before its commit, then after it; the third server answers it and dies at the next one.
        return ("after", 1) if server % 2 else ("before", 1 if not died else 2)

    client, outcome = lived(tmp_path, plan)

    assert outcome == undisturbed[1]
    assert client.deaths == 2 * undisturbed[0].seen["before"]


@pytest.mark.timeout(0)
def test_a_server_that_dies_while_it_writes_a_large_plan_leaves_one_workflow_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "AT_ONCE", 20)
    monkeypatch.setattr(creation, "CHUNK", 20)
    calm = Client(tmp_path / "calm.db", lambda server, died: None)
    calm.create(diamond(), "ann")
    calm.close()
    points = [(name, at) for at in range(1, calm.seen["before"] + 1) for name in ("before", "after")]

    for name, at in points:
        path = tmp_path / f"{name}{at}.db"
        client = Client(path, lambda server, died, where=(name, at): None if died else where)
        made = client.create(diamond(), "ann").id
        client.close()
        with closing(
            SqlStore(SqliteDatabase(str(path), SqliteSettings(), SystemClock()), SystemClock())
        ) as store:
            there = [one.id for one in store.find(Workflow, Query()).items]
            with store._database.read() as tx:
                hidden = tx.rows("HIDDEN")
            assert (client.deaths, there, hidden, list(store.repair())) == (1, [made], [], []), (name, at)

    assert len(points) >= 10


@pytest.mark.timeout(0)
def test_a_server_that_dies_once_at_a_point_leaves_the_same(
    tmp_path: Path, undisturbed: tuple[Client, Any]
) -> None:
    client, outcome = undisturbed
    points = [(name, at) for at in range(1, client.seen["before"] + 1) for name in ("before", "after")]
    some = points if not POINTS else points[:: max(1, len(points) // POINTS)]

    for name, at in some:
        folder = tmp_path / f"{name}{at}"
        folder.mkdir()
        died, other = lived(folder, lambda server, died, where=(name, at): None if died else where)
        assert (died.deaths, other) == (1, outcome), (name, at)


@pytest.mark.timeout(0)
def test_a_server_that_dies_at_a_statement_leaves_the_same(
    tmp_path: Path, undisturbed: tuple[Client, Any]
) -> None:
    total = undisturbed[0].seen["statement"]
    outcome = undisturbed[1]
    for at in range(1, total + 1, max(1, total // STATEMENTS) if STATEMENTS else 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        died, other = lived(folder, lambda server, died, at=at: None if died else ("statement", at))
        assert (died.deaths, other) == (1, outcome), at
