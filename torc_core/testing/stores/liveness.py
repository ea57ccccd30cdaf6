"""Runners that fall silent, die, come back or are told to go: what becomes of their jobs (`engine.md` §15)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Conflict, Fenced, Invalid
from torc_core.model import (
    Assignment,
    AuditEntry,
    Ending,
    Initialize,
    Job,
    JobStatus,
    Node,
    NodeState,
    Plan,
    PlannedHandler,
    Query,
    Usage,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.testing.plans import chain, fan
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held, names

W = 20 * 60
"""Seconds that a lease lasts by default."""


class LivenessContract(SceneContract):
    """Nothing is run twice, nothing is lost, and everything ends, whatever becomes of the runners."""

    # Joining.

    def test_a_runner_learns_its_lease_and_what_to_do_at_its_end(self, scene: Scene) -> None:
        drains = scene.node(scene.started(fan(1)))
        fences = scene.node(scene.started(_again(1)))
        wanted = scene.node(scene.started(fan(1)), fences=True)

        assert [node.on_lost for node in (drains, fences, wanted)] == ["drain", "fence", "fence"]
        assert drains.lease_seconds == W
        assert (drains.state, drains.beats) == (NodeState.ACTIVE, True)

    @pytest.mark.parametrize(
        ("rule", "on_lost"),
        [
            ({"exit_codes": [-128]}, "fence"),
            ({"match_all_exit_codes": True}, "fence"),
            ({"exit_codes": [1]}, "drain"),
            ({"exit_codes": [-128], "recovery_script": "true"}, "drain"),
        ],
    )
    def test_a_rule_for_lost_jobs_makes_runners_fence_themselves(
        self, scene: Scene, rule: dict[str, Any], on_lost: str
    ) -> None:
        plan = replace(fan(1), handlers=[PlannedHandler(name="h", rules=[rule])])

        assert scene.node(scene.started(plan)).on_lost == on_lost

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"boot_id": "one"}, {"boot_id": "two"}),
            (
                {"scheduler": {"type": "remote", "worker": "n1"}},
                {"scheduler": {"type": "remote", "worker": "n1"}},
            ),
            (
                {"scheduler": {"slurm_job_id": "77"}},
                {"scheduler": {"slurm_job_id": "77"}, "restart_count": 1, "hostname": "n2"},
            ),
        ],
    )
    def test_a_runner_from_the_same_place_proves_the_older_one_dead(
        self, scene: Scene, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        workflow = scene.started(fan(2))
        old = scene.node(workflow, cpus=1, **before)
        running = scene.claim(old, limit=1)
        scene.claim(old, limit=1, start=False, by_count=True)

        scene.node(workflow, **after)

        assert scene.store.get(Node, old.id).state is NodeState.ENDED
        assert scene.statuses(workflow) == {"job0": "failed", "job1": "ready"}
        assert scene.job(workflow, "job0").reason == "node_lost"
        with pytest.raises(Fenced):
            scene.finish(old, running)

    def test_two_runners_on_one_host_live_side_by_side(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        first, second = scene.node(workflow), scene.node(workflow, pid=101)

        assert scene.store.get(Node, first.id).is_active
        assert scene.store.get(Node, second.id).is_active

    # Silence.

    def test_a_silent_node_is_shown_and_keeps_its_jobs(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene)

        scene.move(90)
        scene.store.sweep()
        scene.store.sweep()

        assert scene.store.get(Node, node.id).state is NodeState.UNREACHABLE
        assert scene.store.get(Node, node.id).is_active
        assert scene.counts(workflow) == {"running": 2}
        assert len(scene.events(workflow, "compute_node_unreachable")) == 1

    def test_a_node_that_speaks_again_is_active_again(self, scene: Scene) -> None:
        workflow, node, given = _running(scene)
        scene.move(90)
        scene.store.sweep()

        orders = scene.turn(node, beat=beat(runs=given))

        assert scene.store.get(Node, node.id).state is NodeState.ACTIVE
        assert not orders.unknown
        assert scene.counts(workflow) == {"running": 2}

    def test_a_node_is_not_lost_before_its_lease_and_a_minute_are_over(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene)

        scene.move(W + 59)
        scene.store.sweep()
        before = scene.counts(workflow)
        scene.move(1)
        scene.store.sweep()

        assert before == {"running": 2}
        assert scene.counts(workflow) == {"failed": 2}
        assert scene.store.get(Node, node.id).state is NodeState.LOST
        assert not scene.store.get(Node, node.id).is_active
        assert len(scene.events(workflow, "compute_node_lost")) == 1

    def test_any_call_is_a_sign_of_life(self, scene: Scene) -> None:
        workflow, node, given = _running(scene)

        scene.move(W)
        scene.finish(node, given[:1])
        scene.move(W)
        scene.store.sweep()

        assert scene.counts(workflow) == {"completed": 1, "running": 1}

    def test_leases_begin_anew_when_the_store_was_away(self, scene: Scene) -> None:
        workflow, _, _ = _running(scene)
        scene.move(10 * W)

        scene.store.renew_leases()
        scene.store.sweep()

        assert scene.counts(workflow) == {"running": 2}

    def test_a_lost_attempt_has_a_provisional_result_and_its_waiters_are_canceled(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene, chain(2))

        _lose(scene)

        (result,) = scene.results(workflow)
        assert (result.status, result.return_code, result.reason) == (JobStatus.FAILED, -128, "node_lost")
        assert (result.provisional, result.current, result.node_id) == (True, True, node.id)
        assert scene.statuses(workflow) == {"job0": "failed", "job1": "canceled"}

    def test_what_a_lost_node_only_held_is_ready_with_the_same_attempt(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow), start=False)

        _lose(scene)

        assert scene.counts(workflow) == {"ready": 2}
        assert [job.attempt_id for job in scene.jobs(workflow)] == [1, 1]

    # Running again.

    def test_lost_jobs_are_run_again_as_often_as_the_workflow_allows(self, scene: Scene) -> None:
        workflow = scene.started(_again(2))

        for _ in range(3):
            node = scene.node(workflow)
            scene.claim(node)
            _lose(scene)

        job = scene.job(workflow, "job0")
        assert (job.status, job.attempt_id, job.losses) == (JobStatus.FAILED, 3, 2)
        assert [one.attempt_id for one in scene.results(workflow)] == [1, 2, 3]
        assert len(scene.events(workflow, "job_retried")) == 2

    def test_a_rule_for_lost_jobs_runs_them_again_up_to_its_limit(self, scene: Scene) -> None:
        rule = {"exit_codes": [-128], "max_retries": 2}
        workflow = scene.started(_handled([rule]))

        for _ in range(2):
            scene.claim(scene.node(workflow))
            _lose(scene)
            scene.move(7_200)
            scene.store.sweep()

        job = scene.job(workflow, "job0")
        assert (job.status, job.attempt_id) == (JobStatus.FAILED, 2)

    def test_the_jobs_of_a_draining_node_are_not_run_again_whatever_changed_meanwhile(
        self, scene: Scene
    ) -> None:
        workflow, _, _ = _running(scene)
        scene.store.change(Workflow, workflow, {"retry_on_node_loss": 3})

        _lose(scene)

        assert scene.counts(workflow) == {"failed": 2}
        assert not scene.claim(scene.node(workflow, pid=101))

    def test_proof_of_death_lets_the_jobs_of_a_draining_node_run_again(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene)
        scene.store.change(Workflow, workflow, {"retry_on_node_loss": 3})

        progress = scene.store.bury(node.id, "process_gone")

        assert dict(progress.moved) == {"ready": 2}
        assert scene.counts(workflow) == {"ready": 2}

    def test_a_new_run_forgets_losses(self, scene: Scene) -> None:
        workflow = scene.started(_again(1))
        scene.claim(scene.node(workflow))
        _lose(scene)
        lost = scene.job(workflow, "job0").losses
        job = scene.job(workflow, "job0")
        scene.store.change(Job, job.id, {"status": JobStatus.DISABLED})
        scene.store.change(Job, job.id, {"status": JobStatus.UNINITIALIZED})

        _begin(scene, workflow)

        assert (lost, scene.job(workflow, "job0").losses) == (1, 0)

    # Coming back.

    def test_a_lost_node_that_comes_back_goes_on(self, scene: Scene) -> None:
        workflow, node, given = _running(scene, fan(3), cpus=2)
        _lose(scene)

        orders = scene.turn(node, beat=beat(runs=given))
        verdicts = scene.finish(node, given)
        more = scene.claim(node)

        assert not orders.unknown
        assert list(verdicts) == [Verdict.DONE, Verdict.DONE]
        assert names(more) == ["job2"]
        assert scene.store.get(Node, node.id).state is NodeState.ACTIVE
        assert scene.counts(workflow) == {"completed": 2, "running": 1}

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED])
    def test_the_real_result_replaces_the_provisional_one(self, scene: Scene, status: JobStatus) -> None:
        workflow, node, given = _running(scene, chain(3))
        _lose(scene)
        ending = ended(given[0], status, exec_minutes=7.0, reason="exit_code", node=node.id)

        verdicts = [*scene.store.reconcile(workflow, [ending]), *scene.store.reconcile(workflow, [ending])]

        (result,) = scene.results(workflow)
        assert verdicts == [Verdict.DONE, Verdict.SAME]
        assert (result.status, result.exec_minutes, result.provisional) == (status, 7.0, False)
        assert scene.job(workflow, "job0").status is status
        after = ["ready", "blocked"] if status is JobStatus.COMPLETED else ["canceled", "canceled"]
        assert [scene.job(workflow, name).status.label for name in ("job1", "job2")] == after

    def test_only_the_first_real_result_replaces_the_provisional_one(self, scene: Scene) -> None:
        workflow, _, given = _running(scene, fan(1))
        _lose(scene)
        scene.store.reconcile(workflow, [ended(given[0])])

        verdicts = scene.store.reconcile(workflow, [ended(given[0], JobStatus.FAILED)])

        assert list(verdicts) == [Verdict.DIFFERENT]
        assert scene.counts(workflow) == {"completed": 1}

    def test_the_result_of_an_attempt_that_was_given_out_again_is_stale(self, scene: Scene) -> None:
        workflow = scene.started(_again(1))
        first = scene.claim(scene.node(workflow))
        _lose(scene)
        second = scene.node(workflow, pid=101)
        again = scene.claim(second)

        verdicts = scene.store.reconcile(workflow, [ended(first[0])])
        scene.finish(second, again)

        assert list(verdicts) == [Verdict.STALE]
        assert [(one.attempt_id, one.provisional) for one in scene.results(workflow)] == [
            (1, True),
            (2, False),
        ]
        assert [one.data["verdict"] for one in scene.events(workflow, "different_result")] == ["stale"]
        assert scene.counts(workflow) == {"completed": 1}

    def test_results_without_a_lease_are_nobodys(self, scene: Scene) -> None:
        workflow, _, given = _running(scene, fan(1))
        ending = Ending(
            job=given[0].job.id, run_id=0, attempt_id=1, lease=None, status=JobStatus.COMPLETED, return_code=0
        )

        assert list(scene.store.reconcile(workflow, [ending])) == [Verdict.STALE]
        assert scene.counts(workflow) == {"running": 1}

    def test_a_job_that_was_set_back_is_unknown_to_the_node_that_comes_back(self, scene: Scene) -> None:
        workflow = scene.started(_again(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        _lose(scene)

        orders = scene.turn(node, beat=beat(runs=given))

        assert list(orders.unknown) == [given[0].job.id]
        assert scene.counts(workflow) == {"ready": 1}

    # Proof of death.

    def test_a_dead_node_loses_its_jobs_at_once_and_is_fenced(self, scene: Scene) -> None:
        workflow, node, given = _running(scene)

        scene.store.bury(node.id, "stopped", "by force")
        scene.store.bury(node.id, "stopped", "by force")

        assert scene.counts(workflow) == {"failed": 2}
        told = scene.events(workflow, "compute_node_stopped")
        assert [(one.data["evidence"], one.data["detail"]) for one in told] == [("stopped", "by force")]
        with pytest.raises(Fenced):
            scene.finish(node, given)

    def test_a_lost_node_can_be_known_to_be_dead_later(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene)
        _lose(scene)

        scene.store.bury(node.id, "boot_id")

        assert scene.store.get(Node, node.id).state is NodeState.ENDED
        assert scene.counts(workflow) == {"failed": 2}

    def test_time_is_no_proof(self, scene: Scene) -> None:
        _, node, _ = _running(scene)

        with pytest.raises(Invalid, match="is no proof"):
            scene.store.bury(node.id, "silence")

    def test_a_canceled_job_stays_with_a_lost_node_until_it_is_known_to_be_dead(self, scene: Scene) -> None:
        workflow, node, given = _running(scene, fan(1))
        scene.store.stop([given[0].job.id])

        _lose(scene)
        kept = scene.job(workflow, "job0").node_id
        scene.store.bury(node.id, "boot_id")

        assert (kept, scene.job(workflow, "job0").node_id) == (node.id, None)
        assert scene.counts(workflow) == {"canceled": 1}

    def test_a_canceled_job_leaves_a_node_that_fences_itself_with_its_lease(self, scene: Scene) -> None:
        workflow = scene.started(_again(1))
        given = scene.claim(scene.node(workflow))
        scene.store.stop([given[0].job.id])

        _lose(scene)

        assert scene.job(workflow, "job0").node_id is None

    def test_resuming_leaves_alone_what_may_still_run(self, scene: Scene) -> None:
        workflow, node, _ = _running(scene, fan(1))
        _lose(scene)

        scene.store.resume(workflow, [])
        unsure = scene.counts(workflow)
        scene.store.resume(workflow, [node.id])

        assert unsure == {"failed": 1}
        assert scene.counts(workflow) == {"ready": 1}

    # Leaving.

    def test_leaving_keeps_what_was_used_and_how_long_it_took(self, scene: Scene) -> None:
        node = scene.node(scene.started(fan(1)))
        scene.move(30)

        scene.store.leave(node.id, Usage(peak_memory_bytes=5, sample_count=3))

        found = scene.store.get(Node, node.id)
        assert (found.state, found.duration_seconds) == (NodeState.ENDED, 30.0)
        assert found.usage == Usage(peak_memory_bytes=5, sample_count=3)

    def test_what_a_leaving_node_never_forked_is_ready_and_the_rest_is_lost(self, scene: Scene) -> None:
        workflow, node, given = _running(scene)
        scene.turn(node, beat=beat(runs=given[:1]))

        scene.store.leave(node.id, None)

        assert scene.statuses(workflow) == {"job0": "failed", "job1": "ready"}

    def test_a_closed_node_keeps_what_it_has_started(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node = scene.node(workflow)
        given = scene.claim(node, start=False)
        scene.turn(node, starts=[held(given[0])])
        scene.move(12)

        closed = scene.store.close_node(node.id, Usage(peak_cpu_percent=50.0))

        assert (closed.is_active, closed.state, closed.duration_seconds) == (False, NodeState.ENDED, 12.0)
        assert closed.usage.peak_cpu_percent == 50.0
        assert scene.statuses(workflow) == {"job0": "running", "job1": "ready"}

    # Draining.

    def test_a_draining_node_is_given_nothing_and_hears_why(self, scene: Scene) -> None:
        workflow, node, given = _running(scene, fan(3), cpus=2)

        scene.store.drain(node.id, True, "hot")
        scene.finish(node, given)
        orders = scene.turn(node, offer=scene.offer(node))

        assert orders.drain
        assert not orders.jobs
        assert "draining" in (orders.reason or "")
        assert scene.store.get(Node, node.id).draining
        assert [one.data["reason"] for one in scene.events(workflow, "user_action")] == ["hot"]

    def test_draining_can_be_ended(self, scene: Scene) -> None:
        node = scene.node(scene.started(fan(1)))
        scene.store.drain(node.id, True)
        scene.store.drain(node.id, True)

        scene.store.drain(node.id, False)

        assert names(scene.claim(node)) == ["job0"]

    def test_a_node_that_has_ended_cannot_be_drained(self, scene: Scene) -> None:
        node = scene.node(scene.started(fan(1)))
        scene.store.leave(node.id, None)

        with pytest.raises(Conflict, match="has ended"):
            scene.store.drain(node.id, True)

    # What else time brings.

    def test_a_claim_by_hand_runs_out_with_the_next_sweep(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.claim(workflow, replace(scene.offer(scene.node(workflow)), wait_ms=0))
        scene.move(600)

        scene.store.sweep()

        assert scene.counts(workflow) == {"ready": 1}

    def test_events_are_kept_as_long_as_the_settings_say(self, scene: Scene) -> None:
        workflow, node, given = _running(scene, fan(4))
        scene.finish(node, given)
        scene.store.sweep(keep_job_events=3)
        kept = [one.category for one in scene.events(workflow) if one.category.startswith("job_")]
        others = len(scene.events(workflow)) - len(kept)
        scene.move(2 * 86_400)

        scene.store.sweep(keep_days=1)

        assert kept == ["job_completed"] * 3
        assert others > 0
        assert {one.category for one in scene.events(workflow)} <= {"compute_node_lost"}

    def test_audit_entries_are_kept_as_long_as_is_said(self, scene: Scene) -> None:
        old = scene.store.add(
            [AuditEntry(operation="denied", principal="bob", established="password", peer="10.0.0.1")]
        )[0]
        scene.move(3 * 86_400)
        young = scene.store.add(
            [AuditEntry(operation="denied", principal="bob", established="password", peer="10.0.0.1")]
        )[0]
        scene.store.sweep(keep_days=1)
        before = [one.id for one in scene.store.find(AuditEntry, Query()).items]

        scene.store.sweep(keep_audit_days=2)

        assert before[-2:] == [old.id, young.id]
        assert [one.id for one in scene.store.find(AuditEntry, Query()).items] == [young.id]

    def test_an_idle_sweep_changes_nothing(self, scene: Scene) -> None:
        workflow, _, _ = _running(scene)
        before = scene.events(workflow)

        assert scene.store.sweep() is None
        assert scene.events(workflow) == before


def _running(
    scene: Scene, plan: Plan | None = None, cpus: int = 4
) -> tuple[WorkflowId, Node, list[Assignment]]:
    """A node that runs all that it can of a plan."""
    workflow = scene.started(plan or fan(2))
    node = scene.node(workflow, cpus)
    return workflow, node, list(scene.claim(node))


def _lose(scene: Scene) -> None:
    """Let every node of the store be lost by silence."""
    scene.move(W + 60)
    scene.store.sweep()


def _again(times: int) -> Plan:
    """One job, run again when its node is lost."""
    plan = fan(1)
    return replace(plan, workflow=replace(plan.workflow, retry_on_node_loss=times))


def _handled(rules: list[dict[str, Any]]) -> Plan:
    """One job with a failure handler."""
    plan = fan(1)
    return replace(
        plan, handlers=[PlannedHandler(name="h", rules=rules)], jobs=[replace(plan.jobs[0], handler=0)]
    )


def _begin(scene: Scene, workflow: WorkflowId) -> None:
    scene.store.initialize(workflow, Initialize(force=True))
