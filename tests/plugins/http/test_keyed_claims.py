"""A call that carries an idempotency key is answered at once, since its answer is kept with what it did (`wire.md` T16)."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.waiting import SOON
from torc_core.model import NewNode, Resources
from torc_core.system import SystemClock
from torc_core.testing.plans import fan
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


def test_a_claim_with_a_key_is_not_held_and_is_answered_the_same_again(serve: Any, tmp_path: Path) -> None:
    clock = SystemClock()
    with (
        closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store,
        serve(store, clock) as url,
    ):
        workflow = store.create(fan(1), "ann").id
        new = NewNode(
            workflow_id=workflow, epoch="e", hostname="n1", pid=1, boot_id="b", process_start=1,
            capacity=Resources(cpus=1, memory=2**30),
        )  # fmt: skip
        node = store.join(new)
        free = {"cpus": 1, "memory_bytes": 2**30, "gpus": 0}
        body = {"epoch": "e", "claim_id": "c", "limit": 1, "free": free, "wait_ms": 20_000}
        request = urllib.request.Request(
            f"{url}/x/nodes/{node.id}/claim",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": "k"},
        )
        began = time.monotonic()

        answers = []
        for _ in range(2):
            with urllib.request.urlopen(request, timeout=SOON) as told:
                answers.append(told.read())

        assert time.monotonic() - began < 18
        assert answers[0] == answers[1]
        assert json.loads(answers[0])["pause_ms"] > 0
