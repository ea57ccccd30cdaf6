"""What the wizard makes of answers: wrong ones are asked for again, none at all change nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import Conflict
from torc_core.host import Host
from torc_core.model import Allocation, AllocationStatus, Query
from torc_core.protocols import Tended
from torc_core.session import Session
from torc_core.system import SystemClock
from torc_slurm.recovering.diagnosis import Cause
from torc_slurm.recovering.looking import patients
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.recovery import Wish
from torc_slurm.recovering.serving import of_scheduler
from torc_slurm.recovering.wizard import Wizard


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


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lines that the user types."""
    return lambda *lines: monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{one}\n" for one in lines)))


def test_causes_are_asked_for_one_by_one(failed: Any, ends: Any, session: Session, typed: Any) -> None:
    scene = failed(ends.OOM, ends.LATE, ends.LOST, ends.STRANGE)
    found = patients(session.store(), scene.workflow)
    typed("?", "a", "much", "3", "a", "", "s", "r")

    wish = Wizard(session, scene.workflow).causes(found, Wish())

    assert (wish.factors.memory, wish.factors.runtime) == (3.0, 1.4)
    assert set(wish.skip) == {Cause.NODE_LOST}
    assert wish.retry_unknown


def test_an_existing_scheduler_or_a_plan_of_its_own(
    failed: Any, ends: Any, session: Session, typed: Any
) -> None:
    scene = failed(ends.OOM, slurm=True)
    wizard = Wizard(session, scene.workflow)

    typed("99", "x", "1", "0", "3")
    chosen = wizard.scheduler(Wish())
    typed("", "2-00:00:00")
    planned = wizard.scheduler(Wish())

    assert chosen.scheduler is not None
    assert (chosen.scheduler.name, chosen.count) == ("short", 3)
    assert (planned.scheduler, planned.wish.wanted.walltime) == (None, "2-00:00:00")


def test_the_end_of_the_input_is_no_answer(failed: Any, ends: Any, session: Session, typed: Any) -> None:
    scene = failed(ends.OOM)
    found = patients(session.store(), scene.workflow)
    typed()

    with pytest.raises(Conflict, match="no answer; nothing was changed"):
        Wizard(session, scene.workflow).causes(found, Wish())


class Nothing:
    """Nobody submits."""

    def tend(self, workflow: object, *, node: object = None) -> Tended:
        return Tended()


def test_allocations_of_a_scheduler_are_asked_for_once(failed: Any, ends: Any, session: Session) -> None:
    scene = failed(ends.OOM, slurm=True)
    from torc_core.model import SlurmScheduler

    scheduler = session.store().find(SlurmScheduler, Query(workflow=scene.workflow)).items[0]
    slurm: Any = Nothing()

    for _ in range(2):
        of_scheduler(session, slurm, scheduler, 3)(scene.workflow, Wanted())

    rows = session.store().find(Allocation, Query(workflow=scene.workflow)).items
    assert [one.status for one in rows] == [AllocationStatus.INTENDED] * 3
