"""`torc recover` from the outside: what it says, what it changes, what it leaves alone, and with which exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pexpect
import pytest

from torc_core.model import Allocation, AllocationStatus, Event, NewNode, Query, Resources
from torc_core.system import SystemClock
from torc_terminal import schemas


@pytest.fixture
def ends() -> Any:
    """The module of the fixtures: ends of jobs, and the user's store."""
    import failing_jobs

    return failing_jobs


def test_jobs_get_what_they_lacked_and_exactly_these_run_again(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, ends.LATE, ends.LOST, ends.STRANGE, ends.GOOD)

    ran = torc("recover", str(scene.workflow), "--yes")

    assert ran.out.splitlines() == [
        f"Job {scene.jobs['job0']} (job0): OOM detected, increasing memory 8g -> 15g",
        f"Job {scene.jobs['job1']} (job1): timeout detected, increasing runtime 1h -> 1h 26m",
        f"Job {scene.jobs['job2']} (job2): node_lost, running again as it is",
        "Applied fixes: 1 OOM, 1 timeout",
        "1 job(s) with unknown failure cause (skipped, use --retry-unknown to include)",
        "3 jobs reset; run 2 has begun, 3 jobs ready",
    ]
    assert ran.err.splitlines() == [f"run it: torc run {scene.workflow}"]
    assert ran.code == 1  # one failure stays
    assert scene.statuses() == {
        "job0": "ready", "job1": "ready", "job2": "ready", "job3": "failed", "job4": "completed",
        "after0": "blocked", "after1": "blocked", "after2": "blocked", "after3": "canceled", "after4": "ready",
    }  # fmt: skip
    needs = scene.needs()
    assert (needs["job0"].memory, needs["job0"].runtime) == ("15g", "PT60M")
    assert (needs["job1"].memory, needs["job1"].runtime) == ("8g", "PT86M")
    assert {needs[name].name for name in ("job2", "job3", "job4", "after0")} == {"big"}
    assert scene.run_id() == 2


def test_a_repetition_changes_nothing_more(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM)
    torc("recover", str(scene.workflow), "--yes")

    ran = torc("recover", str(scene.workflow), "--yes")

    assert (ran.code, scene.memory()["job0"], scene.run_id()) == (0, "15g", 2)
    assert "1 job ready already" in ran.out
    assert ran.err.splitlines() == [f"run it: torc run {scene.workflow}"]


def test_nothing_to_recover_is_said(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.GOOD, waiters=False)

    ran = torc("recover", str(scene.workflow))

    assert (ran.code, ran.out) == (0, f"Nothing to recover: no job of workflow {scene.workflow} has failed\n")


def test_a_dry_run_says_the_same_and_changes_nothing(torc: Any, failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.OOM, ends.STRANGE)
    database = home / ".local/share/torc/torc.db"
    before = database.read_bytes()

    ran = torc("recover", str(scene.workflow), "--dry-run")

    assert f"Job {scene.jobs['job0']} (job0): OOM detected, would increase memory 8g -> 15g" in ran.out
    assert "Would apply fixes: 1 OOM, 0 timeout" in ran.out
    assert scene.statuses()["job0"] == "failed"
    assert database.read_bytes() == before


def test_json_has_the_published_shape(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, ends.LATE, ends.STRANGE)

    ran = torc("-f", "json", "recover", str(scene.workflow))

    jsonschema.validate(ran.json, schemas.load("torc.recover/1"))
    result = ran.json["result"]
    assert (result["oom_fixed"], result["timeout_fixed"], result["other_failures"]) == (1, 1, 1)
    assert result["jobs_to_retry"] == [scene.jobs["job0"], scene.jobs["job1"]]
    memory, runtime = result["adjustments"]
    assert memory["new_resource_requirements_id"] == scene.needs()["job0"].id
    assert (memory["original_memory"], memory["new_memory"], memory["max_peak_memory_bytes"]) == (
        "8g",
        "15g",
        10 * 2**30,
    )
    assert (runtime["original_runtime"], runtime["new_runtime"], runtime["memory_adjusted"]) == (
        "PT60M",
        "PT86M",
        False,
    )
    assert [one["cause"] for one in ran.json["diagnosis"]] == ["oom", "timeout", "unknown"]
    assert (ran.json["memory_multiplier"], ran.json["runtime_multiplier"]) == (1.5, 1.4)


def test_json_of_a_dry_run_is_of_the_same_schema(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, slurm=True)

    ran = torc("-f", "json", "recover", str(scene.workflow), "--dry-run")

    jsonschema.validate(ran.json, schemas.load("torc.recover/1"))
    assert ran.json["dry_run"] is True
    assert ran.json["result"]["adjustments"][0]["new_resource_requirements_id"] is None


