"""Why a job does not run: each verdict is true, and taking the stated obstacle away lets the job be claimed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from torc_core.model import (
    Action,
    Allocation,
    Event,
    Initialize,
    Job,
    JobStatus,
    NewNode,
    Offer,
    Query,
    Resources,
    SlurmScheduler,
    Turn,
    Waiting,
    WorkflowId,
)
from torc_core.model.resources import GIB
from torc_core.store.explaining import explained_job, explained_workflow, job_json, workflow_json
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import chain, diamond, fan, need, shaped
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene


@pytest.fixture
def scene(clock: SetClock) -> Scene:
    return Scene(MemoryStore(clock), clock)


def verdict(scene: Scene, workflow: WorkflowId, name: str = "job0") -> str:
    return explained_job(scene.store, scene.job(workflow, name).id, scene.clock.now())[1].code


def test_what_is_not_initialized_says_so(scene: Scene) -> None:
    workflow = scene.created(fan(1)).id

    _, told = explained_job(scene.store, scene.job(workflow, "job0").id, 0)

    assert (told.code, told.remedies) == ("uninitialized", [f"torc workflows init {workflow}"])


def test_a_ready_job_without_any_runner_says_how_to_start_one(scene: Scene) -> None:
    workflow = scene.started(fan(1))

    _, told = explained_job(scene.store, scene.job(workflow, "job0").id, 0)

    assert (told.code, told.remedies) == ("no_runner", [f"torc run {workflow}"])


def test_a_blocked_job_names_its_parents_and_what_holds_them_up(scene: Scene) -> None:
    workflow = scene.started(chain(4))
    scene.claim(scene.node(workflow))

    job, told = explained_job(scene.store, scene.job(workflow, "job3").id, scene.clock.now())

    assert told.code == "waiting_dependency"
    (check,) = [one for one in told.checks if one.code == "waiting_dependency"]
    assert [one["job_name"] for one in check.data["chain"]] == ["job2", "job1", "job0"]
    assert job_json(job, told)["verdict"]["text"].endswith("which is running")


def test_a_job_that_was_canceled_with_its_parent_names_it(scene: Scene) -> None:
    workflow = scene.started(chain(2))
    node = scene.node(workflow)
    scene.finish(node, scene.claim(node), JobStatus.FAILED)

    assert (verdict(scene, workflow), verdict(scene, workflow, "job1")) == ("done", "upstream_failed")


@pytest.mark.parametrize(
    ("shape", "code"),
    [({"cpus": 99}, "no_fitting_node"), ({"memory": 99 * GIB}, "no_fitting_node"), ({"gpus": 3}, "no_fitting_node")],
)  # fmt: skip
def test_a_job_that_no_runner_can_hold_says_what_it_lacks(
    scene: Scene, shape: dict[str, int], code: str
) -> None:
    workflow = scene.started(shaped(need("a", **shape)))
    scene.node(workflow)

    _, told = explained_job(scene.store, scene.job(workflow, "job0").id, scene.clock.now())

    (check,) = [one for one in told.checks if one.code == code]
    assert (told.code, check.data["dimension"]) == (code, next(iter(shape)))


def test_a_job_that_is_too_long_for_every_runner_says_so(scene: Scene) -> None:
    workflow = scene.started(shaped(need("a", runtime=7_200)))
    scene.node(workflow, time_limit=3_600)

    assert verdict(scene, workflow) == "not_enough_time"


def test_a_label_that_nobody_serves_is_named(scene: Scene) -> None:
    plan = fan(1)
    plan = replace(plan, jobs=[replace(plan.jobs[0], label="big")])
    workflow = scene.started(plan)
    scene.node(workflow)

    assert verdict(scene, workflow) == "label_mismatch"


def test_a_node_that_drains_is_the_obstacle_where_it_is_the_only_one(scene: Scene) -> None:
    workflow = scene.started(fan(1))
    scene.store.drain(scene.node(workflow).id, True)

    assert verdict(scene, workflow) == "quarantined_node"


def test_a_job_on_a_silent_node_says_until_when_it_is_waited_for(scene: Scene) -> None:
    workflow = scene.started(fan(1))
    scene.claim(scene.node(workflow))
    scene.move(100)

    assert verdict(scene, workflow) == "node_unreachable"


def test_an_occupied_runner_counts_who_comes_first(scene: Scene) -> None:
    workflow = scene.started(fan(4))
    scene.claim(scene.node(workflow, cpus=1))

    _, told = explained_job(scene.store, scene.job(workflow, "job3").id, scene.clock.now())

    assert told.code == "busy"
    assert "2 ready jobs come before it" in told.text


def test_queued_allocations_and_due_actions_are_what_a_job_waits_for(scene: Scene) -> None:
    workflow = scene.started(fan(1))
    action = Action(
        workflow_id=workflow, trigger_type="on_workflow_start", action_type="schedule_nodes", config={"scheduler": "s"}
    )  # fmt: skip
    (scheduler,) = scene.store.add([SlurmScheduler(workflow_id=workflow, name="s", fields={"account": "a"})])
    scene.store.add([action])
    scene.store.initialize(workflow, Initialize())
    before = verdict(scene, workflow)

    scene.store.intend(workflow, "r", scheduler.id, 1, 1)

    assert (before, verdict(scene, workflow)) == ("waiting_action", "allocation_pending")


class Says:
    """A batch system that says of all allocations that they wait for the same, and why it asks for no more."""

    def __init__(self, *waits: Waiting, why_not: str | None = None) -> None:
        self.waits, self.why_not = waits, why_not

    def waiting(self, numbers, *, age=30.0):
        return dict(zip(numbers, self.waits, strict=False))

    def reluctance(self, workflow):
        return [] if self.why_not is None else [self.why_not]


def asking(scene: Scene, count: int = 1) -> tuple[WorkflowId, list[Allocation]]:
    """A workflow with allocations in the queue."""
    workflow = scene.started(fan(1))
    (scheduler,) = scene.store.add([SlurmScheduler(workflow_id=workflow, name="s", fields={"account": "a"})])
    made = scene.store.intend(workflow, "r", scheduler.id, count, 1)
    rows = [scene.store.submitted(one.id, one.submission_key, str(100 + at)) for at, one in enumerate(made)]
    return workflow, rows


def test_the_queue_says_why_allocations_wait_and_when_the_first_may_start(scene: Scene) -> None:
    workflow, _ = asking(scene, 3)
    now = scene.clock.now()
    turn = Waiting(reason="Priority", text="Priority: others come before it", start=now + 600_000)
    held = Waiting(reason="JobHeldUser", text="JobHeldUser: it is held")

    _, told = explained_job(
        scene.store,
        scene.job(workflow, "job0").id,
        now,
        [Says(turn, replace(turn, start=now + 60_000), held)],
    )
    _, (group,) = explained_workflow(scene.store, workflow, now, [Says(turn)])

    data = told.checks[-1].data
    assert told.code == "allocation_pending"
    assert "3 allocations are queued (2 of them: Priority: others come before it; 1 of them:" in told.text
    assert "estimated to start in 1m" in told.text
    assert (data["reasons"], told.remedies) == ({"Priority": 2, "JobHeldUser": 1}, [])
    assert str(data["estimated_start"]).endswith("Z")
    assert group.code == "allocation_pending"
    assert "Priority" in group.text


def test_allocations_that_will_never_start_can_be_planned_anew(scene: Scene) -> None:
    workflow, _ = asking(scene)
    stuck = Waiting(reason="PartitionTimeLimit", text="PartitionTimeLimit: it will never start")

    _, told = explained_job(scene.store, scene.job(workflow, "job0").id, 0, [Says(stuck)])

    assert f"torc slurm regenerate {workflow} --submit" in told.remedies


def test_due_actions_are_named_even_where_runners_are_busy(scene: Scene) -> None:
    workflow = scene.started(fan(9))
    action = Action(
        workflow_id=workflow, trigger_type="on_workflow_start", action_type="schedule_nodes", config={"scheduler": "s"}
    )  # fmt: skip
    scene.store.add([action, replace(action, trigger_type="on_worker_start", persistent=True)])
    scene.store.initialize(workflow, Initialize())
    scene.claim(scene.node(workflow))
    (first, _) = scene.store.find(Action, Query(workflow=workflow)).items

    _, told = explained_job(scene.store, scene.job(workflow, "job8").id, scene.clock.now())

    due = next(one for one in told.checks if one.code == "waiting_action")
    assert told.code == "busy"
    assert due.data["actions"] == [first.id]
    assert f"action {first.id} is due" in due.text


def test_an_action_that_has_not_fired_says_what_it_waits_for(scene: Scene) -> None:
    workflow = scene.started(chain(2))
    first, second = (scene.job(workflow, name).id for name in ("job0", "job1"))
    action = Action(
        workflow_id=workflow, trigger_type="on_jobs_ready", action_type="schedule_nodes",
        config={"scheduler": "s"}, jobs=(first, second), required_triggers=2,
    )  # fmt: skip
    scene.store.add([action])
    scene.store.initialize(workflow, Initialize())

    _, told = explained_job(scene.store, first, 0)

    assert told.code == "waiting_action"
    assert "asks for some when 2 of its jobs are ready, and 1 are" in told.text


def test_it_is_told_why_no_allocation_was_asked_for(scene: Scene) -> None:
    workflow = scene.started(fan(1))
    event = Event(
        workflow_id=workflow, category="scheduling_decision",
        data={"allocations": 0, "reason": "cooldown 12 min left", "source": "watch"},
    )  # fmt: skip
    scene.store.add([event])

    _, told = explained_job(
        scene.store, scene.job(workflow, "job0").id, 0, [Says(why_not="no more node-hours are allowed")]
    )

    texts = [one.text for one in told.checks if one.code == "no_runner"]
    assert told.code == "no_runner"
    assert "no more node-hours are allowed" in told.text
    assert any("'torc watch' asked for nothing" in one and "cooldown 12 min left" in one for one in texts)


def test_a_delayed_retry_says_when(scene: Scene) -> None:
    workflow = scene.started(fan(1))
    scene.store.cancel(workflow)

    assert verdict(scene, workflow) == "canceled"


def test_a_workflow_is_explained_by_reason_with_three_examples(scene: Scene) -> None:
    workflow = scene.started(shaped(*[need("a"), *[need("big", cpus=50)] * 5]))
    scene.node(workflow, cpus=1)

    totals, groups = explained_workflow(scene.store, workflow, scene.clock.now())

    told = workflow_json(totals, groups)["reasons"]
    assert [(one["code"], one["count"], len(one["examples"])) for one in told] == [
        ("no_fitting_node", 5, 3),
        ("busy", 1, 1),
    ]


def test_jobs_at_work_are_told_by_what_is_known_of_their_runners(scene: Scene) -> None:
    workflow = scene.started(fan(5))
    silent = scene.node(workflow, cpus=2)
    scene.claim(silent)
    scene.move(100)
    heard = scene.node(workflow, cpus=3)
    scene.claim(heard)

    told = workflow_json(*explained_workflow(scene.store, workflow, scene.clock.now()))["reasons"]

    assert [(one["code"], one["count"]) for one in told] == [("running", 3), ("node_unreachable", 2)]
    assert f"node {heard.id} (" in told[0]["text"]
    assert f"node {silent.id} (" in told[1]["text"]


def test_a_file_that_ties_jobs_is_a_dependency_like_any_other(scene: Scene) -> None:
    workflow = scene.started(diamond())

    assert verdict(scene, workflow, "d") == "waiting_dependency"


@pytest.mark.parametrize("seed", range(60))
def test_the_verdict_agrees_with_what_a_claim_does(scene: Scene, seed: int) -> None:
    """OB3: what is said to fit now is given at once; what is said not to fit is given to a node that has what lacks."""
    chance = Random(seed)
    needs = [need(f"n{k}", cpus=chance.randint(1, 6), gpus=chance.choice([0, 0, 1])) for k in range(6)]
    workflow = scene.started(shaped(*needs))
    node = scene.node(workflow, cpus=chance.randint(1, 6), gpus=chance.choice([0, 1]))
    scene.claim(node, limit=chance.randint(0, 2))
    ready = scene.store.find(Job, Query(workflow=workflow, where={"status": JobStatus.READY})).items
    if not ready:
        return
    job = chance.choice(list(ready))

    _, told = explained_job(scene.store, job.id, scene.clock.now())

    for other in ready:
        if other.id != job.id:
            scene.store.change(Job, other.id, {"label": "elsewhere"})
    if told.code == "busy":
        (check,) = [one for one in told.checks if one.code == "busy"]
        given = scene.claim(node)
        assert [one.job.id for one in given] == ([job.id] if check.data["has_room"] else [])
    else:
        assert told.code == "no_fitting_node"
        assert not scene.claim(node)
        larger = scene.store.join(
            NewNode(
                workflow_id=workflow, epoch="larger", hostname="n2", pid=1, boot_id="b2", process_start=1,
                capacity=Resources(cpus=64, memory=640 * GIB, gpus=8),
            )
        )  # fmt: skip
        offer = Offer(claim_id="c", free=[larger.capacity])
        given = scene.store.turn(Turn(node=larger.id, epoch="larger", offer=offer)).jobs
        assert [one.job.id for one in given] == [job.id]
