"""What is done with jobs as they end: printing, keeping, logging, halting; and a runner that is told to stop."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import pytest

from torc_cli.execute.consumers import Halter, LogWriter
from torc_cli.execute.halt import Halt
from torc_cli.execute.joblog import Joblog, read_joblog
from torc_cli.execute.printing import Keeper, Printer, Style, file_name, results_place
from torc_cli.execute.summary import FailureLines, failed_line
from torc_cli.execute.watching import HALTED, Overlooked, Reporter
from torc_core.model import (
    Assignment,
    Ending,
    Initialize,
    Job,
    JobId,
    JobStatus,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Query,
    RequirementId,
    Resources,
    Shape,
    Turn,
    WorkflowId,
)
from torc_core.runner.report import End
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore


def end(
    number: int, code: int = 0, reason: str | None = None, out: Path | None = None, err: Path | None = None
) -> End:
    job = Job(
        id=JobId(number),
        workflow_id=WorkflowId(1),
        name=f"job{number}",
        command=f"echo {number}",
        requirement_id=RequirementId(1),
    )
    status = (
        JobStatus.TERMINATED if reason == "interrupted" else JobStatus.FAILED if code else JobStatus.COMPLETED
    )
    ending = Ending(
        job=job.id,
        run_id=1,
        attempt_id=1,
        lease=None,
        status=status,
        return_code=code,
        reason=reason or ("exit_code" if code else None),
        exec_minutes=0.5,
        completed_at=60_000,
    )
    return End(
        given=Assignment(job=job, shape=Shape(cpus=2)),
        ending=ending,
        stdout=str(out) if out else None,
        stderr=str(err) if err else None,
    )


class Screen:
    """Where a printer prints, and what a job has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out, self.err = io.BytesIO(), io.BytesIO()

    def printer(self, style: Style, order: list[int] | None = None) -> Printer:
        return Printer(
            style,
            lambda given: (str(self.file(given.job.id)), None),
            lambda job: f"<{job.id}>",
            order=iter([JobId(number) for number in order]) if order is not None else None,
            streams=(self.out, self.err),
        )

    def file(self, number: int) -> Path:
        return self.folder / f"{number}.o"

    def wrote(self, number: int, text: str) -> End:
        with self.file(number).open("a") as file:
            file.write(text)
        return end(number, out=self.file(number))


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path)


def test_output_is_printed_as_a_whole_when_a_job_has_ended(screen: Screen) -> None:
    printer = screen.printer(Style())

    for one in (screen.wrote(2, "b\nb"), screen.wrote(1, "a\n")):
        printer.ended(one)

    assert screen.out.getvalue() == b"b\nba\n"


def test_errors_go_to_standard_error(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "e").write_text("oh\n")

    screen.printer(Style()).ended(end(1, err=tmp_path / "e"))

    assert (screen.out.getvalue(), screen.err.getvalue()) == (b"", b"oh\n")


