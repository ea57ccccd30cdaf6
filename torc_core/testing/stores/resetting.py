"""Jobs that are set back, tried again and moved by hand (`engine.md` §4.1, §6.5, §8.4)."""

from __future__ import annotations

import time

import pytest

from torc_core.errors import Invalid, NotFound, WrongState
from torc_core.model import (
    Assignment,
    Initialize,
    Job,
    JobStatus,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Reset,
    Source,
    Verdict,
    Workflow,
)
from torc_core.testing.plans import chain, diamond, fan, job, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held, names

GONE = JobStatus.UNINITIALIZED


class ResettingContract(SceneContract):
    """Single jobs, and all of them, leave what they were."""

    # Set back.

    def test_a_reset_of_all_jobs_makes_them_uninitialized_and_keeps_the_run(self, scene: Scene) -> None:
        workflow = scene.completed(diamond())

        progress = scene.store.reset(workflow, Reset())

        assert dict(progress.moved) == {"uninitialized": 4}
        assert scene.counts(workflow) == {"uninitialized": 4}
        assert {(one.run_id, one.result_id, one.reason) for one in scene.jobs(workflow)} == {(1, None, None)}
        assert [one.unmet for one in scene.jobs(workflow)] == [0, 1, 1, 1]
        assert scene.store.get(Workflow, workflow).run_id == 1
        told = scene.events(workflow, "user_action")[-1].data
        assert (told["operation"], told["count"]) == ("reset", 4)

    def test_a_reset_of_failures_takes_what_is_below_them_and_nothing_else(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0], [1], [2]))
        scene.end(workflow, "job0", JobStatus.FAILED)
        for name in ("job1", "job3"):
            scene.end(workflow, name)

        progress = scene.store.reset(workflow, Reset(failed_only=True))

        assert dict(progress.moved) == {"uninitialized": 3}
        assert scene.statuses(workflow) == {
            "job0": "uninitialized", "job1": "completed", "job2": "uninitialized", "job3": "completed",
            "job4": "uninitialized",
        }  # fmt: skip

    def test_named_jobs_are_reset_alone_or_with_what_is_below(self, scene: Scene) -> None:
        workflow = scene.completed(chain(3))
        first = scene.job(workflow, "job0").id

        scene.store.reset(workflow, Reset(jobs=[first], downstream=False))
        alone = scene.statuses(workflow)
        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job1").id]))

        assert alone == {"job0": "uninitialized", "job1": "completed", "job2": "completed"}
        assert scene.counts(workflow) == {"uninitialized": 3}

    def test_after_a_reset_the_next_run_begins_with_attempt_1(self, scene: Scene) -> None:
        workflow = scene.completed(chain(2))
        scene.store.reset(workflow, Reset())
        between = [one.attempt_id for one in scene.jobs(workflow)]

        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert between == [2, 2]
        assert [(one.run_id, one.attempt_id) for one in scene.jobs(workflow)] == [(2, 1), (2, 1)]
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked"}

    def test_within_a_run_attempts_count_on_above_every_used_number(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        numbers = []
        for _ in range(3):
            scene.end(workflow, "job0")
            id = scene.job(workflow, "job0").id
            scene.store.move(id, JobStatus.UNINITIALIZED, 0)
            scene.store.move(id, JobStatus.UNINITIALIZED, 0)
            numbers.append(scene.store.move(id, JobStatus.READY, 0).attempt_id)

        assert numbers == [2, 3, 4]
        assert [one.attempt_id for one in scene.results(workflow)] == [1, 2, 3]

    def test_a_reset_does_not_restore_what_the_cascade_canceled(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        scene.end(workflow, "job0", JobStatus.FAILED)

        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job0").id], downstream=False))

        assert scene.statuses(workflow) == {"job0": "uninitialized", "job1": "canceled", "job2": "canceled"}
        scene.store.initialize(workflow, Initialize(only_uninitialized=True))
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked", "job2": "blocked"}

    def test_disabled_jobs_below_stay_disabled_and_named_ones_do_not(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        second = scene.job(workflow, "job1").id
        scene.store.change(Job, second, {"status": JobStatus.DISABLED})
        scene.end(workflow, "job0")

        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job0").id]))
        below = scene.statuses(workflow)
        scene.store.reset(workflow, Reset(jobs=[second]))

        assert below == {"job0": "uninitialized", "job1": "disabled"}
        assert scene.counts(workflow) == {"uninitialized": 2}

    def test_a_reset_of_live_jobs_needs_force(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        given = scene.claim(scene.node(workflow, cpus=2))

        with pytest.raises(WrongState, match="pending or running; cancel them first, or use --force"):
            scene.store.reset(workflow, Reset())
        with pytest.raises(Invalid, match=rf"job {given[0].job.id} \(job0\) is running"):
            scene.store.reset(workflow, Reset(jobs=[given[0].job.id]))
        assert scene.counts(workflow) == {"ready": 1, "running": 2}

    def test_jobs_of_another_workflow_are_not_reset(self, scene: Scene) -> None:
        workflow, other = scene.started(fan(1)), scene.started(fan(1))

        with pytest.raises(NotFound, match=f"in workflow {workflow}"):
            scene.store.reset(workflow, Reset(jobs=[scene.job(other, "job0").id]))

    def test_a_job_reset_by_force_is_claimable_only_when_its_node_has_stopped_it(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node, other = scene.node(workflow), scene.node(workflow)
        given = scene.claim(node)
        scene.turn(node, beat=beat(runs=given))

        scene.store.renew(workflow, Initialize(force=True))
        waiting = scene.job(workflow, "job0")
        orders = scene.turn(node, beat=beat(runs=given))
        early = scene.claim(other)
        said = scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        late = scene.claim(other)

        assert (waiting.status, waiting.run_id, waiting.attempt_id) == (JobStatus.READY, 2, 1)
        assert waiting.node_id == node.id
        assert (list(orders.cancel), list(orders.unknown)) == ([waiting.id], [])
        assert (names(early), list(said.endings), names(late)) == ([], [Verdict.DONE], ["job0"])
        result = scene.results(workflow)[0]
        assert (result.run_id, result.attempt_id, result.status, result.current) == (
            1, 1, JobStatus.CANCELED, False
        )  # fmt: skip
        assert list(scene.finish(other, late)) == [Verdict.DONE]

    def test_a_stopped_attempt_that_ended_well_does_not_count_for_the_new_one(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.reset(workflow, Reset(force=True))

        scene.finish(node, given)

        assert scene.counts(workflow) == {"uninitialized": 2}
        assert [(one.status, one.return_code) for one in scene.results(workflow)] == [(JobStatus.CANCELED, 0)]
        again = scene.turn(node, endings=[ended(given[0])])
        assert list(again.endings) == [Verdict.SAME]

    def test_a_node_that_leaves_or_dies_frees_what_it_had_to_stop(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        leaves, dies = scene.node(workflow, cpus=1), scene.node(workflow, cpus=1)
        scene.claim(leaves), scene.claim(dies)
        scene.store.renew(workflow, Initialize(force=True))
        assert scene.store.ready_needs(workflow).num_jobs == 0

        scene.store.leave(leaves.id, None)
        left = scene.store.ready_needs(workflow).num_jobs
        scene.store.resume(workflow, [dies.id])

        assert (left, scene.store.ready_needs(workflow).num_jobs) == (1, 2)
        assert len(scene.claim(scene.node(workflow))) == 2

    def test_what_a_node_only_held_is_free_at_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node, start=False)

        scene.store.renew(workflow, Initialize(force=True))
        start = scene.turn(node, starts=[held(given[0])])
        other = scene.claim(scene.node(workflow))

        assert (list(start.starts), names(other)) == ([Verdict.STALE], ["job0"])
        assert scene.job(workflow, "job0").attempt_id == 1

    def test_a_held_job_can_be_canceled_and_is_held_still(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.reset(workflow, Reset(force=True))
        job = given[0].job.id

        scene.store.stop([job])
        scene.store.reset(workflow, Reset())
        scene.store.initialize(workflow, Initialize(force=True))

        assert names(scene.claim(scene.node(workflow))) == []
        scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_a_job_that_is_ready_but_held_is_told_by_no_sum_and_released_jobs_too(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        scene.end(workflow, "job0")
        given = scene.claim(node)
        scene.store.renew(workflow, Initialize(force=True))

        scene.end(workflow, "job0")

        assert (scene.statuses(workflow)["job1"], scene.store.ready_needs(workflow).num_jobs) == ("ready", 0)
        scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        assert scene.store.ready_needs(workflow).num_jobs == 1

    def test_layers_are_reset_in_linear_time(self, scene: Scene) -> None:
        plan = _layers(30, 100)
        workflow = scene.completed(plan)
        first = scene.jobs(workflow)[0].id
        began = time.process_time()

        progress = scene.store.reset(workflow, Reset(jobs=[first]))

        assert time.process_time() - began < 5  # the promise is 1 s; a slow machine may take longer
        assert dict(progress.moved) == {"uninitialized": 2901}
        assert [one.unmet for one in scene.jobs(workflow)][::100] == [0] + [1] * 29

    def test_many_jobs_are_reset_with_all_counters_right(self, scene: Scene) -> None:
        workflow = scene.completed(
            jobs(*([] for _ in range(1500)), list(range(1500)), *([1500] for _ in range(9)))
        )

        scene.store.reset(workflow, Reset())
        scene.store.initialize(workflow, Initialize())

        assert scene.counts(workflow) == {"blocked": 10, "ready": 1500}
        assert scene.store.ready_needs(workflow).num_jobs == 1500
        node = scene.node(workflow, cpus=100_000)
        given: list[Assignment] = []
        while more := scene.claim(node, limit=10_000):
            given += more
        scene.finish(node, given[1:])
        assert scene.counts(workflow) == {"blocked": 10, "running": 1, "completed": 1499}
        scene.finish(node, given[:1])
        assert scene.counts(workflow) == {"blocked": 9, "ready": 1, "completed": 1500}

    # Tried again.

    def test_a_failed_job_is_tried_again_with_the_next_attempt(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        scene.end(workflow, "job0", JobStatus.FAILED)

        found = scene.store.retry(scene.job(workflow, "job0").id, 1, max_retries=2)

        assert (found.status, found.attempt_id, found.origin, found.result_id) == (
            JobStatus.READY,
            2,
            "retry",
            None,
        )
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked", "job2": "blocked"}
        told = dict(scene.events(workflow, "job_retried")[0].data)
        assert told.pop("message")
        assert told == {
            "event_type": "job_retried", "job_id": found.id, "job_name": "job0", "previous_attempt": 1,
            "new_attempt": 2, "run_id": 1,
        }  # fmt: skip
        assert [(one.attempt_id, one.current) for one in scene.results(workflow)] == [(1, False)]

    def test_a_new_run_forgets_that_a_job_was_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.store.retry(scene.job(workflow, "job0").id, 0)

        scene.store.renew(workflow, Initialize())

        found = scene.job(workflow, "job0")
        assert (found.origin, found.attempt_id, found.run_id) == (None, 1, 2)

    def test_a_job_that_has_had_its_attempts_is_not_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", JobStatus.FAILED)
        id = scene.job(workflow, "job0").id

        with pytest.raises(Invalid, match=rf"job {id} is in attempt 1, and max_retries is 1"):
            scene.store.retry(id, 1, max_retries=1)
        with pytest.raises(Invalid, match="run 7 is over; the workflow is in run 1"):
            scene.store.retry(id, 7)

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELED])
    def test_only_some_ends_can_be_tried_again(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", status)

        with pytest.raises(Invalid, match=f"is {status.label}; only a running, failed"):
            scene.store.retry(scene.job(workflow, "job0").id, 0)

    def test_an_attempt_that_never_reported_gets_a_result_when_its_job_is_tried_again(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(1))
        id = scene.job(workflow, "job0").id
        scene.store.move(id, JobStatus.RUNNING, 0)

        scene.store.retry(id, 0)

        result = scene.results(workflow)[0]
        assert (result.status, result.reason, result.return_code) == (JobStatus.FAILED, "retried", -128)
        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_a_running_job_that_is_tried_again_waits_until_its_node_has_stopped_it(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(1))
        node, other = scene.node(workflow), scene.node(workflow)
        given = scene.claim(node)

        found = scene.store.retry(given[0].job.id, 0)
        early = scene.claim(other)
        said = scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])

        assert (found.status, found.attempt_id, names(early)) == (JobStatus.READY, 2, [])
        assert list(said.endings) == [Verdict.DONE]
        assert [one.job.attempt_id for one in scene.claim(other)] == [2]
        assert [(one.attempt_id, one.reason) for one in scene.results(workflow)] == [(1, "retried")]

    # Moved by hand.

    @pytest.mark.parametrize(
        "status",
        [
            JobStatus.UNINITIALIZED,
            JobStatus.READY,
            JobStatus.PENDING,
            JobStatus.RUNNING,
            JobStatus.PENDING_FAILED,
        ],
    )
    def test_an_open_job_may_be_set_to_open_statuses(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(chain(2))

        found = scene.store.move(scene.job(workflow, "job1").id, status, 1)

        assert (found.status, found.run_id, found.attempt_id) == (status, 1, 1)
        told = scene.events(workflow, "user_action")[-1].data
        assert (told["from"], told["to"]) == ("blocked", status.label)

    def test_a_job_can_be_driven_by_hand_from_beginning_to_end(self, scene: Scene) -> None:
        workflow = scene.created(chain(2)).id
        id = scene.job(workflow, "job0").id

        for status in (JobStatus.READY, JobStatus.PENDING, JobStatus.RUNNING):
            scene.store.move(id, status, 0)
        scene.end(workflow, "job0")

        assert scene.job(workflow, "job0").status is JobStatus.COMPLETED
        assert scene.job(workflow, "job1").unmet == 0

    def test_an_ended_status_is_not_set_by_hand(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        id = scene.job(workflow, "job0").id

        with pytest.raises(Invalid, match="use complete_job"):
            scene.store.move(id, JobStatus.COMPLETED, 0)
        with pytest.raises(Invalid, match=f"job {id} cannot go from ready to blocked"):
            scene.store.move(id, JobStatus.BLOCKED, 0)
        with pytest.raises(Invalid, match="run 5 is over"):
            scene.store.move(id, JobStatus.RUNNING, 5)
        scene.end(workflow, "job0")
        with pytest.raises(Invalid, match=f"job {id} cannot go from completed to running"):
            scene.store.move(id, JobStatus.RUNNING, 0)

    def test_the_same_status_is_no_change(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        before = scene.all(workflow)

        scene.store.move(scene.job(workflow, "job0").id, JobStatus.READY, 0)

        assert scene.all(workflow) == before

    def test_a_completed_job_that_is_set_back_takes_the_ended_ones_below_with_it(self, scene: Scene) -> None:
        workflow = scene.started(chain(4))
        for name in ("job0", "job1"):
            scene.end(workflow, name)

        scene.store.move(scene.job(workflow, "job0").id, JobStatus.UNINITIALIZED, 0)

        assert scene.statuses(workflow) == {
            "job0": "uninitialized", "job1": "uninitialized", "job2": "ready", "job3": "blocked"
        }  # fmt: skip

    def test_a_running_job_that_is_moved_away_is_stopped_first(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)

        found = scene.store.move(given[0].job.id, JobStatus.READY, 0)
        orders = scene.turn(node, beat=beat(runs=given))

        assert (found.attempt_id, list(orders.cancel)) == (2, [found.id])
        assert names(scene.claim(scene.node(workflow))) == []

    def test_a_claim_by_hand_runs_out(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.move(scene.job(workflow, "job0").id, JobStatus.PENDING, 0)

        scene.move(601)

        assert names(scene.claim(scene.node(workflow))) == ["job0"]


def _layers(depth: int, width: int) -> Plan:
    """Layers of jobs, each of which waits for all of the layer before."""
    planned: list[PlannedJob] = []
    groups = []
    for layer in range(depth):
        uses = [(layer - 1, Source.EXPLICIT)] if layer else []
        planned += [
            job(layer * width + at, groups=uses, num_blockers=width * bool(layer)) for at in range(width)
        ]
        if layer + 1 < depth:
            groups.append(tuple(range(layer * width, (layer + 1) * width)))
    return Plan(workflow=PlannedWorkflow(name="layers"), jobs=planned, groups=groups)
