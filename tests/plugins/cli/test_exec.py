"""`torc exec` in this process: every way to give commands, what is printed, logged, resumed and returned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from torc_cli.execute.joblog import read_joblog
from torc_core.model import Query, Requirement, Workflow, WorkflowId
from torc_core.protocols import Store

Torc = Callable[..., Any]
Opened = Callable[[], AbstractContextManager[Store]]


@pytest.fixture
def stdin(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a text on standard input."""
    path = home / "stdin"
    path.touch()
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        yield path.write_text


def test_a_list_on_standard_input_is_run_and_a_failure_is_told(
    torc: Torc, stdin: Callable[[str], None]
) -> None:
    stdin("true\nfalse\n")

    ran = torc("--json", "exec", "-C", "-", "-j", "2")

    assert ran.code == 1
    assert (ran.json["jobs_by_status"]["completed"], ran.json["jobs_by_status"]["failed"]) == (1, 1)
    assert ran.json["workflow_name"].startswith("exec_")


def test_exit_zero_turns_one_into_nothing(torc: Torc, home: Path) -> None:
    assert torc("exec", "-c", "false", "--exit-zero").code == 0


def test_only_what_failed_is_run_again_from_a_job_log(torc: Torc, home: Path) -> None:
    words = ("exec", "--joblog", "log", "-c", "echo a >> a", "-c", "echo b >> b; test -e go")
    assert torc(*words).code == 1
    (home / "go").touch()

    again = torc("--json", *words, "--resume-failed")

    assert again.code == 0
    assert sum(again.json["jobs_by_status"].values()) == 1
    assert ((home / "a").read_text(), (home / "b").read_text()) == ("a\n", "b\nb\n")
    assert {seq: entry.exitval for seq, entry in read_joblog("log").items()} == {1: 0, 2: 0}


def test_what_the_job_log_has_is_left_out_with_resume(torc: Torc, home: Path) -> None:
    torc("exec", "--joblog", "log", "-c", "true", "-c", "false")

    ran = torc("exec", "--joblog", "log", "--resume", "-c", "true", "-c", "false", "-c", "echo new > new")

    assert ran.code == 0
    assert (home / "new").exists()
    assert sorted(read_joblog("log")) == [1, 2, 3]


def test_failures_of_a_job_log_are_run_without_naming_commands(torc: Torc, home: Path) -> None:
    torc("exec", "--joblog", "log", "-c", "true", "-c", "test -e go && echo went > went")
    (home / "go").touch()

    ran = torc("exec", "--joblog", "log", "--retry-failed")

    assert ran.code == 0
    assert (home / "went").exists()


def test_when_nothing_is_left_nothing_is_run(torc: Torc, home: Path) -> None:
    torc("exec", "--joblog", "log", "-c", "true")

    ran = torc("--json", "exec", "--joblog", "log", "--resume", "-c", "true")

    assert ran.code == 0
    assert ran.json["workflow_id"] is None
    assert "nothing to run" in ran.err


def test_values_are_put_into_a_command_and_output_is_printed(torc: Torc, home: Path) -> None:
    ran = torc("exec", "-k", "echo {}-{#}", ":::", "a", "b c")

    assert (ran.code, ran.out) == (0, "a-1\nb c-2\n")
    assert "Jobs 2:  completed 2" in ran.err


def test_inputs_may_look_like_options(torc: Torc) -> None:
    ran = torc("exec", "-k", "echo {}", ":::", "-x", "--yes")

    assert ran.out.splitlines() == ["-x", "--yes"]


def test_words_after_a_double_dash_are_a_program_and_its_arguments(torc: Torc, home: Path) -> None:
    ran = torc("exec", "--", "printf", "%s|", "a b", "$HOME")

    assert (ran.code, ran.out) == (0, "a b|$HOME|")


def test_errors_of_jobs_are_printed_on_standard_error(torc: Torc, home: Path) -> None:
    ran = torc("exec", "-c", "echo out; echo err >&2")

    assert ran.out == "out\n"
    assert "err" in ran.err.splitlines()


def test_several_commands_print_a_summary_instead_of_output(torc: Torc, home: Path) -> None:
    ran = torc("exec", "-c", "echo a", "-c", "echo b")

    assert "completed 2" in ran.out
    assert "a\n" not in ran.out.splitlines(keepends=True)