def test_caps_hold_and_what_cannot_grow_is_left(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, ends.LATE)

    ran = torc("recover", str(scene.workflow), "--max-memory", "9g", "--max-runtime", "70m")

    assert "left: it asks for 8g of memory, used 10g, and --max-memory allows 9g" in ran.out
    assert "increasing runtime 1h -> 1h 10m" in ran.out
    assert (ran.code, scene.statuses()["job0"], scene.statuses()["job1"]) == (1, "failed", "ready")


def test_only_the_named_jobs_are_recovered(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, ends.OOM)

    ran = torc("recover", str(scene.workflow), "--job-ids", str(scene.jobs["job1"]))

    assert ran.code == 0
    assert scene.statuses() == {
        "job0": "failed", "job1": "ready", "after0": "canceled", "after1": "blocked",
    }  # fmt: skip
    assert (scene.memory()["job0"], scene.memory()["job1"]) == ("8g", "15g")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["--memory-multiplier", "1"],
            2,
            "--memory-multiplier '1' is out of range; it is above 1 and up to 100",
        ),
        (["--max-memory", "lots"], 2, '--max-memory: memory "lots" is not a size; write e.g. "10g"'),
        (["--max-runtime", "soon"], 2, "--max-runtime 'soon' is not a duration"),
        (["--max-node-hours", "-1"], 2, "--max-node-hours '-1' is negative; give hours"),
        (["--job-ids", "9999"], 5, "has no job 9999"),
        (["--job-ids", "1"], 2, "it has not failed"),
        (["-i"], 3, "--interactive needs a terminal"),
        (["--ai-recovery"], 3, "--ai-recovery is experimental and not available in this release"),
        (["-f", "csv"], 2, "format 'csv' is for lists"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    torc: Any, failed: Any, ends: Any, words: list[str], code: int, said: str
) -> None:
    scene = failed(ends.GOOD, ends.OOM)

    ran = torc("recover", str(scene.workflow), *words)

    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert scene.statuses()["job1"] == "failed"


def test_what_somebody_works_on_is_refused_with_names(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM)
    with ends.opened() as store:
        node = store.join(
            NewNode(
                workflow_id=scene.workflow, epoch=SystemClock().uuid(), hostname="kl9", pid=1, boot_id="x",
                process_start=1, capacity=Resources(cpus=1, memory=1, gpus=0),
            )
        )  # fmt: skip
        store.add(
            [Allocation(workflow_id=scene.workflow, scheduler_id="77", status=AllocationStatus.PENDING)]
        )

    ran = torc("recover", str(scene.workflow))

    assert ran.code == 3
    assert f"1 active runner: kl9 (node {node.id}); 1 live or queued allocation: 77" in ran.err
    assert "scancel 77" in ran.err
    assert scene.statuses()["job0"] == "failed"


@pytest.mark.parametrize(("verb", "said"), [("cancel", "is canceled"), ("archive", "is archived")])
def test_what_is_put_away_is_refused(torc: Any, failed: Any, ends: Any, verb: str, said: str) -> None:
    scene = failed(ends.OOM)
    with ends.opened() as store:
        store.cancel(scene.workflow) if verb == "cancel" else store.archive(scene.workflow, True)

    ran = torc("recover", str(scene.workflow))

    assert (ran.code, said in ran.err) == (3, True)


def test_a_hook_decides_about_unknown_causes(torc: Any, failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.STRANGE, ends.OOM)
    hook = home / "hook.sh"
    hook.write_text(
        '#!/bin/sh\necho "$1 $2 $TORC_WORKFLOW_ID $TORC_RUN_ID" > said\ntorc status "$2" > status\n'
    )
    hook.chmod(0o755)

    ran = torc(
        "recover",
        str(scene.workflow),
        "--recovery-hook",
        f"PATH={os.path.dirname(sys.executable)}:$PATH {hook} look",
    )

    assert ran.code == 0
    assert (home / "said").read_text() == f"look {scene.workflow} {scene.workflow} 1\n"
    assert (home / "status").read_text()
    assert scene.statuses()["job0"] == scene.statuses()["job1"] == "ready"


def test_a_hook_that_fails_stops_everything(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.STRANGE, ends.OOM)

    ran = torc("recover", str(scene.workflow), "--recovery-hook", "exit 4;")

    assert ran.code == 1
    assert "ended with 4; nothing was recovered" in ran.err
    assert (scene.statuses()["job1"], scene.memory()["job1"], scene.run_id()) == ("failed", "8g", 1)


def test_a_hook_is_not_asked_when_every_cause_is_known(torc: Any, failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.OOM)

    torc("recover", str(scene.workflow), "--recovery-hook", "touch asked;")

    assert not (home / "asked").exists()
    assert scene.statuses()["job0"] == "ready"


