"""What Slurm's commands answer is read as it is meant, and asked for sparingly (`slurm.md` §13.5, §14)."""

from __future__ import annotations

from pathlib import Path

import pytest

from torc_core.testing.plugin import SetClock
from torc_slurm.scheduler.answers import Queued, Ran, Refused, Submitted, Unclear
from torc_slurm.scheduler.budget import QUERIES, SUBMISSIONS, Budget
from torc_slurm.scheduler.sizes import mebibytes, size
from torc_slurm.scheduler.slurm import outcome
from torc_slurm.scheduler.states import Standing, standing, word
from torc_slurm.scheduler.times import instant, seconds, written

FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("code", "out", "err", "meant"),
    [
        (0, "123\n", "", Submitted(number="123")),
        (0, "Welcome!\n123;kestrel\n", "", Submitted(number="123", cluster="kestrel")),
        (0, "", "", Unclear),
        (0, "Submitted batch job 123", "", Unclear),
        (None, "", "", Unclear),
        (1, "", f"{FAILED}Socket timed out on send/recv operation", Unclear),
        (1, "", f"{FAILED}Unable to contact slurm controller (connect failure)", Refused),
        (1, "", f"{FAILED}Invalid account or account/partition combination specified", Refused),
        (1, "", f"{FAILED}Job violates accounting/QOS policy (job submit limit)", Refused),
        (1, "", f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)", Refused),
        (1, "", "sbatch: error: Unable to open file x.sh", Refused),
        (1, "", f"{FAILED}Transport endpoint is not connected", Unclear),
        (1, "", f"{FAILED}Zero Bytes were transmitted or received", Unclear),
        (1, "123\n", f"{FAILED}Invalid qos specification", Unclear),
        (1, "", "", Unclear),
        (-9, "", "", Unclear),
    ],
)
def test_where_there_is_any_doubt_sbatch_was_unclear(code, out: str, err: str, meant: object) -> None:
    found = outcome(Ran(code=code, out=out, err=err), 60)

    assert found == meant if isinstance(meant, Submitted) else isinstance(found, meant)


def test_a_connection_that_fails_is_worth_another_try() -> None:
    found = outcome(
        Ran(code=1, out="", err=f"{FAILED}Unable to contact slurm controller (connect failure)"), 60
    )

    assert isinstance(found, Refused)
    assert found.away


@pytest.mark.parametrize(
    ("text", "state", "meant"),
    [
        ("CANCELLED by 1234", "CANCELLED", Standing.BAD), ("RUNNING+", "RUNNING", Standing.ALIVE),
        ("pending", "PENDING", Standing.QUEUED), ("REQUEUED", "REQUEUED", Standing.QUEUED), ("S", "SUSPENDED", Standing.ALIVE),
        ("COMPLETED", "COMPLETED", Standing.GOOD), ("COMPLETING", "COMPLETING", Standing.ALIVE),
        ("OUT_OF_MEMORY", "OUT_OF_MEMORY", Standing.BAD), ("BRAND_NEW", "BRAND_NEW", Standing.ALIVE), ("", "", Standing.ALIVE),
    ],
)  # fmt: skip
def test_a_word_that_nobody_knows_means_that_it_lives(text: str, state: str, meant: Standing) -> None:
    assert (word(text), standing(text)) == (state, meant)


@pytest.mark.parametrize(
    ("text", "length"),
    [("1-02:03:04", 93784), ("02:03:04", 7384), ("03:04", 184), ("1-02", 93600), ("1-02:03", 93780), ("00:01.500", 1.5),
     ("UNLIMITED", None), ("", None), ("NOT_SET", None)],
)  # fmt: skip
def test_lengths_of_time(text: str, length: float | None) -> None:
    assert seconds(text) == length


def test_times_are_written_as_sbatch_takes_them() -> None:
    assert [written(one) for one in (90, 5400, 86_399.2, 93_784)] == [
        "00:01:30",
        "01:30:00",
        "1-00:00:00",
        "1-02:03:04",
    ]
    assert instant("N/A") is None
    assert instant("1970-01-02T00:00:00") is not None


