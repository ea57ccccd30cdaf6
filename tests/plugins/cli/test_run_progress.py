"""The progress line, and who may draw it when."""

from __future__ import annotations

import io
import os
import threading
from datetime import datetime

import pytest

from tests.waiting import SOON
from torc_core.model import JobStatus, Totals, Workflow, WorkflowId
from torc_core.system import SystemClock
from torc_terminal import progress
from torc_terminal.progress import ProgressView, Rate, eta, line

NOW = datetime(2026, 5, 1, 14, 0, 0)


def totals(**counts: int) -> Totals:
    workflow = Workflow(id=WorkflowId(1), name="w", user="ana", run_id=1)
    return Totals(workflow=workflow, counts={JobStatus.of(name): number for name, number in counts.items()})


def test_the_line_has_a_bar_counts_a_rate_and_when_it_ends() -> None:
    seen = totals(completed=59, failed=2, running=8, ready=31)

    assert line(seen, 1.4, NOW) == (
        "[############--------] 61/100  8 running  2 failed  1.4 jobs/s  ETA 14:00:28"
    )


def test_without_a_rate_there_is_no_time_of_end() -> None:
    assert line(totals(ready=3), None, NOW) == "[--------------------] 0/3"
    assert line(totals(completed=3), 2.0, NOW) == "[####################] 3/3  2.0 jobs/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(28, "14:00:28"), (3_600, "15:00"), (86_400, "2026-05-02 14:00"), (1e10, "unknown")],
)
def test_an_end_is_told_as_finely_as_it_is_near(seconds: float, text: str) -> None:
    assert eta(NOW, seconds) == text


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    rate = Rate()

    assert rate.seen(0, 0) is None
    assert rate.seen(10, 100) == 10
    assert rate.seen(40, 130) == 1
    assert rate.seen(70, 130) == 0


def test_a_live_line_is_redrawn_in_place_and_gone_at_the_end() -> None:
    stream, drawn = io.StringIO(), threading.Event()

    def look() -> Totals:
        drawn.set()
        return totals(completed=1, ready=1)

    with ProgressView(look, SystemClock(), live=True, plain=True, stream=stream) as view:
        assert drawn.wait(SOON)
        view.say("job 'a' failed")

    text = stream.getvalue()
    assert "job 'a' failed\n" in text
    assert text.split("\n")[-1].endswith("\r\x1b[K") or "[###" not in text.split("\n")[-1]


def test_a_terminal_that_does_not_know_its_width_has_eighty_columns() -> None:
    reader, writer = os.openpty()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w") as terminal:
        assert os.get_terminal_size(writer).columns == 0
        assert progress.columns(terminal) == 80
    assert progress.columns(io.StringIO()) == 80


def test_elsewhere_plain_lines_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.01)
    stream, twice = io.StringIO(), threading.Event()
    calls: list[int] = []

    def look() -> Totals:
        calls.append(1)
        if len(calls) == 2:
            twice.set()
        return totals(completed=1, ready=1)

    with ProgressView(look, SystemClock(), live=False, plain=True, stream=stream):
        assert twice.wait(SOON)

    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().splitlines()[0].startswith("[##########----------] 1/2")


def test_nothing_is_drawn_and_nothing_asked_when_nobody_wants_to_see_it() -> None:
    stream = io.StringIO()

    with ProgressView(
        lambda: pytest.fail("asked"), SystemClock(), live=False, plain=False, stream=stream
    ) as view:
        view.say("a line")

    assert stream.getvalue() == "a line\n"


def test_dear_totals_are_asked_for_less_often() -> None:
    class SlowClock(SystemClock):
        ticks = iter(range(10_000))

        def monotonic(self) -> float:
            return float(next(self.ticks))

    calls: list[int] = []
    first = threading.Event()

    def look() -> Totals:
        calls.append(1)
        first.set()
        return totals(ready=1)

    with ProgressView(look, SlowClock(), live=True, plain=True, stream=io.StringIO()):
        assert first.wait(SOON)

    assert len(calls) == 1
