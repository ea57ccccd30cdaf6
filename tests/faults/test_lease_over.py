"""The store is away for longer than the lease: the runner leaves, and what it could not tell is delivered by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Field
MINUTE, BEYOND = 3, 6_000
"""W is three seconds and not sixty, and the store waits six seconds longer."""


@pytest.fixture
def settings() -> dict[str, str]:
    """A server and runners for which a minute is short."""
    return {
        "TORC_TEST_MINUTE": str(MINUTE), "TORC_TEST_BEYOND": str(BEYOND), "TORC_SERVER__SWEEP_SECONDS": "1",
        "TORC_CLIENT__OFFLINE__DRAIN_PING_INTERVAL_SECS": "1",
    }  # fmt: skip


def test_results_of_a_runner_that_left_are_delivered_by_hand(field: Field) -> None:
    spec = field.account.spec(
        "left",
        [{"name": "j", "command": field.ledger.command(3)}],
        compute_node_wait_for_healthy_database_minutes=1,
    )
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    runner = field.run(workflow)
    field.account.until(lambda: len(field.ledger) == 1)

    field.proxy.close()
    _, err = runner.communicate(timeout=60)
    assert runner.returncode == 4
    assert f"torc reconcile {workflow} 1" in err
    told = field.account.answer("--url", field.server.url, "reconcile", str(workflow), "--base-dir", "out")

    assert [one["verdict"] for one in told["items"]] == ["done"]
    assert field.statuses(workflow) == {"completed": 1}