def test_one_file_for_both_is_printed_once(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("both\n")

    screen.printer(Style()).ended(end(1, out=tmp_path / "log", err=tmp_path / "log"))

    assert (screen.out.getvalue(), screen.err.getvalue()) == (b"both\n", b"")


def test_order_is_kept_and_a_job_that_never_ends_holds_nothing_back_for_ever(screen: Screen) -> None:
    printer = screen.printer(Style(keep_order=True), [1, 2, 3, 4])

    printer.ended(screen.wrote(2, "b\n"))
    printer.ended(screen.wrote(4, "d\n"))
    assert screen.out.getvalue() == b""
    printer.ended(screen.wrote(1, "a\n"))
    assert screen.out.getvalue() == b"a\nb\n"
    printer.close()

    assert screen.out.getvalue() == b"a\nb\nd\n"


def test_every_line_is_tagged(screen: Screen) -> None:
    screen.printer(Style(tag=True)).ended(screen.wrote(1, "a\n\nb"))

    assert screen.out.getvalue() == b"<1>\ta\n<1>\t\n<1>\tb\n"


def test_whole_lines_are_printed_while_a_job_runs(screen: Screen) -> None:
    printer, given = screen.printer(Style(live="line")), end(1).given

    screen.wrote(1, "a\nhal")
    printer.tick({JobId(1): given})
    assert screen.out.getvalue() == b"a\n"
    last = screen.wrote(1, "f\nend")
    printer.tick({JobId(1): given})
    printer.ended(last)

    assert screen.out.getvalue() == b"a\nhalf\nend"


def test_bytes_are_printed_as_they_come_when_ungrouped(screen: Screen) -> None:
    printer, given = screen.printer(Style(live="raw")), end(1).given

    screen.wrote(1, "hal")
    printer.tick({JobId(1): given})
    assert screen.out.getvalue() == b"hal"
    printer.ended(screen.wrote(1, "f"))

    assert screen.out.getvalue() == b"half"


def test_output_is_kept_in_a_folder_for_each_command(tmp_path: Path) -> None:
    out = tmp_path / "1.o"
    out.write_text("a")
    folder = tmp_path / "results"

    Keeper(str(folder), lambda job: results_place(("x/y", "B"), 1)).ended(end(1, out=out))

    assert (folder / "1" / "x%2Fy" / "2" / "B" / "stdout").read_text() == "a"


@pytest.mark.parametrize(
    ("value", "name"), [("a b", "a b"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), ("", "%00"), ("a%", "a%25")]
)
def test_a_value_becomes_one_harmless_name(value: str, name: str) -> None:
    assert file_name(value) == name


def test_long_values_have_names_of_their_own() -> None:
    names = [file_name("é" * 150 + end) for end in ("", "a", "b")]

    assert len(set(names)) == 3
    assert all(len(name.encode()) <= 200 for name in names)


def test_ends_are_logged_but_for_interrupted_ones(tmp_path: Path) -> None:
    path, out = str(tmp_path / "log"), tmp_path / "1.o"
    out.write_text("12345")

    with closing(LogWriter(Joblog(path, append=False), "kl3", lambda job: job.id)) as writer:
        writer.ended(end(1, out=out))
        writer.ended(end(2, code=-9))
        writer.ended(end(3, code=-15, reason="interrupted"))

    log = read_joblog(path)
    assert sorted(log) == [1, 2]
    assert (log[1].start, log[1].runtime, log[1].received, log[1].host) == (30.0, 30.0, 5, "kl3")
    assert (log[2].exitval, log[2].signal, log[2].command) == (0, 9, "echo 2")


def test_a_halt_acts_once() -> None:
    acts: list[str] = []
    halter = Halter(Halt(now=True, what="fail", limit=2), 10, lambda: acts.append("halt"))

    for code in (1, 0, 1, 1):
        halter.ended(end(1, code=code))
    halter.ended(end(1, code=1, reason="interrupted"))

    assert (acts, halter.halted, halter.exit_code) == (["halt"], True, 1)


def test_consumers_get_every_end_in_order_and_work_is_summed() -> None:
    seen: list[int] = []

    class Consumer:
        def ended(self, one: End) -> None:
            seen.append(one.ending.job)

        def tick(self, running: object) -> None:
            pytest.fail("nobody asked for ticks")

        def close(self) -> None:
            seen.append(-1)

    reporter = Reporter([Consumer()], lambda one: None, lambda text: None)
    reporter.start()
    reporter.ended([end(number) for number in range(1, 101)])
    reporter.close()

    assert seen == [*range(1, 101), -1]
    assert (reporter.work.seconds, reporter.work.cpu_seconds) == (3000.0, 6000.0)


def test_a_full_disk_ends_the_reporting_and_not_the_jobs() -> None:
    class Full:
        def ended(self, one: End) -> None:
            raise OSError(28, "No space left on device")

        def tick(self, running: object) -> None: ...

        def close(self) -> None: ...

    reporter = Reporter([Full()], lambda one: None, lambda text: None)
    reporter.start()
    reporter.ended([end(1), end(2)])
    reporter.close()

    assert str(reporter.error) == "[Errno 28] No space left on device"


def test_a_failed_job_is_told_with_its_log() -> None:
    one = end(107, code=137, err=Path("/x/torc_output/job_stdio/j.e"))

    assert failed_line(one) == "job 'job107' (id 107) failed: exit 137; log: /x/torc_output/job_stdio/j.e"


def test_after_twenty_failures_they_are_only_counted() -> None:
    said: list[str] = []
    lines = FailureLines(said.append)

    for number in range(1, 26):
        lines(end(number, code=1))

    assert len(said) == 21
    assert said[20].startswith("more than 20 jobs failed")
    assert lines.unsaid == 5


def test_a_halted_queue_gives_nothing_returns_what_comes_and_lets_the_runner_go() -> None:
    store = MemoryStore(SystemClock())
    plan = Plan(
        workflow=PlannedWorkflow(name="w"), jobs=[PlannedJob(name=f"j{n}", command="true") for n in range(4)]
    )
    workflow = store.create(plan, "ana").id
    store.initialize(workflow, Initialize())
    queue = Overlooked(store)
    node = queue.join(
        NewNode(
            workflow_id=workflow,
            epoch="e",
            hostname="h",
            pid=1,
            boot_id="b",
            process_start=1,
            capacity=Resources(cpus=2, memory=2**30),
        )
    )
    offer = Offer(claim_id="c1", free=[node.capacity], limit=2)
    first = queue.turn(Turn(node=node.id, epoch="e", offer=offer))
    assert set(queue.running()) == {given.job.id for given in first.jobs}

    queue.halt()
    second = queue.turn(
        Turn(node=node.id, epoch="e", offer=Offer(claim_id="c2", free=[node.capacity], limit=2))
    )

    assert (second.jobs, second.never, second.reason) == ((), True, HALTED)
    assert set(second.recall) == set(queue.running())
    ready = store.find(Job, Query(workflow=workflow, where={"status": int(JobStatus.READY)}))
    assert ready.total == 2
