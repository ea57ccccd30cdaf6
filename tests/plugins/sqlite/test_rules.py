"""What the owner of a store may want otherwise, in each of our stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from torc_core.model import Initialize, Severity
from torc_core.store.rules import StoreRules
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import chain, fan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene, held
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

Make = Callable[..., Scene]


@pytest.fixture(params=["memory", "sqlite"])
def scene(request: pytest.FixtureRequest, clock: SetClock, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(*, claim_seconds: int = 600, debug_events: bool = False) -> Scene:
            if request.param == "memory":
                rules = StoreRules(claim_seconds=claim_seconds, debug_events=debug_events)
                return Scene(MemoryStore(clock, rules), clock)
            settings = SqliteSettings(legacy_claim_seconds=claim_seconds, debug_events=debug_events)
            store = stack.enter_context(closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", settings, clock)))
            return Scene(store, clock)

        yield made


def told(scene: Scene, workflow: int) -> list[tuple[str, str]]:
    """Names and jobs of the debug events."""
    events = scene.events(workflow)
    return [
        (one.category, one.data["job_name"]) for one in events if one.severity is Severity.DEBUG
    ]  # fmt: skip


def test_a_claim_by_hand_runs_out_when_the_owner_says(scene: Make) -> None:
    with_rules = scene(claim_seconds=60)
    workflow = with_rules.started(fan(1))
    with_rules.store.claim(workflow, with_rules.offer(with_rules.node(workflow)))

    with_rules.move(59)
    with_rules.store.sweep()
    before = with_rules.counts(workflow)
    with_rules.move(1)
    with_rules.store.sweep()

    assert (before, with_rules.counts(workflow)) == ({"pending": 1}, {"ready": 1})


def test_debug_events_tell_every_step_where_they_are_wanted(scene: Make) -> None:
    loud = scene(debug_events=True)
    workflow = loud.created(chain(2)).id
    loud.store.initialize(workflow, Initialize())
    node = loud.node(workflow)
    given = loud.claim(node, start=False)
    loud.turn(node, give_back=[held(one) for one in given])
    loud.finish(node, loud.claim(node))

    assert told(loud, workflow) == [
        ("job_ready", "job0"),
        ("job_claimed", "job0"),
        ("job_given_back", "job0"),
        ("job_ready", "job0"),
        ("job_claimed", "job0"),
        ("job_ready", "job1"),
    ]


def test_debug_events_are_not_written_otherwise(scene: Make) -> None:
    quiet = scene()
    workflow = quiet.started(chain(2))
    node = quiet.node(workflow)
    quiet.finish(node, quiet.claim(node))

    assert told(quiet, workflow) == []
