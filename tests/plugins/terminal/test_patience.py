"""Who waits for a workflow outlives a store that is away for a while."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import Unavailable
from torc_core.host import Host
from torc_core.model import Initialize, WorkflowId
from torc_core.protocols import Store
from torc_core.session import Session
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_slurm.commands.waiting import waited
from torc_ssh.commands.following import followed
from torc_terminal.output.answer import Report
from torc_terminal.patience import PATIENCE, Looking


@pytest.fixture
def store(clock: SetClock) -> Store:
    made = MemoryStore(clock)
    made.create(fan(1), "ana")
    made.initialize(WorkflowId(1), Initialize())
    return made


@pytest.fixture
def session(clock: SetClock, store: Store, monkeypatch: pytest.MonkeyPatch) -> Session:
    """One whose store is away at the second and third look, and finds the workflow canceled afterwards."""
    looks = iter(["first", None, None])

    def looked(session: Session) -> Store:
        look = next(looks, "again")
        if look is None:
            raise Unavailable("nobody answers")
        if look == "again":
            store.cancel(WorkflowId(1))
        return store

    monkeypatch.setattr(Session, "store", looked)
    for module in ("torc_slurm.commands.waiting", "torc_ssh.commands.following"):
        monkeypatch.setattr(f"{module}.LOOK", 0.01)
    return Session(host=Host.of({}), config=Config.load(environ={}), clock=clock, quiet=True)


def test_a_submission_is_waited_for_though_the_store_is_away(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "torc_slurm.commands.waiting.served", lambda session: SimpleNamespace(url="http://h:1")
    )

    assert waited(session, 1, None).exit_code == 7


def test_workers_are_followed_though_the_store_is_away(session: Session) -> None:
    report = Report(schema="torc.remote.run/1", data={"workflow_id": 1}, text="")

    assert followed(session, report, None).exit_code == 7


def test_a_store_that_stays_away_is_told(
    clock: SetClock, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Looking(session, WorkflowId(1))

    def away(session: Session) -> Any:
        raise Unavailable("nobody answers")

    monkeypatch.setattr(Session, "store", away)
    looking.look()
    clock.move(PATIENCE + 1)

    with pytest.raises(Unavailable):
        looking.look()