def test_in_json_mode_standard_output_belongs_to_the_summary(torc: Torc, home: Path) -> None:
    silent = torc("--json", "exec", "-c", "echo hello")
    asked = torc("--json", "exec", "--group", "-c", "echo hello")

    assert silent.json["jobs_by_status"]["completed"] == 1
    assert "hello" not in silent.err
    assert asked.json["jobs_by_status"]["completed"] == 1
    assert "hello" in asked.err.splitlines()


def test_output_is_tagged_with_the_arguments(torc: Torc, home: Path) -> None:
    ran = torc("exec", "-k", "--tag", "echo hi {}", ":::", "a", "b")

    assert ran.out == "a\thi a\nb\thi b\n"


@pytest.mark.parametrize("how", ["--ungroup", "--line-buffer", "--group"])
def test_all_output_is_printed_once_however_it_is_grouped(torc: Torc, home: Path, how: str) -> None:
    ran = torc("exec", how, "echo {}; sleep 0.15; echo {}", ":::", "a", "b", "c")

    assert sorted(ran.out.splitlines()) == ["a", "a", "b", "b", "c", "c"]


def test_no_output_prints_none(torc: Torc, home: Path) -> None:
    ran = torc("exec", "--no-output", "echo {}", ":::", "a")

    assert "a\n" not in ran.out.splitlines(keepends=True)
    assert "completed 1" in ran.out


def test_output_is_kept_in_a_folder_by_values(torc: Torc, home: Path) -> None:
    torc("exec", "--results", "res", "echo {1}{2}", ":::", "a", "b", ":::", "1")

    assert (home / "res/1/b/2/1/stdout").read_text() == "b1\n"


def test_parameters_fill_commands_by_name(torc: Torc, home: Path) -> None:
    (home / "names").write_text("x\ny\n")

    product = torc("exec", "--dry-run", "-c", "t {i:02d} {n}", "--param", "i=1:2", "--param", "n=@names")
    pairs = torc(
        "exec", "--dry-run", "-c", "t {i} {n}", "--param", "i=1:2", "--param", "n=@names", "--link", "zip"
    )

    assert product.out == "t 01 x\nt 01 y\nt 02 x\nt 02 y\n"
    assert pairs.out == "t 1 x\nt 2 y\n"


def test_a_dry_run_in_json_has_the_commands(torc: Torc, home: Path) -> None:
    ran = torc("exec", "--dry-run", "--json", "-c", "echo 'a\tb'")

    assert ran.json == {"schema": "torc.exec.plan/1", "commands": ["echo 'a\tb'"], "count": 1}
    assert not list(home.rglob("*.db"))


def test_resources_are_stated_for_every_command(torc: Torc, home: Path, store_of_the_user: Opened) -> None:
    ran = torc(
        "exec", "--cpus", "2", "--memory", "1.5m", "--runtime", "1h30m", "--num-cpus", "4", "-c", "true"
    )

    assert ran.code == 0
    with store_of_the_user() as store:
        (need,) = store.find(Requirement, Query(workflow=WorkflowId(1))).items
    assert (need.num_cpus, need.memory_bytes, need.runtime_s) == (2, 3 * 2**19, 5400)


def test_stdio_of_all_commands_is_chosen(torc: Torc, home: Path) -> None:
    torc("exec", "--stdio", "combined", "-c", "echo a; echo b >&2")

    (log,) = (home / "torc_output/job_stdio").glob("*")
    assert (log.suffix, log.read_text()) == (".log", "a\nb\n")


def test_name_and_description_are_stored(torc: Torc, home: Path, store_of_the_user: Opened) -> None:
    torc("exec", "-n", "mine", "--description", "d", "-c", "true")

    with store_of_the_user() as store:
        workflow = store.get(Workflow, 1)
    assert (workflow.name, workflow.description, workflow.source_path) == ("mine", "d", None)


def test_a_halt_on_failure_starts_nothing_more(torc: Torc, home: Path) -> None:
    ran = torc(
        "exec",
        "-j",
        "1",
        "--halt",
        "now,fail=1",
        "echo {} >> ran; test {} -ne 3 || exit 1; test {} -lt 3 || sleep 60",
        ":::",
        *"12345678",
    )

    assert ran.code == 1
    assert len((home / "ran").read_text().split()) < 8
    assert "halted: " in ran.err


