"""Actions, recovery scripts and added jobs as real processes, over kills of the runner (`runner.md` §15, `engine.md` §19)."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.plugins.cli.test_run_processes import Account, account  # noqa: F401  # a fixture

ACTING = """\
name: acting
actions:
  - trigger_type: on_workflow_start
    action_type: run_commands
    commands: ["echo action >> ../ran; touch ../began; test -e ../go || sleep 600", "echo second >> ../ran"]
jobs: [{name: only, command: "echo job >> ran"}]
"""
HANDLED = """\
name: handled
failure_handlers:
  - name: h
    rules: [{exit_codes: [7], recovery_script: "echo script >> ran; touch began; sleep 600"}]
jobs: [{name: only, command: "echo job >> ran; exit 7", failure_handler: h}]
"""


def lines(path: Path) -> list[str]:
    return path.read_text().split()


def test_a_command_of_a_killed_runner_is_never_run_again(account: Account) -> None:  # noqa: F811
    account.write("acting.yaml", ACTING)
    first = account.start("run", "acting.yaml")
    account.until(account.exists("began"))
    first.send_signal(signal.SIGKILL)
    first.communicate()
    account.write("go", "")

    again = account.run("run", "acting.yaml")

    (action,) = account.json("workflows", "list-actions", "last")["items"]
    assert (again.returncode, lines(account.folder / "ran")) == (0, ["action", "job"])
    assert (action["executed"], action["outcome"]) == (True, "executor_lost")


def test_a_script_of_a_killed_runner_is_never_run_again(account: Account) -> None:  # noqa: F811
    account.write("handled.yaml", HANDLED)
    first = account.start("run", "handled.yaml")
    account.until(account.exists("began"))
    first.send_signal(signal.SIGKILL)
    first.communicate()

    again = account.run("run", "1")

    job = account.json("jobs", "get", "1")
    assert (again.returncode, job["status"], job["reason"]) == (1, "failed", "recovery_lost")
    assert lines(account.folder / "ran") == ["job", "script"]


def test_what_a_runner_warns_of_is_not_in_its_summary(account: Account) -> None:  # noqa: F811
    account.write(
        "acting.yaml",
        ACTING.replace("echo action >> ../ran; touch ../began; test -e ../go || sleep 600", "exit 3"),
    )

    ran = account.run("--json", "run", "acting.yaml")

    assert (ran.returncode, json.loads(ran.stdout)["schema"]) == (0, "torc.run/1")
    assert "failed: command 1 ended with 3" in ran.stderr
