"""Many threads at one store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from torc_core.errors import Invalid
from torc_core.model import Event, JobId, JobStatus, Offer, Plan, Query, Resources, Turn, WorkflowId
from torc_core.model.resources import GIB
from torc_core.protocols import Listening
from torc_core.testing.plans import barrier, chain, fan, random_plan
from torc_core.testing.stores.scene import Scene, SceneContract, ended

THREADS = 8


class ConcurrencyContract(SceneContract):
    """What holds when callers race."""

    def test_threads_that_claim_get_disjoint_jobs_and_skip_none(self, scene: Scene) -> None:
        self._needs_threads()
        workflow = scene.started(fan(800))
        nodes = [scene.node(workflow, cpus=1_000) for _ in range(THREADS)]
        claims = {node.id: [f"{node.id}-{at}" for at in range(10)] for node in nodes}

        def claim(at: int) -> list[str]:
            node = nodes[at]
            free = [Resources(cpus=1_000, memory=8 * GIB)]
            offers = [Offer(claim_id=id, free=free, limit=10) for id in claims[node.id]]
            turns = [Turn(node=node.id, epoch=node.epoch, offer=offer) for offer in offers]
            return [one.job.name for turn in turns for one in scene.store.turn(turn).jobs]

        with ThreadPoolExecutor(THREADS) as pool:
            given = Counter(name for names in pool.map(claim, range(THREADS)) for name in names)

        assert set(given.values()) == {1}
        assert len(given) == 800

    def test_threads_that_run_a_workflow_end_it_with_one_result_each(self, scene: Scene) -> None:
        self._needs_threads()
        workflow = scene.started(barrier(60, 60))

        self._run(scene, workflow)

        assert scene.counts(workflow) == {"completed": 120}
        assert sorted(one.job_id for one in scene.results(workflow)) == [
            job.id for job in scene.jobs(workflow)
        ]

    def test_threads_that_create_workflows_share_no_id(self, scene: Scene) -> None:
        self._needs_threads()
        plans: list[Plan] = [random_plan(seed) for seed in range(24)]

        with ThreadPoolExecutor(THREADS) as pool:
            made = list(pool.map(lambda plan: scene.store.create(plan, "ann").id, plans))

        jobs = [job.id for workflow in made for job in scene.jobs(workflow)]
        assert len(set(made)) == len(plans)
        assert len(set(jobs)) == len(jobs) == sum(len(plan.jobs) for plan in plans)

    def test_one_end_of_many_equal_ones_is_done(self, scene: Scene) -> None:
        self._needs_threads()
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)

        with ThreadPoolExecutor(THREADS) as pool:
            verdicts = Counter(pool.map(lambda _: scene.finish(node, given)[0], range(THREADS)))

        assert verdicts == {"done": 1, "same": THREADS - 1}

    def test_cancel_and_completion_leave_one_truth(self, scene: Scene) -> None:
        self._needs_threads()
        for _ in range(10):
            workflow = scene.started(fan(1))
            node = scene.node(workflow)
            given = scene.claim(node)
            job = given[0].job.id

            def cancel(job: JobId = job) -> None:
                try:
                    scene.store.stop([job])
                except Invalid:
                    pass  # it was over already

            with ThreadPoolExecutor(2) as pool:
                stopping = pool.submit(cancel)
                ending = pool.submit(scene.finish, node, given)
                stopping.result()
                verdict = ending.result()[0]

            job_now, result = scene.job(workflow, "job0"), scene.results(workflow)[0]
            assert (verdict, job_now.status, job_now.node_id) == ("done", result.status, None)
            assert job_now.status in (JobStatus.COMPLETED, JobStatus.CANCELED)

    def test_listeners_hear_every_event_once_and_in_order(self, scene: Scene) -> None:
        self._needs_threads()
        store = scene.store
        if not self.listens:
            assert not isinstance(store, Listening)
            return
        assert isinstance(store, Listening)
        heard: list[Event] = []

        def hear(events: Sequence[Event]) -> None:
            heard.extend(events)

        store.listen(hear)
        workflow = scene.started(barrier(30, 30))

        self._run(scene, workflow)

        stored = scene.store.find(Event, Query(workflow=workflow, limit=10_000)).items
        assert [event.id for event in heard] == [event.id for event in stored]
        assert list(heard) == list(stored)

    def _run(self, scene: Scene, workflow: WorkflowId) -> None:
        nodes = [scene.node(workflow, cpus=2) for _ in range(THREADS)]

        def work(at: int) -> None:
            node = nodes[at]
            orders = scene.turn(node, offer=scene.offer(node, claim_id=f"{at}-0"))
            for turn in range(1, 10_000):
                if orders.complete:
                    return
                ends = [ended(one) for one in orders.jobs]
                wait = 0 if ends else 2_000
                offer = scene.offer(node, claim_id=f"{at}-{turn}", wait_ms=wait)
                orders = scene.turn(node, endings=ends, offer=offer)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))

    def _needs_threads(self) -> None:
        if not self.shared:
            pytest.skip("this store is for one thread")
