"""A recovery plans for what is left, asks once, and keeps to the node-hours it may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import Conflict
from torc_core.host import Host
from torc_core.model import Allocation, Job, NodeId, Query
from torc_core.protocols import Tended
from torc_core.session import Session
from torc_core.system import SystemClock
from torc_slurm.profiles.builtin import KESTREL
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.replanning import Replanning


@pytest.fixture
def ends() -> Any:
    import failing_jobs

    return failing_jobs


@pytest.fixture
def session(home: Path) -> Any:
    config = Config.load()
    session = Session(host=Host.load(config), config=config, clock=SystemClock())
    yield session
    session.close()


class Queue:
    """A queue into which nobody puts anything."""

    def tend(self, workflow: object, *, node: NodeId | None = None) -> Tended:
        return Tended()


def provider(session: Session, queue: Any) -> Replanning:
    return Replanning(session, queue, None, lambda: KESTREL)


def rows(session: Session, scene: Any) -> list[Allocation]:
    return list(session.store().find(Allocation, Query(workflow=scene.workflow)).items)


def test_ready_jobs_get_allocations_that_suit_them(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, ends.GOOD, slurm=True)  # two jobs that waited are ready

    done = provider(session, Queue())(scene.workflow, Wanted())

    assert (done.intended, len(rows(session, scene))) == (1, 1)
    jobs = session.store().find(Job, Query(workflow=scene.workflow)).items
    bound = {job.name: job.scheduler_id for job in jobs if job.name.startswith("after")}
    assert set(bound.values()) == {rows(session, scene)[0].scheduler_config_id}


def test_a_repetition_asks_for_no_more(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, slurm=True)
    provide = provider(session, Queue())
    provide(scene.workflow, Wanted())

    again = provide(scene.workflow, Wanted())

    assert (again.intended, again.why_not) == (0, "nothing is missing: what is queued or runs is enough")
    assert len(rows(session, scene)) == 1


def test_a_dry_run_writes_nothing(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, slurm=True)

    done = provider(session, Queue())(scene.workflow, Wanted(), dry_run=True)

    assert (done.intended, rows(session, scene)) == (1, [])
    assert done.document is not None


def test_node_hours_are_kept_to(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, slurm=True)

    with pytest.raises(Conflict, match="node-hours"):
        provider(session, Queue())(scene.workflow, Wanted(max_node_hours=0.1))
    provider(session, Queue())(scene.workflow, Wanted(max_node_hours=3))
    used_up = provider(session, Queue())(scene.workflow, Wanted(max_node_hours=1.2))

    assert not used_up.enough
    assert "of 1.2 node-hours are used or asked for already" in str(used_up.why_not)
    assert len(rows(session, scene)) == 1


def test_a_job_that_fits_nowhere_is_told(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, slurm=True)

    done = provider(session, Queue())(scene.workflow, Wanted(partition="debug", walltime="00:10:00"))

    assert not done.enough
    assert str(done.why_not).startswith("no allocation can be planned: ")


def test_who_comes_late_finds_nothing_missing(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.GOOD, slurm=True)

    def slow() -> Any:
        # Somebody else is faster while this one asks what the cluster is made of.
        provider(session, Queue())(scene.workflow, Wanted())
        return KESTREL

    queue: Any = Queue()
    late = Replanning(session, queue, None, slow)(scene.workflow, Wanted())

    assert late.intended == 0
    assert len(rows(session, scene)) == 1