def test_an_attempt_that_is_followed_by_another_halts_nothing(torc: Torc, home: Path) -> None:
    words = ("exec", "--retries", "1", "-j", "1", "--halt", "now,fail=1", "-c")

    good = torc(*words, "test -e went || { touch went; exit 1; }", "-c", "echo second > second")
    bad = torc(*words, "echo a >> tried; false", "-c", "sleep 0.3; echo third > third")

    assert (good.code, "halted" in good.err) == (0, False)
    assert (home / "second").exists()
    assert (bad.code, "halted" in bad.err) == (1, True)
    assert (home / "tried").read_text() == "a\na\n"


def test_an_end_that_a_recovery_script_is_to_mend_halts(torc: Torc, home: Path) -> None:
    (home / "w.yaml").write_text(
        "name: w\nfailure_handlers: [{name: h, rules: [{exit_codes: [3], recovery_script: exit 1}]}]\n"
        "jobs:\n- {name: a, command: exit 3, failure_handler: h}\n- {name: b, command: sleep 0.3; echo b > b}\n"
    )

    ran = torc("run", "w.yaml", "-j", "1", "--halt", "now,fail=1")

    assert (ran.code, "halted" in ran.err) == (1, True)


def test_all_attempts_of_a_command_are_printed_in_its_turn(torc: Torc, home: Path) -> None:
    command = "echo {}; test {} != b || test -e went || { touch went; exit 1; }"

    ran = torc("exec", "-k", "--retries", "1", "-j", "1", command, ":::", "a", "b", "c")

    assert (ran.code, ran.out.split()) == (0, ["a", "b", "b", "c"])


def test_a_halt_on_success_is_a_success(torc: Torc, home: Path) -> None:
    ran = torc("exec", "-j", "2", "--halt", "now,success=1", "sleep {}; true", ":::", "0.05", "60")

    assert ran.code == 0


def test_interrupted_commands_are_run_once_more_and_no_other(torc: Torc, home: Path) -> None:
    first_time = f"touch went; kill -INT {os.getpid()}; sleep 60"
    (home / "t.txt").write_text(f"test -e went || {{ {first_time}; }}; echo a >> ran\necho b >> ran\n")

    first = torc("exec", "-C", "t.txt", "-j", "1")
    second = torc("exec", "-C", "t.txt", "-j", "1")

    assert (first.code, second.code) == (130, 0)
    assert "continuing workflow 1" in second.err
    assert (home / "ran").read_text() == "a\nb\n"


def test_commands_whose_values_have_changed_are_others(torc: Torc, home: Path) -> None:
    (home / "t.txt").write_text(
        f"test -e went || {{ touch went; kill -INT {os.getpid()}; sleep 60; }}; echo {{x}} >> ran\n"
    )
    (home / "values").write_text("a\nb\n")
    words = ("exec", "-C", "t.txt", "-j", "1", "--param", "x=@values")

    first = torc(*words)
    (home / "values").write_text("c\nd\n")
    second = torc(*words)

    assert (first.code, second.code) == (130, 0)
    assert "continuing" not in second.err
    assert (home / "ran").read_text() == "c\nd\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no command given"),
        (("w.yaml",), "did you mean 'torc run w.yaml'?"),
        (("-c", "true", "-C", "x"), "-c and -C exclude each other"),
        (("-c", "true", "--resume"), "add --joblog"),
        (("-c", "true", "--joblog", "l", "--resume", "--retry-failed"), "leave out -c"),
        (("-c", "true", "--joblog", "l", "--resume", "--resume-failed"), "exclude each other"),
        (("-c", "true", "-j", "many"), "-j 'many' is not a number of jobs"),
        (("-c", "true", "--memory", "much"), '--memory: memory "much" is not a size'),
        (("-c", "true", "--cpus", "0"), "--cpus '0' is out of range"),
        (("-c", "true", "--runtime", "soon"), "--runtime 'soon' is not a duration"),
        (("-c", "{x}", "--param", "x"), "--param 'x' has no value"),
        (("-c", "{x}", "--param", "x=5:1"), "has no values"),
        (("-c", "true", "--group", "--ungroup"), "--group and --ungroup exclude each other"),
        (("-c", "true", "--joblog", "/none/log"), "cannot write the job log '/none/log'"),
        (("-C", "none.txt"), "cannot read 'none.txt': no such file"),
    ],
)
def test_mistakes_are_refused_before_anything_is_stored(
    torc: Torc, home: Path, words: tuple[str, ...], message: str
) -> None:
    ran = torc("exec", *words)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not list(home.rglob("*.db"))
