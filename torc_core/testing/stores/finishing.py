"""Endings: recorded once, repeated without harm, refused when they are not the job's (`engine.md` §8.2, §8.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Ending,
    File,
    Fingerprint,
    Initialize,
    JobId,
    JobStatus,
    JobUsage,
    Stage,
    Verdict,
    WorkflowId,
)
from torc_core.testing.plans import chain, diamond, fan
from torc_core.testing.stores.scene import Scene, SceneContract, ended, held, names

ENDS = [
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.TERMINATED,
    JobStatus.CANCELED,
    JobStatus.PENDING_FAILED,
]


class FinishingContract(SceneContract):
    """How attempts end."""

    @pytest.mark.parametrize("status", ENDS)
    def test_an_end_is_recorded_with_its_result(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)[0]
        usage = JobUsage(
            peak_memory_bytes=7, avg_memory_bytes=5, peak_cpu_percent=150.5, avg_cpu_percent=90.0
        )

        more = {"usage": usage, "exec_minutes": 1.5, "completed_at": 123, "reason": "why: so"}
        verdicts = scene.turn(node, endings=[ended(given, status, **more)]).endings

        job, result = scene.job(workflow, "job0"), scene.results(workflow)[0]
        assert list(verdicts) == [Verdict.DONE]
        assert (job.status, job.node_id, job.lease, job.result_id, job.reason) == (
            status,
            None,
            None,
            result.id,
            "why: so",
        )
        assert (result.job_id, result.job_name, result.run_id, result.attempt_id) == (job.id, "job0", 1, 1)
        assert (result.node_id, result.status, result.reason, result.current) == (
            node.id,
            status,
            "why: so",
            True,
        )
        assert (result.usage, result.exec_minutes, result.completed_at) == (usage, 1.5, 123)

    def test_a_repeated_end_is_the_same_and_leaves_one_result(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)

        verdicts = [scene.finish(node, given)[0] for _ in range(3)]

        assert verdicts == [Verdict.DONE, Verdict.SAME, Verdict.SAME]
        assert (len(scene.results(workflow)), scene.job(workflow, "job1").unmet) == (1, 0)

    def test_a_different_end_is_refused_and_told(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.finish(node, given)

        verdict = scene.finish(node, given, JobStatus.FAILED)

        assert list(verdict) == [Verdict.DIFFERENT]
        assert scene.statuses(workflow) == {"job0": "completed"}
        assert scene.events(workflow, "different_result")[0].data["return_code"] == 1

    def test_an_end_under_another_lease_run_or_attempt_is_stale(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        end = ended(scene.claim(node)[0])

        wrong = [
            replace(end, lease="x"),
            replace(end, run_id=7),
            replace(end, attempt_id=2),
            replace(end, job=JobId(999)),
        ]
        verdicts = scene.turn(node, endings=wrong).endings

        assert list(verdicts) == [Verdict.STALE] * 4
        assert (scene.statuses(workflow), scene.results(workflow)) == ({"job0": "running"}, [])

    def test_completed_with_a_return_code_is_refused(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Invalid, match="return code 3"):
            scene.end(workflow, "job0", return_code=3)

    def test_a_running_job_cannot_end_as_ready(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Invalid, match="ready"):
            scene.end(workflow, "job0", JobStatus.READY)

    def test_a_canceled_attempt_keeps_its_code_and_not_its_status(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.cancel(workflow)

        verdicts = [
            scene.turn(node, endings=[ended(given[0], JobStatus.TERMINATED)]).endings[0] for _ in range(2)
        ]

        job, result = scene.job(workflow, "job0"), scene.results(workflow)[0]
        assert verdicts == [Verdict.DONE, Verdict.SAME]
        assert (job.status, job.node_id, job.stop) == (JobStatus.CANCELED, None, 0)
        assert (result.status, result.return_code, result.current) == (JobStatus.CANCELED, 143, True)

    def test_the_capacity_of_a_canceled_job_is_free_when_its_node_confirms(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node = scene.node(workflow, cpus=1)
        given = scene.claim(node)
        scene.store.stop([given[0].job.id])

        before = scene.turn(node, offer=scene.offer(node))
        after = scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)], offer=scene.offer(node))

        assert (list(before.jobs), list(before.cancel)) == ([], [given[0].job.id])
        assert (names(after.jobs), list(after.cancel)) == (["job1"], [])

    def test_a_canceled_job_that_never_ran_may_be_given_back(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)[0]
        scene.store.cancel(workflow)

        orders = scene.turn(node, give_back=[held(given)])

        assert (list(orders.cancel), scene.statuses(workflow)) == ([], {"job0": "canceled"})
        assert scene.results(workflow) == []

    def test_a_job_that_is_to_be_terminated_ends_as_terminated(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)[0]
        scene.store.stop([given.job.id], terminate=True)
        ordered = scene.turn(node, offer=scene.offer(node, limit=0)).cancel

        scene.finish(node, [given], JobStatus.CANCELED)

        assert (list(ordered), scene.statuses(workflow)) == ([given.job.id], {"job0": "terminated"})

    def test_fingerprints_of_outputs_are_kept(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        node = scene.node(workflow)
        given = scene.claim(node)[0]
        prints = [Fingerprint(file=given.outputs[0].file, st_mtime=12.5, size=9)]

        scene.turn(node, endings=[ended(given, outputs=prints)])

        file = scene.store.get(File, given.outputs[0].file)
        assert (file.st_mtime, file.size) == (12.5, 9)

    def test_leftover_processes_are_told(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)

        scene.turn(node, endings=[ended(scene.claim(node)[0], leftovers=3)])

        assert scene.events(workflow, "leftover_processes")[0].data["count"] == 3

    @pytest.mark.parametrize("position", [0, 1])
    def test_an_end_by_hand_of_a_job_that_waits_is_an_override(self, scene: Scene, position: int) -> None:
        workflow = scene.started(chain(2))

        verdict = scene.end(workflow, f"job{position}")

        before = ["ready", "blocked"][position]
        told = scene.events(workflow, "override")[0].data
        assert (verdict, told["from"], told["to"]) == (Verdict.DONE, before, "completed")

    def test_an_end_by_hand_of_a_held_job_takes_it_from_its_node(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)

        by_hand = scene.end(workflow, "job0", JobStatus.FAILED)
        late = scene.finish(node, given)

        assert (by_hand, list(late)) == (Verdict.DONE, [Verdict.DIFFERENT])

    @pytest.mark.parametrize("initialisations", [1, 3])
    def test_run_0_means_the_current_run(self, scene: Scene, initialisations: int) -> None:
        workflow = scene.created(fan(1)).id
        for _ in range(initialisations):
            scene.store.initialize(workflow, Initialize())

        scene.end(workflow, "job0", run_id=0)

        assert [result.run_id for result in scene.results(workflow)] == [initialisations]

    def test_a_run_that_is_over_is_refused(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        for _ in range(3):
            scene.store.initialize(workflow, Initialize())

        with pytest.raises(Invalid, match="run 2 is over; the workflow is in run 3"):
            scene.end(workflow, "job0", run_id=2)

    def test_an_ended_job_is_complete_by_hand_only_with_the_same_result(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0")

        same = scene.end(workflow, "job0")

        assert same is Verdict.SAME
        with pytest.raises(Invalid, match="already complete"):
            scene.end(workflow, "job0", JobStatus.FAILED)

    def test_pending_failed_is_classified_by_hand(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        scene.end(workflow, "job0", JobStatus.PENDING_FAILED)
        frozen = scene.statuses(workflow)

        scene.end(workflow, "job0", JobStatus.FAILED)

        assert frozen == {"job0": "pending_failed", "job1": "blocked"}
        assert scene.statuses(workflow) == {"job0": "failed", "job1": "canceled"}
        assert len(scene.results(workflow)) == 1

    def test_in_a_batch_a_bad_entry_harms_no_other(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        jobs = scene.jobs(workflow)
        end = Ending(
            job=jobs[0].id, run_id=0, attempt_id=1, lease=None, status=JobStatus.COMPLETED, return_code=0
        )
        batch = [
            end,
            replace(end, job=JobId(999)),
            replace(end, job=jobs[1].id, return_code=5),
            replace(end, job=jobs[2].id),
        ]

        verdicts = scene.store.finish(workflow, batch)

        assert list(verdicts) == [Verdict.DONE, Verdict.STALE, Verdict.STALE, Verdict.DONE]
        assert scene.counts(workflow) == {"completed": 2, "ready": 1}

    def test_a_single_end_of_an_unknown_job_is_not_found(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        end = Ending(
            job=JobId(999), run_id=0, attempt_id=1, lease=None, status=JobStatus.FAILED, return_code=1
        )

        with pytest.raises(NotFound):
            scene.store.finish(workflow, [end])

    def test_a_single_end_under_a_lost_lease_is_a_conflict(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Conflict):
            scene.end(workflow, "job0", lease="lost")

    def test_only_a_pending_job_can_be_started_by_hand(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node = scene.node(workflow)
        mine = scene.store.claim(workflow, scene.offer(node, limit=1))[0].job

        verdicts = [scene.store.start(mine.id, 1, node.id) for _ in range(2)]

        assert verdicts == [Verdict.DONE, Verdict.SAME]
        assert scene.job(workflow, "job0").node_id == node.id
        with pytest.raises(Conflict, match="ready"):
            scene.store.start(scene.job(workflow, "job1").id, 1, node.id)

    def test_jobs_are_summed_up_by_their_names(self, scene: Scene) -> None:
        workflow = scene.started(fan(4))
        scene.end(workflow, "job0", JobStatus.COMPLETED, exec_minutes=1.0)
        scene.end(workflow, "job1", JobStatus.COMPLETED, exec_minutes=3.0)
        scene.end(workflow, "job2", JobStatus.FAILED, exec_minutes=9.0)

        (stage,) = scene.store.stages(workflow)

        assert stage == Stage(name="job{}", total=4, done=3, failed=1, median_seconds=120.0)

    def test_a_look_tells_what_single_questions_tell(self, scene: Scene) -> None:
        workflow = scene.started(fan(4))
        node = scene.node(workflow, cpus=1)
        (first,) = scene.claim(node)
        scene.turn(node, endings=[ended(first, exec_minutes=1.0)])

        brief = scene.store.standing(workflow)
        full = scene.store.standing(workflow, by_stage=True)

        (totals,) = scene.store.totals([workflow])
        assert (brief.totals, brief.stages) == (totals, None)
        assert [one.id for one in brief.nodes] == [node.id]
        assert (sum(brief.waiting.values()), brief.nodes_due) == (3, 0)
        assert full.stages is not None
        assert list(full.stages) == list(scene.store.stages(workflow))
        with pytest.raises(NotFound):
            scene.store.standing(WorkflowId(workflow + 1))

    def test_a_sample_stands_for_all_jobs_and_a_small_workflow_for_itself(self, scene: Scene) -> None:
        workflow = scene.started(fan(40))
        scene.end(workflow, "job3", exec_minutes=2.0)

        whole = scene.store.sampled(workflow, 40)
        some = scene.store.sampled(workflow, 10)

        assert [one.job_id for one in whole] == [one.id for one in scene.jobs(workflow)]
        assert {one.seconds for one in whole if one.status is JobStatus.COMPLETED} == {120.0}
        assert 6 <= len(some) <= 10
        assert [one for one in whole if one.job_id % 5 == 0] == list(some)

    def test_a_look_foresees_the_end_when_somebody_works(self, scene: Scene) -> None:
        workflow = scene.started(chain(8))
        nobody = scene.store.standing(workflow).eta
        node = scene.node(workflow, cpus=1)
        for _ in range(6):
            scene.turn(node, endings=[ended(one, exec_minutes=1.0) for one in scene.claim(node)])

        found = scene.store.standing(workflow).eta

        assert nobody is None
        assert found is not None
        assert 60 <= found.p10 <= found.p50 <= found.p90 <= 240

    def test_totals_count_what_ended(self, scene: Scene) -> None:
        workflow = scene.started(fan(4))
        node = scene.node(workflow, cpus=3)
        first, second, _ = scene.claim(node)
        scene.move(60)

        end = ended(second, JobStatus.FAILED, reason="oom: peak 10g of 8g", exec_minutes=0.5)
        scene.turn(node, endings=[ended(first, exec_minutes=1.0, completed_at=scene.clock.now()), end])

        totals = scene.store.totals([workflow])[0]
        assert scene.counts(workflow) == {"ready": 1, "running": 1, "completed": 1, "failed": 1}
        assert (totals.total, totals.done, totals.active_nodes, totals.exec_minutes) == (4, 2, 1, 1.5)
        assert (totals.first_start, totals.last_end) == (scene.clock.now() - 60_000, scene.clock.now())
        assert (dict(totals.failures), totals.complete) == ({"oom": 1}, False)
