"""`torc` as real processes: kills, signals, two terminals, file modes, real terminals (`cli.md` §9, items 1-5)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.waiting import PATIENCE, until

TORC = (sys.executable, "-m", "torc_core")


class Account:
    """A fresh account with a working directory, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TORC_", "XDG_"))}
        self.env = kept | {
            "HOME": str(folder),
            "USER": "ana",
            "TZ": "UTC",
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*TORC, *words],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TORC, *words],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def terminal(self, *words: str) -> pexpect.spawn[str]:
        return pexpect.spawn(
            TORC[0],
            [*TORC[1:], *words],
            cwd=str(self.folder),
            env=self.env,  # type: ignore[arg-type]  # os._Environ is what the stub wants
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 120),
        )

    def json(self, *words: str) -> Any:
        ran = self.run("--json", *words)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for something that another process does."""
        until(there)

    def exists(self, *names: str) -> Callable[[], bool]:
        return lambda: all((self.folder / name).exists() for name in names)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    one = Account(tmp_path)
    yield one
    for process in one.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


CHAIN = """\
name: chain
jobs:
  - {name: a, command: "echo a >> ran"}
  - {name: b, command: "touch began; test -e go || sleep 600; echo b >> ran", depends_on: [a]}
  - {name: c, command: "echo c >> ran", depends_on: [b]}
"""


def alive(account: Account, text: str) -> bool:
    """Whether some process of the account has this text on its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            ours = path.with_name("cwd").readlink() == account.folder.resolve()
            if ours and text.encode() in path.read_bytes().replace(b"\0", b" "):
                return True
        except OSError:
            continue
    return False


def test_a_fresh_account_runs_a_workflow_and_its_files_are_its_own(account: Account) -> None:
    account.write("go", "")
    account.write("chain.yaml", CHAIN)

    ran = account.run("run", "chain.yaml")

    assert ran.returncode == 0, ran.stderr
    assert (account.folder / "ran").read_text() == "a\nb\nc\n"
    assert len(account.json("results", "list", "last")["items"]) == 3
    store = account.folder / ".local/share/torc"
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.iterdir()} == {0o600}
    stdio = (account.folder / "torc_output/job_stdio").iterdir()
    assert {stat.S_IMODE(path.stat().st_mode) for path in stdio} == {0o600}


def test_jobs_have_the_umask_of_the_user(account: Account) -> None:
    before = os.umask(0o027)
    try:
        ran = account.run("exec", "-c", "touch made")
    finally:
        os.umask(before)

    assert ran.returncode == 0
    assert stat.S_IMODE((account.folder / "made").stat().st_mode) == 0o640


def test_a_second_terminal_sees_and_cancels_what_the_first_one_runs(account: Account) -> None:
    account.write("chain.yaml", CHAIN.replace("sleep 600", "sleep 601.25"))
    first = account.start("run", "chain.yaml")
    account.until(account.exists("began"))

    status = account.json("status", "last")
    jobs = account.json("jobs", "list", "last")
    canceled = account.run("cancel", "last", "--yes", "--wait")

    assert (status["jobs_by_status"]["running"], status["active_compute_nodes"]) == (1, 1)
    assert [job["status"] for job in jobs["items"]] == ["completed", "running", "blocked"]
    assert canceled.returncode == 0, canceled.stderr
    assert first.wait(PATIENCE) == 7
    assert not alive(account, "sleep 601.25")


def test_a_workflow_that_is_deleted_while_it_runs_is_named(account: Account) -> None:
    account.write("chain.yaml", CHAIN.replace("sleep 600", "sleep 602.25"))
    first = account.start("run", "chain.yaml")
    account.until(account.exists("began"))

    assert account.run("delete", "1", "--yes", "--force").returncode == 0

    _, told = first.communicate(timeout=PATIENCE)
    assert first.returncode == 5
    assert told.endswith("error: workflow 1 was deleted while it ran; what ran here of it was ended\n")
    assert not alive(account, "sleep 602.25")


def test_after_a_kill_the_same_command_goes_on_and_every_job_has_one_current_result(account: Account) -> None:
    account.write("chain.yaml", CHAIN.replace("sleep 600", "sleep 602.25"))
    first = account.start("run", "chain.yaml")
    account.until(account.exists("began"))
    first.kill()
    first.wait(PATIENCE)
    account.until(lambda: not alive(account, "sleep 602.25"))
    account.write("go", "")

    second = account.run("run", "chain.yaml")

    assert second.returncode == 0, second.stderr
    assert "continuing workflow 1; --new starts another" in second.stderr
    assert "ready again" in second.stderr
    assert (account.folder / "ran").read_text() == "a\nb\nc\n"
    current = account.json("results", "list", "1")["items"]
    assert sorted((one["job_name"], one["status"]) for one in current) == [
        ("a", "completed"),
        ("b", "completed"),
        ("c", "completed"),
    ]
    assert not alive(account, "sleep 602.25")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_jobs_orderly_and_the_same_command_goes_on(
    account: Account, number: signal.Signals, code: int
) -> None:
    account.write("chain.yaml", CHAIN.replace("sleep 600", "sleep 603.25"))
    first = account.start("run", "chain.yaml")
    account.until(account.exists("began"))

    first.send_signal(number)

    assert first.wait(PATIENCE) == code
    told = {
        130: "interrupted: jobs have 30 s to end; interrupt again to kill them now",
        143: "SIGTERM: no new jobs",
    }
    assert first.stderr is not None
    assert told[code] in first.stderr.read()
    assert not alive(account, "sleep 603.25")
    account.write("go", "")
    second = account.run("run", "chain.yaml")
    assert second.returncode == 0, second.stderr
    assert "continuing workflow 1" in second.stderr
    assert (account.folder / "ran").read_text() == "a\nb\nc\n"