def test_sizes() -> None:
    assert (mebibytes("2000"), mebibytes("2G"), size("1048576"), size("123K"), size("")) == (
        2000 * 1024**2, 2 * 1024**3, 1048576, 123 * 1024, None,
    )  # fmt: skip


def test_a_line_of_the_queue_may_hold_the_sign_between_fields_in_its_name() -> None:
    line = "7|RUNNING|None|2026-05-01T14:03:22|2026-05-01T15:03:22|59:00|2|short|a|n[1-2]|torc/s/k|wf1_k|x"

    found = Queued.of(line)

    assert found is not None
    assert (found.name, found.comment, found.left, found.nodes) == ("wf1_k|x", "torc/s/k", 3540, 2)
    assert Queued.of("slurm_load_jobs error") is None


@pytest.fixture
def budget(tmp_path: Path, clock: SetClock) -> Budget:
    return Budget(tmp_path / "rpc.json", {QUERIES: 20, SUBMISSIONS: 120}, clock, wait=clock.move)


def test_a_burst_is_free_and_then_the_rate_holds(budget: Budget, clock: SetClock) -> None:
    begin = clock.monotonic()

    for _ in range(10):
        budget.take(QUERIES)
    burst = clock.monotonic() - begin
    for _ in range(20):
        budget.take(QUERIES)

    assert burst == 0
    assert clock.monotonic() - begin == pytest.approx(60, abs=1)


def test_a_thousand_submissions_would_take_eight_minutes(budget: Budget, clock: SetClock) -> None:
    begin = clock.monotonic()

    for _ in range(180):
        budget.take(SUBMISSIONS)

    # 60 at once, then two a second.
    assert clock.monotonic() - begin == pytest.approx(60, abs=1)


def test_all_processes_of_a_user_share_it(budget: Budget, tmp_path: Path, clock: SetClock) -> None:
    other = Budget(tmp_path / "rpc.json", {QUERIES: 20, SUBMISSIONS: 120}, clock, wait=clock.move)
    begin = clock.monotonic()

    for one in [budget, other] * 6:
        one.take(QUERIES)
        one.record("squeue", 0.1, 0)

    assert clock.monotonic() - begin == pytest.approx(6, abs=0.5)
    assert other.per_minute() == {"squeue": 12}
    assert len(budget.calls()) == 12
    assert oct((tmp_path / "rpc.json").stat().st_mode)[-3:] == "600"


def test_complaints_slow_us_down(budget: Budget, clock: SetClock) -> None:
    waits = []
    for _ in range(6):
        budget.record("squeue", 5, 1, "slurm_load_jobs error: Socket timed out on send/recv operation")
        begin = clock.monotonic()
        budget.take(QUERIES)
        waits.append(round(clock.monotonic() - begin))
    budget.record("squeue", 0.1, 0)

    assert waits == [5, 10, 20, 40, 80, 120]


def test_a_pause_ends_also_where_the_clock_was_set_back(budget: Budget, clock: SetClock) -> None:
    budget.record("squeue", 5, 1, "slurm_load_jobs error: Socket timed out on send/recv operation")
    clock.move(-86_400)
    begin = clock.monotonic()

    budget.take(QUERIES)

    assert clock.monotonic() - begin <= 120


def test_without_a_shared_place_the_process_has_its_own(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "file").write_text("")
    lone = Budget(tmp_path / "file" / "rpc.json", {QUERIES: 20, SUBMISSIONS: 120}, clock, wait=clock.move)

    for _ in range(11):
        lone.take(QUERIES)
        lone.record("sinfo", 0.1, 0)

    assert lone.per_minute() == {"sinfo": 11}


def test_a_file_that_is_damaged_begins_anew(budget: Budget, tmp_path: Path) -> None:
    (tmp_path / "rpc.json").write_text('{"calls": [')

    budget.take(QUERIES)

    assert budget.calls() == []
