"""What is still there after a store was closed and opened again (`promises.md` I2)."""

from __future__ import annotations

from contextlib import closing

import pytest

from torc_core.errors import NotFound
from torc_core.model import Event, Job, JobStatus, Node, Query, Result, Workflow
from torc_core.protocols import Store
from torc_core.testing.plans import chain, diamond, fan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene, SceneContract, names


class DurabilityContract(SceneContract):
    """Closing a store loses nothing."""

    def reopen(self, store: Store, clock: SetClock) -> Store:
        """Close the store that the fixture made, and open it anew; the test closes what this returns."""
        raise pytest.UsageError(f"{type(self).__name__} needs a method named 'reopen'")

    def test_everything_is_there_after_the_store_was_closed(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        node = scene.node(workflow)
        scene.finish(node, scene.claim(node), JobStatus.COMPLETED)
        kinds = (Workflow, Job, Node, Result, Event)
        query = Query(workflow=workflow)
        before = [scene.store.find(kind, query) for kind in kinds]
        server, totals = scene.store.server_id, scene.store.totals([workflow])

        with closing(self.reopen(scene.store, scene.clock)) as store:
            assert [store.find(kind, query) for kind in kinds] == before
            assert (store.server_id, store.totals([workflow])) == (server, totals)

    def test_a_runner_goes_on_after_the_store_was_closed(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        offer = scene.offer(node)
        given = scene.turn(node, offer=offer).jobs

        with closing(self.reopen(scene.store, scene.clock)) as store:
            later = Scene(store, scene.clock)
            again = later.turn(node, offer=offer).jobs
            verdicts = later.finish(node, given)

            assert ([one.job for one in again], list(verdicts)) == ([one.job for one in given], ["done"])
            assert names(later.claim(node)) == ["job1"]

    def test_ids_are_never_used_twice(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        last, event = scene.jobs(workflow)[-1].id, scene.events(workflow)[-1].id
        scene.store.delete(workflow)

        with closing(self.reopen(scene.store, scene.clock)) as store:
            later = Scene(store, scene.clock)
            again = later.started(fan(1))

            assert again > workflow
            assert later.jobs(again)[0].id > last
            assert later.events(again)[0].id > event
            with pytest.raises(NotFound):
                store.get(Workflow, workflow)