def test_an_interrupted_list_is_finished_without_running_a_line_twice(account: Account) -> None:
    lines = [
        f"test {n} -ne 7 -o -e go || {{ touch began; sleep 604.25; }}; echo {n} >> ran" for n in range(1, 21)
    ]
    account.write("tasks.txt", "\n".join(lines))
    first = account.start("exec", "-C", "tasks.txt", "-j", "2", "--joblog", "log")
    account.until(account.exists("began"))
    account.until(lambda: account.json("status", "last")["jobs_by_status"]["completed"] == 19)
    account.until(lambda: (account.folder / "log").read_text().count("\n") == 20)
    first.kill()
    first.wait(PATIENCE)
    account.write("go", "")

    second = account.run("run", "tasks.txt", "-j", "2", "--joblog", "log")

    assert second.returncode == 0, second.stderr
    assert sorted(map(int, (account.folder / "ran").read_text().split())) == list(range(1, 21))
    log = (account.folder / "log").read_text().splitlines()[1:]
    assert sorted(int(line.split("\t")[0]) for line in log) == list(range(1, 21))


@pytest.mark.parametrize("command", ["status", "cancel", "delete"])
def test_without_a_terminal_a_missing_id_is_told_at_once(account: Account, command: str) -> None:
    ran = account.run(command)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: no workflow id given and no terminal to ask on; pass one")
    assert "Traceback" not in ran.stderr


def test_progress_is_drawn_on_a_terminal_and_failures_are_told_above_it(account: Account) -> None:
    lines = "".join(f"sleep 0.4; test {n} -ne 2\n" for n in range(6))
    account.write("tasks.txt", lines)

    child = account.terminal("run", "tasks.txt", "-j", "2")
    child.expect(r"\[#*-*\] [0-6]/6")
    child.expect(r"job 'job3' \(id 3\) failed: exit 1; log: torc_output/job_stdio/job_wf1_j3_r1_a1.e\r\n")
    child.expect("Jobs 6:  completed 5")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 1


def test_the_picker_filters_by_what_is_typed(account: Account) -> None:
    account.write("go", "")
    for name in ("alpha", "beta", "gamma"):
        account.write(f"{name}.yaml", f"name: {name}\njobs: [{{name: a, command: 'true'}}]\n")
        assert account.run("create", f"{name}.yaml").returncode == 0

    child = account.terminal("status")
    child.expect("which workflow\\?")
    child.send("bet")
    child.expect("which workflow\\? bet")
    child.send("\r")
    child.expect("Workflow 2  beta")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0

    child = account.terminal("status")
    child.expect("which workflow\\?")
    child.send("\x1b[B\r")
    child.expect("Workflow 2  beta")
    child.expect(pexpect.EOF)

    child = account.terminal("status")
    child.expect("which workflow\\?")
    child.send("\x1b")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_the_only_workflow_is_taken_without_asking(account: Account) -> None:
    account.write("one.yaml", "name: one\njobs: [{name: a, command: 'true'}]\n")
    account.run("create", "one.yaml")

    child = account.terminal("status")
    child.expect("workflow 1 'one'\r\n")
    child.expect("Workflow 1  one   user ana   run 0   uninitialized")
    child.expect(pexpect.EOF)


def test_a_question_is_asked_on_a_terminal_and_no_means_no(account: Account) -> None:
    account.write("one.yaml", "name: one\njobs: [{name: a, command: 'true'}]\n")
    account.run("create", "one.yaml")

    child = account.terminal("delete", "1")
    child.expect(r"Delete workflow 1 'one' with 1 job\? \[y/N\] ")
    child.sendline("")
    child.expect("not confirmed; nothing was changed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 3
    assert account.run("status", "1").returncode == 0

    child = account.terminal("delete", "1")
    child.expect(r"\[y/N\] ")
    child.sendline("y")
    child.expect("Deleted workflow 1")
    child.expect(pexpect.EOF)
    assert account.run("status", "1").returncode == 5


def test_a_watched_workflow_is_shown_until_it_is_complete(account: Account) -> None:
    account.write("chain.yaml", CHAIN.replace("sleep 600", "while ! test -e go; do sleep 0.05; done"))
    first = account.start("run", "chain.yaml")
    account.until(account.exists("began"))

    child = account.terminal("status", "1", "--watch", "0.2", "--exit-code")
    child.expect("running 1")
    account.write("go", "")
    child.expect("completed 3")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert first.wait(PATIENCE) == 0
