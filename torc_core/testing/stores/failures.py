"""Failure handlers: tried again, at once or later, after a script, or not at all (`engine.md` §9)."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Timer
from typing import Any

import pytest

from torc_core.errors import Invalid
from torc_core.model import (
    Assignment,
    FailureHandler,
    Job,
    JobStatus,
    Node,
    Orders,
    Plan,
    PlannedHandler,
    Query,
    Verdict,
    WorkflowId,
)
from torc_core.testing.plans import chain, fan
from torc_core.testing.stores.scene import Scene, SceneContract, ended, held

AT_ONCE = 8.0
"""Seconds within which a held turn comes back when a retry is due, and not when the store next looks at everything."""
RULE: dict[str, Any] = {
    "exit_codes": [7], "match_all_exit_codes": False, "recovery_script": None, "max_retries": 3, "delay_seconds": 0,
    "backoff_multiplier": 2.0, "max_delay_seconds": 3600,
}  # fmt: skip


class FailureContract(SceneContract):
    """What becomes of attempts that end badly."""

    def test_a_listed_code_is_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(handled(chain(2), RULE))
        node = scene.node(workflow)
        (given,) = scene.claim(node)

        verdicts = fails(scene, node, given, 7).endings

        job = scene.job(workflow, "job0")
        (told,) = scene.events(workflow, "job_retried")
        assert (list(verdicts), job.status, job.attempt_id) == ([Verdict.RETRY], JobStatus.READY, 2)
        assert (job.origin, job.result_id, job.node_id, job.lease, job.start_time) == (
            "retry",
            None,
            None,
            None,
            None,
        )
        assert (told.data["previous_attempt"], told.data["new_attempt"]) == (1, 2)
        assert scene.events(workflow, "job_failed") == []
        assert scene.job(workflow, "job1").status is JobStatus.BLOCKED

    def test_every_attempt_keeps_its_result(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), RULE))
        node = scene.node(workflow)

        for code in (7, 7, 7):
            (given,) = scene.claim(node)
            fails(scene, node, given, code)

        results = [
            (one.attempt_id, one.return_code, one.status.label, one.current)
            for one in scene.results(workflow)
        ]
        assert results == [(1, 7, "failed", False), (2, 7, "failed", False), (3, 7, "failed", True)]
        assert scene.statuses(workflow) == {"job0": "failed"}

    def test_another_code_is_not_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), RULE))
        node = scene.node(workflow)
        (given,) = scene.claim(node)

        verdicts = fails(scene, node, given, 8).endings

        assert (list(verdicts), scene.statuses(workflow)) == ([Verdict.DONE], {"job0": "failed"})

    def test_the_rule_that_lists_the_code_wins_over_one_for_all(self, scene: Scene) -> None:
        everything = {**RULE, "exit_codes": [], "match_all_exit_codes": True, "max_retries": 1}
        workflow = scene.started(handled(fan(2), everything, RULE))
        node = scene.node(workflow, cpus=2)

        verdicts = [
            fails(scene, node, given, code).endings[0]
            for given, code in zip(scene.claim(node), (7, 9), strict=True)
        ]

        assert verdicts == [Verdict.RETRY, Verdict.DONE]

    def test_a_terminated_attempt_is_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), {**RULE, "exit_codes": [152]}))
        node = scene.node(workflow)
        (given,) = scene.claim(node)

        fails(scene, node, given, 152, status=JobStatus.TERMINATED, reason="walltime")

        assert scene.statuses(workflow) == {"job0": "ready"}

    def test_a_canceled_attempt_is_not_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(2), {**RULE, "exit_codes": [], "match_all_exit_codes": True}))
        node = scene.node(workflow, cpus=2)
        one, two = scene.claim(node)
        scene.store.stop([two.job.id], terminate=True)

        for given in (one, two):
            fails(scene, node, given, 143, status=JobStatus.CANCELED, reason="canceled")

        assert scene.statuses(workflow) == {"job0": "canceled", "job1": "terminated"}

    def test_an_unfenced_end_is_taken_as_it_is(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), RULE))

        scene.end(workflow, "job0", JobStatus.FAILED, return_code=7)

        assert scene.statuses(workflow) == {"job0": "failed"}

    def test_a_repeated_end_of_a_retried_attempt_is_the_same(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), RULE))
        node = scene.node(workflow)
        (given,) = scene.claim(node)

        verdicts = [fails(scene, node, given, 7).endings[0] for _ in range(2)]

        assert verdicts == [Verdict.RETRY, Verdict.SAME]
        assert (len(scene.results(workflow)), scene.job(workflow, "job0").attempt_id) == (1, 2)

    def test_what_matches_no_rule_waits_to_be_classified(self, scene: Scene) -> None:
        plan = handled(chain(2), {**RULE, "max_retries": 1})
        plan = replace(plan, workflow=replace(plan.workflow, use_pending_failed=True))
        workflow = scene.started(plan)
        other = scene.started(plan)

        for number, code in ((workflow, 8), (other, 7)):
            node = scene.node(number)
            fails(scene, node, scene.claim(node)[0], code)

        assert scene.statuses(workflow) == {"job0": "pending_failed", "job1": "blocked"}
        assert scene.statuses(other) == {"job0": "failed", "job1": "canceled"}
        assert len(scene.events(workflow, "job_pending_failed")) == 1

    def test_what_was_interrupted_is_not_to_be_classified(self, scene: Scene) -> None:
        plan = fan(1)
        workflow = scene.started(replace(plan, workflow=replace(plan.workflow, use_pending_failed=True)))
        node = scene.node(workflow)

        fails(scene, node, scene.claim(node)[0], 143, status=JobStatus.TERMINATED, reason="interrupted")

        assert scene.statuses(workflow) == {"job0": "terminated"}

    def test_a_delayed_retry_is_handed_out_when_it_is_due(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), {**RULE, "delay_seconds": 10, "backoff_multiplier": 3.0}))
        node = scene.node(workflow)
        (given,) = scene.claim(node)
        began = scene.clock.now()

        orders = fails(scene, node, given, 7)
        early = scene.turn(node, offer=scene.offer(node))
        scene.move(9)
        still = scene.claim(node)
        scene.move(1)
        again = scene.claim(node)

        assert (orders.retry_ms, list(early.jobs), list(still)) == (10_000, [], [])
        assert early.reason == "no job is ready: 1 to be tried again later"
        assert [one.job.attempt_id for one in again] == [2]
        fails(scene, node, again[0], 7)
        assert scene.job(workflow, "job0").not_before == began + 10_000 + 30_000

    def test_a_delay_has_a_ceiling(self, scene: Scene) -> None:
        rule = {**RULE, "delay_seconds": 10, "backoff_multiplier": 100.0, "max_delay_seconds": 60}
        workflow = scene.started(handled(fan(1), rule))
        node = scene.node(workflow)

        waits = []
        for _ in range(2):
            (given,) = scene.claim(node)
            waits.append(fails(scene, node, given, 7).retry_ms)
            scene.move(60)

        assert waits == [10_000, 60_000]

    def test_a_delayed_retry_that_is_canceled_is_gone(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(2), {**RULE, "delay_seconds": 10}))
        node = scene.node(workflow, cpus=1)
        (given,) = scene.claim(node)
        fails(scene, node, given, 7)

        scene.store.stop([given.job.id])
        scene.move(20)

        assert [one.job.name for one in scene.claim(node)] == ["job1"]
        assert scene.job(workflow, "job0").not_before is None

    def test_a_delayed_retry_that_is_disabled_waits_for_nothing(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(2), {**RULE, "delay_seconds": 10}))
        node = scene.node(workflow, cpus=1)
        (given,) = scene.claim(node)
        fails(scene, node, given, 7)

        scene.store.change(Job, given.job.id, {"status": JobStatus.DISABLED})

        assert scene.job(workflow, "job0").not_before is None
        assert scene.turn(node).retry_ms is None

    def test_a_held_turn_comes_back_when_a_delayed_retry_is_due(self, scene: Scene) -> None:
        if not self.shared:
            pytest.skip("needs two threads")
        workflow = scene.started(handled(fan(1), {**RULE, "delay_seconds": 1}))
        node = scene.node(workflow)
        fails(scene, node, scene.claim(node)[0], 7)

        timer = Timer(0.2, scene.move, [1])
        timer.start()
        begin = time.monotonic()
        orders = scene.turn(node, offer=scene.offer(node, wait_ms=20_000))
        timer.join()

        assert [one.job.attempt_id for one in orders.jobs] == [2]
        assert time.monotonic() - begin < AT_ONCE

    def test_a_rule_with_a_script_orders_it_first(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)

        orders = fails(scene, node, given, 7)

        (order,) = orders.recover
        job = scene.job(workflow, "job0")
        assert (order.script, order.return_code, order.job, order.attempt_id, order.lease) == (
            "fix it",
            7,
            job.id,
            1,
            job.lease,
        )
        assert (list(orders.endings), job.status, job.reason) == (
            [Verdict.DONE],
            JobStatus.RUNNING,
            "recovering",
        )
        assert (job.node_id, len(scene.results(workflow)), list(scene.claim(node))) == (node.id, 1, [])

    def test_the_order_is_repeated_with_the_end(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)

        first, second = (fails(scene, node, given, 7) for _ in range(2))

        assert (list(first.recover), list(second.endings)) == (list(second.recover), [Verdict.SAME])
        assert len(scene.results(workflow)) == 1

    def test_a_script_that_ends_well_is_followed_by_the_next_attempt(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)
        fails(scene, node, given, 7)

        verdicts = [scene.store.recovered(node.id, node.epoch, held(given), ok=True) for _ in range(2)]

        job = scene.job(workflow, "job0")
        assert (verdicts, job.status, job.attempt_id) == ([Verdict.RETRY, Verdict.SAME], JobStatus.READY, 2)
        assert [one.job.attempt_id for one in scene.claim(node)] == [2]

    def test_a_script_that_fails_ends_the_job(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene, chain(2))
        fails(scene, node, given, 7)

        verdict = scene.store.recovered(node.id, node.epoch, held(given), ok=False)

        job = scene.job(workflow, "job0")
        assert (verdict, job.status, job.reason) == (Verdict.DONE, JobStatus.FAILED, "recovery_failed")
        assert scene.job(workflow, "job1").status is JobStatus.CANCELED
        assert [one.current for one in scene.results(workflow)] == [True]

    def test_a_script_is_never_ordered_for_what_was_interrupted(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)

        orders = fails(scene, node, given, 7, status=JobStatus.TERMINATED, reason="interrupted")

        assert (list(orders.recover), scene.statuses(workflow)) == ([], {"job0": "terminated"})

    def test_a_job_that_is_canceled_while_its_script_runs_stays_canceled(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)
        fails(scene, node, given, 7)
        scene.store.stop([given.job.id])

        told = scene.turn(node).cancel
        verdict = scene.store.recovered(node.id, node.epoch, held(given), ok=True)

        job = scene.job(workflow, "job0")
        assert (list(told), verdict) == ([given.job.id], Verdict.CANCELED)
        assert (job.status, job.node_id, job.stop) == (JobStatus.CANCELED, None, 0)

    def test_a_script_whose_runner_died_is_not_run_again(self, scene: Scene) -> None:
        workflow, node, given = recovering(scene)
        fails(scene, node, given, 7)

        scene.store.resume(workflow, [node.id])

        job = scene.job(workflow, "job0")
        assert (job.status, job.reason, len(scene.results(workflow))) == (
            JobStatus.FAILED,
            "recovery_lost",
            1,
        )

    def test_handlers_are_checked_and_filled_in(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        new = FailureHandler(workflow_id=workflow, name="h", rules=[{"exit_codes": [1]}])

        (added,) = scene.store.add([new])
        changed = scene.store.change(FailureHandler, added.id, {"rules": [{"match_all_exit_codes": True}]})

        assert added.rules == [{**RULE, "exit_codes": [1]}]
        assert changed.rules == [{**RULE, "exit_codes": [], "match_all_exit_codes": True}]
        assert scene.store.get(FailureHandler, added.id) == changed

    @pytest.mark.parametrize(
        ("rules", "words"),
        [
            ([], "at least one rule"),
            ([{}], r"rules\[0\] matches nothing"),
            ([{"exit_codes": [1]}, {"exit_codes": [0]}], r"rules\[1\].exit_codes\[0\]"),
            ([{"exit_codes": [1], "max_retry": 3}], "did you mean 'max_retries'"),
            ([{"exit_codes": [1], "max_retries": -1}], r"rules\[0\].max_retries"),
            ([{"exit_codes": [1], "backoff_multiplier": 0.5}], "from 1 on"),
            ([{"exit_codes": [1], "recovery_script": ""}], "recovery_script"),
        ],
    )
    def test_rules_that_make_no_sense_are_refused(self, scene: Scene, rules: Any, words: str) -> None:
        workflow = scene.created(fan(1)).id

        with pytest.raises(Invalid, match=words):
            scene.store.add([FailureHandler(workflow_id=workflow, name="h", rules=rules)])

    def test_jobs_lose_a_handler_that_is_removed(self, scene: Scene) -> None:
        workflow = scene.started(handled(fan(1), RULE))
        (handler,) = scene.store.find(FailureHandler, Query(workflow=workflow)).items

        removed = scene.store.remove(FailureHandler, [handler.id])

        job: Job = scene.job(workflow, "job0")
        assert (removed, job.failure_handler_id) == (1, None)


def handled(plan: Plan, *rules: dict[str, Any]) -> Plan:
    """The plan with one handler for all jobs."""
    handlers = [PlannedHandler(name="h", rules=rules)]
    return replace(plan, handlers=handlers, jobs=[replace(job, handler=0) for job in plan.jobs])


def fails(
    scene: Scene, node: Node, given: Assignment, code: int, status: JobStatus = JobStatus.FAILED, **more: Any
) -> Orders:
    """A node reports a bad end; what it is told."""
    return scene.turn(node, endings=[ended(given, status, return_code=code, **more)])


def recovering(scene: Scene, plan: Plan | None = None) -> tuple[WorkflowId, Node, Assignment]:
    """A workflow whose handler has a script, a node, and its running first job."""
    workflow = scene.started(handled(plan or fan(1), {**RULE, "recovery_script": "fix it"}))
    node = scene.node(workflow)
    return workflow, node, scene.claim(node)[0]
