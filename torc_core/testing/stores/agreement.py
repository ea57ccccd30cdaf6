"""Random sequences of operations, applied to the store and to `MemoryStore`: nobody can tell them apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from torc_core.errors import TorcError
from torc_core.model import (
    Adjustment,
    Assignment,
    Event,
    File,
    FileId,
    Fingerprint,
    Initialize,
    Job,
    JobDependency,
    JobStatus,
    NewJob,
    Node,
    Query,
    RecoveryPlan,
    Renewed,
    Requirement,
    Reset,
    Resources,
    Result,
    UserData,
    UserDataId,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import GIB
from torc_core.protocols import Embedded, Store
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import random_plan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held
from torc_core.testing.stores.upheavals import Upheavals

CASES = int(os.environ.get("TORC_TEST_SEQUENCES", "25"))
"""How many sequences are tried; the seeds are 0, 1, 2 and so on."""

STEPS = 40
ENDS = [JobStatus.COMPLETED] * 4 + [JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED]


class AgreementContract(SceneContract):
    """The memory store is the specification: any other store answers as it does."""

    @pytest.mark.parametrize("seed", range(CASES))
    def test_the_store_agrees_with_the_memory_store(self, store: Store, clock: SetClock, seed: int) -> None:
        other = SetClock()
        mine, model = Actor(Scene(store, clock)), Actor(Scene(MemoryStore(other), other))
        plan = random_plan(seed)

        answers = [(mine.begin(seed), model.begin(seed))]
        first, second = Random(seed), Random(seed)
        for _ in range(STEPS):
            answers.append((mine.step(first), model.step(second)))
            assert answers[-1][0] == answers[-1][1], (
                f"{len(plan.jobs)} jobs: {[answer for answer, _ in answers]}"
            )
            assert mine.state() == model.state(), f"after {answers[-1][0]}"
        # Whatever has happened, a recount changes nothing (`engine.md` §5.6).
        assert list(model.scene.store.repair()) == []  # type: ignore[attr-defined]  # the memory store is `Embedded`
        assert not isinstance(store, Embedded) or list(store.repair()) == []


class Actor(Upheavals):
    """Does random things to one store, and notes what can be seen of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.workflow = WorkflowId(0)
        self.nodes: list[Node] = []
        self.given: list[tuple[int, Assignment]] = []
        self.claims = 0
        self.files: list[FileId] = []
        self.datum = UserDataId(0)

    def begin(self, seed: int) -> Any:
        """Create a workflow and two nodes."""
        store = self.scene.store
        self.workflow = wf = self.scene.created(random_plan(seed)).id
        self.files = [
            one.id for one in store.add([File(workflow_id=wf, name=n, path=f"{n}.txt") for n in "xyz"])
        ]
        self.datum = store.add([UserData(workflow_id=wf, name="d", data=0, has_data=True)])[0].id
        answer = self.scene.store.initialize(self.workflow, Initialize())
        self._join()
        self._join()
        return dict(answer.moved)

    def step(self, dice: Random) -> Any:
        """Do one thing; what came back, or the error."""
        verbs: list[Callable[[Random], Any]] = [
            self.claim, self.claim, self.claim, self.finish, self.finish, self.finish, self.start, self.give_back,
            self.beat, self.by_hand, self.stop, self.resume, self.disable, self.remove, self.add, self.initialize,
            self.priority, self.reset, self.retry, self.move, self.reinitialize, self.renew, self.changed, self.cancel,
            self.reopen, self.archive, self.raise_run, self.data, self.silence, self.silence, self.forgive, self.bury,
            self.depart, self.drain, self.reconcile, self.reconcile, self.supersede, self.ask, self.tell, self.recover,
            self.flag,
        ]  # fmt: skip
        verb = dice.choice(verbs)
        try:
            return verb.__name__, verb(dice)
        except TorcError as refusal:
            return verb.__name__, type(refusal).__name__, str(refusal)

    def state(self) -> Any:
        """All that can be seen, with ids relative to the first job."""
        find, query = self.scene.store.find, Query(workflow=self.workflow)
        jobs = [
            (one.name, one.status.label, one.unmet, one.num_blockers, one.run_id, one.attempt_id, one.priority,
             one.prefetched, one.stop, one.reason, one.lease, one.result_id is not None, one.node_id is not None,
             one.origin, one.input_hash is None, one.claimed_at is None, one.start_time is None,
             one.losses, one.not_before)
            for one in find(Job, query).items
        ]  # fmt: skip
        results = [
            (
                one.job_name,
                one.run_id,
                one.attempt_id,
                one.status.label,
                one.return_code,
                one.reason,
                one.current,
                one.provisional,
            )
            for one in find(Result, query).items
        ]
        events = [(one.category, _plain(one.data)) for one in find(Event, query).items]
        pairs = [(one.job_name, one.depends_on_job_name) for one in find(JobDependency, query).items]
        totals = self.scene.store.totals([self.workflow])[0]
        ids = [one.id for one in find(Job, query).items]
        first = min(ids, default=0)
        related = [
            ([one - first for one in found.depends_on], len(found.input_files), len(found.output_files),
             len(found.input_user_data), len(found.output_user_data))
            for found in self.scene.store.relations(ids)
        ]  # fmt: skip
        files = [(one.name, one.st_mtime, one.size, one.content_hash) for one in find(File, query).items]
        needs = self.scene.store.ready_needs(self.workflow)
        return (
            jobs,
            results,
            events,
            pairs,
            self.scene.counts(self.workflow),
            totals.complete,
            totals.workflow.run_id,
            (round(totals.exec_minutes, 6), totals.first_start, totals.last_end),
            (related, files, needs.num_jobs, needs.num_cpus, needs.memory_bytes, needs.max_runtime_s),
            self.runners(),
        )

    def claim(self, dice: Random) -> Any:
        """A node asks for jobs, and perhaps for some to hold."""
        at = dice.randrange(len(self.nodes))
        node = self.nodes[at]
        self.claims += 1
        busy = [one.shape for who, one in self.given if who == at]
        free = Resources(cpus=dice.randint(0, 4), memory=dice.choice((0, GIB, 8 * GIB)))
        offer = self.scene.offer(
            node, claim_id=f"c{self.claims}", free=[free], limit=dice.choice((0, 1, 2, 64)), busy=busy,
            ahead=dice.choice((0, 0, 2)), start_ahead=dice.choice((0, 1, 2)), start=dice.random() < 0.7, by_count=dice.random() < 0.1,
        )  # fmt: skip
        orders = self.scene.turn(node, offer=offer)
        self.given += [(at, one) for one in orders.jobs]
        jobs = [(one.job.name, one.started, one.ahead, one.node_index) for one in orders.jobs]
        asked = [len(orders.cancel), len(orders.recall), orders.remaining, orders.complete, orders.never]
        return jobs, asked, orders.reason

    def finish(self, dice: Random) -> Any:
        """A node reports ends, now and then of what it no longer holds."""
        return self._of_given(
            dice, lambda one: {"endings": [ended(one, dice.choice(ENDS), exec_minutes=0.25)]}, "endings"
        )

    def start(self, dice: Random) -> Any:
        """A node reports a start."""
        return self._of_given(dice, lambda one: {"starts": [held(one)]}, "starts")

    def give_back(self, dice: Random) -> Any:
        """A node gives a job back."""
        return self._of_given(dice, lambda one: {"give_back": [held(one)]}, "endings")

    def beat(self, dice: Random) -> Any:
        """A node lists some of what it holds."""
        at = dice.randrange(len(self.nodes))
        mine = [one for who, one in self.given if who == at and dice.random() < 0.6]
        cut = dice.randint(0, len(mine))
        orders = self.scene.turn(self.nodes[at], beat=beat(mine[:cut], mine[cut:]))
        return len(orders.unknown), len(orders.cancel)

    def by_hand(self, dice: Random) -> Any:
        """Somebody reports the end of any job."""
        job = self._job(dice)
        reason = dice.choice((None, "interrupted"))
        return job and self.scene.end(
            self.workflow, job.name, dice.choice(ENDS), reason=reason, exec_minutes=0.5
        )

    def stop(self, dice: Random) -> Any:
        """Somebody stops a job."""
        job = self._job(dice)
        return job and dict(self.scene.store.stop([job.id], terminate=dice.random() < 0.3).moved)

    def resume(self, dice: Random) -> Any:
        """A runner is found dead, and another takes its place."""
        dead = [self.nodes.pop(0).id] if dice.random() < 0.5 else []
        if dead:
            self.given = [(who - 1, one) for who, one in self.given if who > 0]
            self._join()
        return dict(self.scene.store.resume(self.workflow, dead).moved)

    def disable(self, dice: Random) -> Any:
        """Somebody disables a job."""
        job = self._job(dice)
        return job and self.scene.store.change(Job, job.id, {"status": JobStatus.DISABLED}).status

    def remove(self, dice: Random) -> Any:
        """Somebody removes a job, or some."""
        most = dice.choice((0.0, 0.0, 0.4))
        first = self._job(dice)
        some = [job.id for job in self.scene.jobs(self.workflow) if job == first or dice.random() < most]
        return bool(some) and dice.random() < 0.3 and self.scene.store.remove(Job, some)

    def flag(self, dice: Random) -> Any:
        """Somebody decides what becomes of a job whose blockers end badly."""
        job = self._job(dice)
        fields = {"cancel_on_blocking_job_failure": dice.random() < 0.6}
        return job and self.scene.store.change(Job, job.id, fields).cancel_on_blocking_job_failure

    def add(self, dice: Random) -> Any:
        """Somebody adds a job."""
        blockers = [job.id for job in self.scene.jobs(self.workflow) if dice.random() < 0.2]
        files = dice.sample(self.files, 2)
        new = NewJob(
            workflow_id=self.workflow, name=f"new{self.claims}", command="true", depends_on=blockers,
            input_files=files[:1] if dice.random() < 0.5 else (), output_files=files[1:] if dice.random() < 0.4 else (),
            input_user_data=[self.datum] if dice.random() < 0.3 else (),
        )  # fmt: skip
        return self.scene.store.add_jobs([new])[0].name

    def initialize(self, dice: Random) -> Any:
        """Somebody starts a run."""
        how = Initialize(only_uninitialized=dice.random() < 0.7, force=dice.random() < 0.5)
        return dict(self.scene.store.initialize(self.workflow, how).moved)

    def priority(self, dice: Random) -> Any:
        """Somebody changes a priority."""
        job = self._job(dice)
        return job and self.scene.store.change(Job, job.id, {"priority": dice.randint(0, 9)}).priority

    def reset(self, dice: Random) -> Any:
        """Somebody sets jobs back: some, all, those that failed."""
        jobs = [job.id for job in self.scene.jobs(self.workflow) if dice.random() < 0.3]
        how = Reset(
            jobs=jobs if dice.random() < 0.6 else None, downstream=dice.random() < 0.5,
            failed_only=dice.random() < 0.4, force=dice.random() < 0.6, reason="why",
        )  # fmt: skip
        return dict(self.scene.store.reset(self.workflow, how).moved)

    def retry(self, dice: Random) -> Any:
        """Somebody tries a job again."""
        job = self._job(dice)
        most = dice.choice((None, None, 2))
        return (
            job and self.scene.store.retry(job.id, dice.choice((0, job.run_id)), max_retries=most).attempt_id
        )

    def move(self, dice: Random) -> Any:
        """Somebody sets a status by hand."""
        job = self._job(dice)
        return job and self.scene.store.move(job.id, dice.choice(list(JobStatus)), 0).status

    def reinitialize(self, dice: Random) -> Any:
        """Files have changed, or are gone, and somebody asks for what has to run again."""
        how = Initialize(force=dice.random() < 0.5, fingerprints=self._prints(dice))
        done = self.scene.store.reinitialize(self.workflow, how, dry_run=dice.random() < 0.3)
        return self._renewed(done)

    def recover(self, dice: Random) -> Any:
        """Somebody gives jobs more memory, and lets them run again."""
        store, wf = self.scene.store, self.workflow
        some = [job for job in self.scene.jobs(wf) if dice.random() < 0.3]
        old = store.get(Requirement, some[0].requirement_id) if some else None
        alike = [job.id for job in some if old and job.requirement_id == old.id]
        more = [
            Adjustment(jobs=alike, replaces=old.id, cause="oom",
                       needs=replace(old, name="more", memory="3g", memory_bytes=3 * 1024**3))
        ] if old else []  # fmt: skip
        run = store.get(Workflow, wf).run_id - (dice.random() < 0.2)
        plan = RecoveryPlan(run_id=run, jobs=[job.id for job in some], adjustments=more, counts={"oom": 1})
        return dict(store.recover(wf, plan).moved)

    def renew(self, dice: Random) -> Any:
        """Somebody begins everything anew."""
        how = Initialize(force=dice.random() < 0.5, fingerprints=self._prints(dice))
        return dice.random() < 0.5 and self._renewed(self.scene.store.renew(self.workflow, how))

    def changed(self, dice: Random) -> Any:
        """Somebody asks which jobs are made of something else than before."""
        found = self.scene.store.changed_jobs(self.workflow, dry_run=dice.random() < 0.5)
        return [(one.name, one.reason) for one in found]

    def cancel(self, dice: Random) -> Any:
        """Somebody calls all of it off."""
        return dice.random() < 0.2 and dict(self.scene.store.cancel(self.workflow, "enough").moved)

    def reopen(self, dice: Random) -> Any:
        """Somebody clears the cancel flag."""
        return self.scene.store.reset_workflow(self.workflow, force=dice.random() < 0.7).is_canceled

    def archive(self, dice: Random) -> Any:
        """Somebody puts the workflow away, or takes it out again."""
        return self.scene.store.archive(self.workflow, dice.random() < 0.3).is_archived

    def raise_run(self, dice: Random) -> Any:
        """An old client sets the number of the run."""
        return self.scene.store.set_run(self.workflow, dice.choice((0, 1, 3))).run_id

    def data(self, dice: Random) -> Any:
        """Somebody changes a value that jobs read."""
        return self.scene.store.change(UserData, self.datum, {"data": dice.randint(0, 3)}).data

    def _prints(self, dice: Random) -> list[Fingerprint]:
        return [
            Fingerprint(file=file, st_mtime=dice.choice((None, 1.0, 1.005, 2.0)), size=dice.choice((4, 4, 5)))
            for file in self.files
            if dice.random() < 0.5
        ]

    def _renewed(self, done: Renewed) -> Any:
        inputs = done.inputs
        return (
            [(one.name, one.reason) for one in done.changed],
            [one.name for one in (*inputs.missing_files, *inputs.existing_outputs)],
            inputs.safe,
            None if done.progress is None else dict(done.progress.moved),
        )

    def _of_given(self, dice: Random, parts: Callable[[Assignment], dict[str, Any]], answer: str) -> Any:
        if not self.given:
            return None
        at, one = dice.choice(self.given)
        return list(getattr(self.scene.turn(self.nodes[at], **parts(one)), answer))

    def _job(self, dice: Random) -> Job | None:
        jobs = self.scene.jobs(self.workflow)
        return dice.choice(jobs) if jobs else None

    def _join(self) -> None:
        self.nodes.append(self.scene.node(self.workflow))


def _plain(data: Any) -> Any:
    return {name: value for name, value in data.items() if name != "compute_node_id"}
