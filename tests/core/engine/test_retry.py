"""What a failure handler makes of a bad end, as a pure rule."""

from __future__ import annotations

from typing import Any

import pytest

from torc_core.engine.retry import Retry, checked_rules, decide, delay_ms
from torc_core.model import JobStatus

FAILED, TERMINATED = JobStatus.FAILED, JobStatus.TERMINATED


def rules(**fields: Any) -> Any:
    return checked_rules([{"exit_codes": [7], **fields}])


@pytest.mark.parametrize(
    ("attempt", "delay"), [(1, 10_000), (2, 20_000), (3, 40_000), (4, 60_000), (5_000, 60_000)]
)
def test_the_delay_grows_up_to_its_ceiling(attempt: int, delay: int) -> None:
    (rule,) = rules(delay_seconds=10, max_delay_seconds=60)

    assert delay_ms(rule, attempt) == delay


def test_a_delay_of_days_does_not_overflow() -> None:
    (rule,) = rules(delay_seconds=1, backoff_multiplier=1e9, max_delay_seconds=86_400)

    assert delay_ms(rule, 10_000) == 86_400_000


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_max_retries_is_the_greatest_attempt(attempt: int) -> None:
    retry = decide(rules(max_retries=3), FAILED, 7, "exit_code", attempt_id=attempt)

    assert retry.again is (attempt < 3)


def test_a_dead_runner_counts_as_a_lost_node() -> None:
    retries = [
        decide((), TERMINATED, -9, "runner_died", attempt_id=1, losses=losses, retry_on_node_loss=1)
        for losses in (0, 1)
    ]

    assert [(retry.again, retry.lost) for retry in retries] == [(True, True), (False, False)]


@pytest.mark.parametrize("reason", ["interrupted", "runner_died"])
def test_what_the_job_did_not_do_is_not_recovered_by_a_script(reason: str) -> None:
    found = decide(rules(recovery_script="fix"), TERMINATED, 7, reason, attempt_id=1, use_pending_failed=True)

    assert found == Retry()


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELED, JobStatus.PENDING_FAILED])
def test_only_bad_ends_are_asked_about(status: JobStatus) -> None:
    assert decide(rules(), status, 7, None, attempt_id=1, use_pending_failed=True) == Retry()