def test_unknown_causes_run_again_if_the_user_says_so(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.STRANGE)

    ran = torc("recover", str(scene.workflow), "--retry-unknown")

    assert (ran.code, scene.statuses()["job0"], scene.memory()["job0"]) == (0, "ready", "8g")


def test_a_workflow_of_slurm_is_not_submitted_where_there_is_no_slurm(
    torc: Any, failed: Any, ends: Any
) -> None:
    scene = failed(ends.OOM, slurm=True)

    ran = torc("recover", str(scene.workflow))

    assert (ran.code, scene.statuses()["job0"]) == (0, "ready")
    assert f"Slurm is not on this host; where it is: torc submit {scene.workflow}" in ran.err


def test_a_runner_that_died_here_is_not_in_the_way(torc: Any, failed: Any, ends: Any) -> None:
    import subprocess

    from torc_core.runner.place import Place, process_start

    scene = failed(ends.OOM)
    process = subprocess.Popen(["sleep", "60"])
    here = Place.here()
    with ends.opened() as store:
        store.join(
            NewNode(
                workflow_id=scene.workflow, epoch=SystemClock().uuid(), hostname=here.hostname, pid=process.pid,
                boot_id=here.boot_id, process_start=process_start(process.pid) or 0,
                capacity=Resources(cpus=1, memory=1, gpus=0),
            )
        )  # fmt: skip
    process.kill()
    process.wait()

    ran = torc("recover", str(scene.workflow))

    assert (ran.code, scene.statuses()["job0"]) == (0, "ready"), ran.err


def test_it_is_told_in_events(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.OOM, ends.STRANGE)

    torc("recover", str(scene.workflow))

    with ends.opened() as store:
        told = {
            name: [event.data for event in store.find(Event, Query(workflow=scene.workflow, where={"category": name})).items]
            for name in ("recovery_started", "resource_adjusted", "recovery_finished")
        }  # fmt: skip
    assert [len(told[name]) for name in told] == [1, 1, 1]
    assert told["resource_adjusted"][0]["new"] == "15g"
    assert told["recovery_finished"][0]["counts"]["other_failures"] == 1  # type: ignore[index, call-overload]


class TestWizard:
    """At a terminal every step is asked for."""

    @pytest.fixture
    def terminal(self, home: Path) -> Any:
        def start(*words: str) -> pexpect.spawn[str]:
            child = pexpect.spawn(
                os.path.join(os.path.dirname(sys.executable), "torc"), list(words), encoding="utf-8", timeout=60,
                dimensions=(50, 200),
            )  # fmt: skip
            child.setecho(False)
            return child

        return start

    def test_each_cause_is_shown_and_asked_for(self, terminal: Any, failed: Any, ends: Any) -> None:
        scene = failed(ends.OOM, ends.LATE, ends.STRANGE)

        child = terminal("recover", str(scene.workflow))
        child.expect("Out of memory: 1 job")
        child.expect(r"\[R\]etry with 1.5x / \[A\]djust / \[S\]kip\?")
        child.sendline("a")
        child.expect("By which factor")
        child.sendline("2")
        child.expect("Out of time: 1 job")
        child.expect(r"\[R\]etry with 1.4x")
        child.sendline("s")
        child.expect("Of unknown cause: 1 job")
        child.expect(r"\[R\]etry / \[S\]kip")
        child.sendline("")
        child.expect("Plan:")
        child.expect("would increase memory 8g -> 20g")
        child.expect(r"Reset 1 job of workflow \d+ and go on\? \[y/N\]")
        child.sendline("y")
        child.expect(pexpect.EOF)
        child.close()

        assert child.exitstatus == 1
        assert (scene.memory()["job0"], scene.statuses()["job1"]) == ("20g", "terminated")
        assert scene.statuses()["job2"] == "failed"

    def test_without_a_yes_nothing_is_changed(self, terminal: Any, failed: Any, ends: Any) -> None:
        scene = failed(ends.OOM)

        child = terminal("recover", str(scene.workflow))
        child.expect("kip")
        child.sendline("")
        child.expect(r"\[y/N\]")
        child.sendline("")
        child.expect("not confirmed; nothing was changed")
        child.expect(pexpect.EOF)
        child.close()

        assert (child.exitstatus, scene.statuses()["job0"]) == (3, "failed")

    def test_with_yes_nothing_is_asked(self, terminal: Any, failed: Any, ends: Any) -> None:
        scene = failed(ends.OOM)

        child = terminal("recover", str(scene.workflow), "--yes")
        child.expect("Applied fixes: 1 OOM, 0 timeout")
        child.expect(pexpect.EOF)
        child.close()

        assert (child.exitstatus, scene.statuses()["job0"]) == (0, "ready")
