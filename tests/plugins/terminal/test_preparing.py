"""A workflow is made ready once, however many runners start at the same moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from torc_core.model import Workflow
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene
from torc_terminal.preparing import initialize

SESSION: Any = SimpleNamespace(warn=pytest.fail)


def test_runners_that_start_together_begin_one_run(clock: SetClock) -> None:
    scene = Scene(MemoryStore(clock), clock)
    workflow = scene.created(fan(3)).id
    # Both have looked before either of them has begun.
    (seen,) = scene.store.totals([workflow])
    initialize(SESSION, scene.store, seen)
    scene.claim(scene.node(workflow, cpus=1))

    initialize(SESSION, scene.store, seen)

    assert scene.store.get(Workflow, workflow).run_id == 1
    assert scene.counts(workflow) == {"running": 1, "ready": 2}
