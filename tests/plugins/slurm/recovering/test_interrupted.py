"""A recovery that is killed before or after any of its steps, and repeated, ends as one that was not: nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import Conflict
from torc_core.host import Host
from torc_core.model import Allocation, AllocationStatus, Intent, Query, Replan, WorkflowId
from torc_core.protocols import Synced, Tended
from torc_core.session import Session
from torc_core.system import SystemClock
from torc_slurm.recovering.providing import Provided, Wanted
from torc_slurm.recovering.recovery import Recovered, Recovery, Wish

CHANGING = {"recover", "replan", "submitted", "bury"}
"""Verbs after which it makes a difference that they were called."""


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A store on the way to which the process dies: before the n-th verb that changes something, or after it."""

    def __init__(self, store: Any, at: int | None, *, after: bool) -> None:
        self._store = store
        self._left = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._store, name)
        if name not in CHANGING:
            return member

        def called(*args: Any, **named: Any) -> Any:
            if self._left is None:
                return member(*args, **named)
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            done = member(*args, **named)
            if self._left == 0:
                raise Killed
            return done

        return called


class Submitting:
    """Slurm, as far as a recovery knows it: what is intended is submitted, under numbers that nobody has had."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False) -> Synced:
        return Synced()

    def tend(self, workflow: WorkflowId, *, node: object = None) -> Tended:
        store = self._session.store()
        query = Query(workflow=workflow, where={"status": AllocationStatus.INTENDED.value})
        done = [
            store.submitted(one.id, one.submission_key, f"{1000 + one.id}")
            for one in store.find(Allocation, query).items
        ]
        return Tended(submitted=done)

    def __call__(self, workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        store = self._session.store()
        newest = max((one.id for one in store.find(Allocation, Query(workflow=workflow)).items), default=0)
        store.replan(workflow, Replan(allocations=[Intent(scheduler="short", count=2)], newest=newest))  # type: ignore[arg-type]  # an id
        return Provided(intended=2, tended=self.tend(workflow))


def recovered(workflow: WorkflowId, at: int | None = None, *, after: bool = False) -> Recovered:
    """Recover a workflow in a process of its own, as far as it gets."""
    config = Config.load()
    host, clock = Host.load(config), SystemClock()
    store = host.open_store(config.store_url, clock)
    session = Session(host=host, config=config, clock=clock)
    session._store = Mortal(store, at, after=after)  # type: ignore[assignment]  # as good as a store
    slurm: Any = Submitting(session)
    try:
        return Recovery(session, workflow, Wish(), batch=slurm, provide=slurm).done()
    finally:
        store.close()


def seen(scene: Any, ends: Any) -> object:
    """All that a recovery is about."""
    with ends.opened() as store:
        allocations = store.find(Allocation, Query(workflow=scene.workflow)).items
    return (
        scene.statuses(),
        scene.memory(),
        scene.run_id(),
        [(one.status.value, bool(one.scheduler_id)) for one in allocations],
    )


@pytest.fixture
def ends() -> Any:
    import failing_jobs

    return failing_jobs


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 5))
def test_killed_at_any_step_and_repeated_it_ends_the_same(
    failed: Callable[..., Any], ends: Any, at: int, after: bool
) -> None:
    calm, scene = (failed(ends.OOM, ends.OOM, ends.LOST, slurm=True) for _ in range(2))
    recovered(calm.workflow)

    with pytest.raises(Killed):
        recovered(scene.workflow, at, after=after)
    again = recovered(scene.workflow)

    assert seen(scene, ends) == seen(calm, ends)
    assert seen(scene, ends)[1]["job0"] == "15g"  # type: ignore[index]  # a tuple
    assert len(seen(scene, ends)[3]) == 2  # type: ignore[index]
    assert again.exit_code == 0


def test_there_are_no_more_steps_than_those(failed: Callable[..., Any], ends: Any) -> None:
    scene = failed(ends.OOM, ends.OOM, ends.LOST, slurm=True)

    recovered(scene.workflow, 5)


def test_repeated_while_its_allocations_wait_it_says_so_and_asks_for_no_more(
    failed: Callable[..., Any], ends: Any
) -> None:
    scene = failed(ends.OOM, slurm=True)
    recovered(scene.workflow)
    before = seen(scene, ends)

    again = recovered(scene.workflow)

    assert again.lines == ["recovered already: 2 allocations are queued or running"]
    assert again.exit_code == 0
    assert seen(scene, ends) == before


def test_allocations_that_a_limit_forbids_are_missed(failed: Callable[..., Any], ends: Any) -> None:
    scene = failed(ends.OOM, slurm=True)
    config = Config.load()
    session = Session(host=Host.load(config), config=config, clock=SystemClock())

    def refuse(workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        return Provided(why_not="9.0 of 8 node-hours are used or asked for already", enough=False)

    slurm: Any = Submitting(session)
    done = Recovery(session, scene.workflow, Wish(), batch=slurm, provide=refuse).done()
    session.close()

    assert done.exit_code == 1
    assert "9.0 of 8 node-hours are used or asked for already" in done.lines


def test_of_two_that_decided_the_same_one_acts(failed: Callable[..., Any], ends: Any) -> None:
    scene = failed(ends.OOM, slurm=True)
    config = Config.load()
    host, clock = Host.load(config), SystemClock()
    session = Session(host=host, config=config, clock=clock)
    slurm: Any = Submitting(session)
    first, second = (Recovery(session, scene.workflow, Wish(), batch=slurm, provide=slurm) for _ in range(2))
    decisions = [one.decided(one.diagnosed()) for one in (first, second)]

    first.applied(decisions[0], slurm=True)
    with pytest.raises(Conflict, match="is in run 2 by now"):
        second.applied(decisions[1], slurm=True)
    session.close()

    assert len(seen(scene, ends)[3]) == 2  # type: ignore[index]
    assert scene.memory()["job0"] == "15g"
