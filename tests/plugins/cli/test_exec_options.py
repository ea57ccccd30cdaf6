"""Halt conditions, numbers of jobs, targets and the job log."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from torc_cli.execute.halt import Halt, parse_halt
from torc_cli.execute.joblog import HEADER, Entry, Joblog, exit_and_signal, read_joblog
from torc_cli.execute.parallel import parse_jobs
from torc_core.errors import UsageError
from torc_terminal.target import Kind, target_of


@pytest.mark.parametrize(
    ("text", "halt"),
    [
        ("never", None),
        ("now,fail", Halt(now=True, what="fail", limit=1)),
        ("soon,success=3", Halt(now=False, what="success", limit=3)),
        ("soon,done=20%", Halt(now=False, what="done", limit=20, percent=True)),
    ],
)
def test_halt_conditions_are_read(text: str, halt: Halt | None) -> None:
    assert parse_halt(text) == halt


@pytest.mark.parametrize("text", ["", "now", "later,fail=1", "now,fail=0", "now,fail=101%", "now,fail=x"])
def test_other_halt_conditions_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--halt"):
        parse_halt(text)


def test_a_halt_is_reached_by_count_or_by_part_of_all() -> None:
    fails = Halt(now=True, what="fail", limit=2)
    done = Halt(now=True, what="done", limit=25, percent=True)

    assert [fails.reached(good=9, bad=bad, total=20) for bad in (1, 2, 3)] == [False, True, True]
    assert [done.reached(good=good, bad=1, total=10) for good in (1, 2)] == [False, True]


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("0", 0), ("50%", 4), ("1%", 1), ("+2", 10), ("-3", 5), ("-20", 1), ("200%", 16)],
)
def test_numbers_of_jobs_are_relative_to_the_cpus(text: str, number: int) -> None:
    assert parse_jobs(text, 8) == number


@pytest.mark.parametrize("text", ["", "x", "+5%", "1.5", "--2"])
def test_other_numbers_of_jobs_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a number of jobs"):
        parse_jobs(text, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("w.yaml", "w.JSON", "t.txt", "odd", "42"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("42", Kind.WORKFLOW),
        ("last", Kind.WORKFLOW),
        ("w.yaml", Kind.SPEC),
        ("w.JSON", Kind.SPEC),
        ("-", Kind.SPEC),
        ("t.txt", Kind.COMMANDS),
        ("odd", Kind.SPEC),
        ("./42", Kind.SPEC),
    ],
)
def test_an_argument_is_an_id_a_spec_or_a_list(folder: Path, text: str, kind: Kind) -> None:
    assert target_of(text).kind is kind


def test_an_unusual_file_is_a_list_when_no_reader_makes_a_workflow_of_it(folder: Path) -> None:
    assert target_of("odd", is_spec=lambda path: False).kind is Kind.COMMANDS
    assert target_of("w.yaml", commands=True).kind is Kind.COMMANDS
    assert target_of("t.txt", spec=True).kind is Kind.SPEC


@pytest.mark.parametrize("text", ["missing.yaml", "missing.txt", "missing", "x.yml"])
def test_a_missing_file_is_no_such_file(folder: Path, text: str) -> None:
    with pytest.raises(UsageError, match=f"no such file: '{text}'"):
        target_of(text)


def entry(seq: int, command: str = "true", exitval: int = 0) -> Entry:
    return Entry(
        seq=seq, host="h", start=1.5, runtime=0.25, received=7, exitval=exitval, signal=0, command=command
    )


def test_a_job_log_is_read_back_as_written(tmp_path: Path) -> None:
    path = str(tmp_path / "log")

    with closing(Joblog(path, append=False)) as log:
        log.write(entry(1, "echo 'a b'"))
        log.write(entry(3, "false", exitval=1))

    assert read_joblog(path) == {1: entry(1, "echo 'a b'"), 3: entry(3, "false", exitval=1)}
    assert Path(path).read_text().splitlines()[:2] == [HEADER, "1\th\t1.500\t0.250\t0\t7\t0\t0\techo 'a b'"]


def test_a_log_is_appended_to_or_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    for append in (False, True):
        with closing(Joblog(path, append=append)) as log:
            log.write(entry(1 + append))

    assert sorted(read_joblog(path)) == [1, 2]
    with closing(Joblog(path, append=False)):
        pass
    assert (read_joblog(path), Path(path).read_text()) == ({}, f"{HEADER}\n")
    with closing(Joblog(path, append=True)) as log:
        log.write(entry(3))
    assert sorted(read_joblog(path)) == [3]


def test_a_line_that_a_kill_cut_off_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(f"{HEADER}\n{entry(1)}\n{str(entry(2))[:9]}")

    assert sorted(read_joblog(str(path))) == [1]
    with closing(Joblog(str(path), append=True)) as log:
        log.write(entry(2))
    assert sorted(read_joblog(str(path))) == [1, 2]


def test_a_command_of_several_lines_stays_one_line_and_runs_again(tmp_path: Path) -> None:
    import subprocess

    path = str(tmp_path / "log")
    with closing(Joblog(path, append=False)) as log:
        log.write(entry(1, "printf '%s|' a\\\\b\t'c'\nprintf '%s' \"d'e\""))

    again = read_joblog(path)[1].command
    assert "\n" not in again
    assert subprocess.check_output(["bash", "-c", again], text=True) == "a\\b|c|d'e"


def test_a_missing_log_is_empty_and_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("hello\n")
    broken = tmp_path / "broken"
    broken.write_text(f"{HEADER}\nnonsense\n")

    assert read_joblog(str(tmp_path / "none")) == {}
    with pytest.raises(UsageError, match="is not a job log"):
        read_joblog(str(other))
    with pytest.raises(UsageError, match="broken:2: this is not a line"):
        read_joblog(str(broken))


def test_a_signal_has_a_column_of_its_own() -> None:
    assert exit_and_signal(3) == (3, 0)
    assert exit_and_signal(-9) == (0, 9)
