"""`torc watch`: what it says, when it ends, what it does about failures, and that several do nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torc_core.config import Config
from torc_core.errors import TimedOut, Unavailable
from torc_core.host import Host
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Event,
    Intent,
    Query,
    Replan,
    SlurmScheduler,
    WorkflowId,
)
from torc_core.protocols import Synced, Tended
from torc_core.session import Session
from torc_core.system import SystemClock
from torc_slurm.recovering.providing import Provided, Wanted
from torc_slurm.recovering.recovery import Recovery, Wish
from torc_slurm.watching.diary import Diary
from torc_slurm.watching.scheduling import Rules
from torc_slurm.watching.watcher import Manner, Watcher
from torc_terminal import schemas

TORC = os.path.join(os.path.dirname(sys.executable), "torc")


@pytest.fixture
def ends() -> Any:
    import failing_jobs

    return failing_jobs


def test_a_workflow_that_is_over_ends_the_watch_with_its_outcome(torc: Any, failed: Any, ends: Any) -> None:
    good, bad, canceled = (
        failed(ends.GOOD, waiters=False),
        failed(ends.STRANGE, waiters=False),
        failed(ends.STRANGE),
    )
    with ends.opened() as store:
        store.cancel(canceled.workflow)

    ran = [torc("watch", str(one.workflow)) for one in (good, bad, canceled)]

    assert [one.code for one in ran] == [0, 1, 7]
    assert ran[0].out == "Workflow completed successfully (1 jobs)\n"
    assert ran[1].out == "Workflow ended with failures (failed=1)\n"
    assert ran[2].out.startswith("Workflow was canceled (")
    assert torc("watch", str(bad.workflow), "--exit-zero").code == 0


def test_what_it_says_is_also_in_its_log(torc: Any, failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.GOOD, ends.STRANGE, waiters=False)

    ran = torc("watch", str(scene.workflow), "-s", "-o", "out")

    (log,) = (home / "out").glob(f"watch_*_wf{scene.workflow}.log")
    assert [line.partition("Z ")[2] for line in log.read_text().splitlines()] == [
        "completed=1, failed=1",
        "Workflow ended with failures (completed=1, failed=1)",
    ]
    assert ran.err == "completed=1, failed=1\n"


def test_the_summary_in_json(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.STRANGE, waiters=False)

    ran = torc("-f", "json", "watch", str(scene.workflow))

    jsonschema.validate(ran.json, schemas.load("torc.watch/1"))
    assert (ran.json["status"], ran.json["jobs_by_status"]["failed"], ran.json["recoveries"]) == (
        "failed",
        1,
        0,
    )


def test_the_time_may_be_over_before(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.GOOD)

    ran = torc("watch", str(scene.workflow), "--timeout", "1s")

    assert ran.code == 124
    assert "is not complete yet (" in ran.out


def test_a_command_is_told_once_how_it_ended(torc: Any, failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.STRANGE, waiters=False)

    ran = torc(
        "watch", str(scene.workflow), "--notify-command",
        'echo "$TORC_WORKFLOW_ID $TORC_WORKFLOW_STATUS" >> told; exit 3',
    )  # fmt: skip

    assert (home / "told").read_text() == f"{scene.workflow} failed\n"
    assert ran.code == 1
    assert "the notify command ended with 3" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "0"], "--poll-interval '0' is out of range"),
        (["-m", "-1"], "--max-retries '-1' is negative"),
        (["--memory-multiplier", "0.5"], "--memory-multiplier '0.5' is out of range"),
        (["--auto-schedule-cooldown", "-5"], "--auto-schedule-cooldown '-5' is negative"),
        (["--timeout", "soon"], "--timeout 'soon' is not a duration"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence(torc: Any, failed: Any, ends: Any, words: list[str], said: str) -> None:
    scene = failed(ends.GOOD)

    ran = torc("watch", str(scene.workflow), *words)

    assert ran.code == 2
    assert said in ran.err


def test_failures_are_recovered_so_often_and_no_more(failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.OOM, waiters=False)

    with watching(scene, home, "-r", "-m", "1", "-p", "60") as (process, log):
        await_line(log, f"run it: torc run {scene.workflow}")
        assert scene.memory() == {"job0": "15g"}
        with ends.opened() as store:
            ends.finish(store, scene.workflow, [ends.OOM])
        out, _ = process.communicate(timeout=60)

    assert out.splitlines() == [
        "Max retries (1) exceeded. Manual intervention required.",
        "Workflow ended with failures (failed=1)",
    ]
    assert process.returncode == 1
    assert scene.run_id() == 2


def test_a_recovered_workflow_may_still_complete(failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.OOM, waiters=False)

    with watching(scene, home, "--recover") as (process, log):
        await_line(log, "run it: torc run")
        with ends.opened() as store:
            ends.finish(store, scene.workflow, [ends.GOOD])
        out, _ = process.communicate(timeout=60)

    assert (out, process.returncode) == ("Workflow completed successfully (1 jobs)\n", 0)


def test_a_round_that_would_change_nothing_is_the_last(torc: Any, failed: Any, ends: Any) -> None:
    scene = failed(ends.STRANGE, ends.OOM, waiters=False)

    ran = torc("watch", str(scene.workflow), "-r", "--max-memory", "8g")

    assert ran.code == 1
    assert (
        ran.out.splitlines()[0] == "Nothing was left to recover automatically. Manual intervention required."
    )
    assert "left: it asks for 8g of memory, used 10g, and --max-memory allows 8g" in ran.err
    assert scene.run_id() == 1


def test_events_wake_it_long_before_the_interval(failed: Any, ends: Any, home: Path) -> None:
    from torc_http.running import Running
    from torc_http.serving.listening import listen

    scene = failed(ends.GOOD)
    with ends.opened() as store:
        running = Running(store, SystemClock(), listen(port=0, unix=False))
        running.start()
        try:
            url = f"http://127.0.0.1:{running.doors.port}/torc-service/v1"
            with watching(scene, home, "-p", "3000", "--timeout", "10m", TORC_API_URL=url) as (process, log):
                await_line(log, "jobs done")
                ends.finish(store, scene.workflow, [ends.GOOD])
                out, _ = process.communicate(timeout=60)
        finally:
            running.close()

    assert (out, process.returncode) == ("Workflow completed successfully (2 jobs)\n", 0)


class Slurm:
    """What is intended is submitted; asked for are two allocations, unless others have been asked for meanwhile."""

    def __init__(self, session: Session, meet: threading.Barrier | None = None) -> None:
        self.session = session
        self.meet = meet
        self.asked = 0

    def here(self) -> bool:
        return True

    def sync(self, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0) -> Synced:
        return Synced()

    def tend(self, workflow: WorkflowId, *, node: object = None) -> Tended:
        store = self.session.store()
        query = Query(workflow=workflow, where={"status": AllocationStatus.INTENDED.value})
        return Tended(
            submitted=[
                store.submitted(one.id, one.submission_key, f"{1000 + one.id}")
                for one in store.find(Allocation, query).items
            ]
        )

    def __call__(self, workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        store = self.session.store()
        known = store.find(Allocation, Query(workflow=workflow)).items
        newest = max((one.id for one in known), default=0)
        if self.meet is not None:
            self.meet.wait(30)
        store.replan(workflow, Replan(allocations=[Intent(scheduler="short", count=2)], newest=newest))  # type: ignore[arg-type]  # an id
        self.asked += 2
        return Provided(intended=2, tended=self.tend(workflow))


@contextmanager
def watcher(url: str, scene: Any, folder: Path, **manner: Any) -> Iterator[tuple[Watcher, Slurm]]:
    """A watcher in this process, as one of several clients of a server."""
    config = Config.load()
    session = Session(host=Host.load(config), config=config, clock=SystemClock(), quiet=True)
    slurm: Any = Slurm(session, manner.pop("meet", None))
    diary = Diary(session, scene.workflow, str(folder))
    made = Watcher(
        session, scene.workflow, Manner(poll=60, rules=Rules(), **manner), diary, batch=slurm, provide=slurm,
        recovery=lambda: Recovery(session, scene.workflow, Wish(), batch=slurm, provide=slurm),
    )  # fmt: skip
    try:
        yield made, slurm
    finally:
        diary.close()
        session.close()


def test_ready_jobs_without_allocations_get_some_and_it_is_told(failed: Any, ends: Any, home: Path) -> None:
    scene = failed(ends.GOOD, slurm=True)  # `after0` is ready

    with watcher("", scene, home / "out", timeout=0.5) as (made, slurm):
        watched = made.run()

    assert (watched.allocations, slurm.asked, watched.timed_out) == (2, 2, True)
    with ends.opened() as store:
        found = store.find(
            Event, Query(workflow=scene.workflow, where={"category": "scheduling_decision"})
        ).items
    assert [event.data["allocations"] for event in found] == [2]
    text = "1 job is ready, and there is no live or queued allocation"
    assert found[0].data["reason"] == text
    (log,) = (home / "out").glob("watch_*.log")
    assert f"scheduling 2 allocations: {text}" in log.read_text()


def test_two_watchers_that_see_the_same_shortage_ask_once(
    failed: Any, ends: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torc_http.running import Running
    from torc_http.serving.listening import listen

    scene = failed(ends.GOOD, slurm=True)
    meet = threading.Barrier(2)
    with ends.opened() as store:
        running = Running(store, SystemClock(), listen(port=0, unix=False))
        running.start()
        url = f"http://127.0.0.1:{running.doors.port}/torc-service/v1"
        monkeypatch.setenv("TORC_API_URL", url)
        asked: list[int] = []

        def watch(folder: Path) -> None:
            with watcher(url, scene, folder, timeout=3.0, meet=meet) as (made, slurm):
                made.run()
                asked.append(slurm.asked)

        threads = [threading.Thread(target=watch, args=(home / name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        count = store.find(Allocation, Query(workflow=scene.workflow)).total
        running.close()

    assert sorted(asked) == [0, 2]
    assert count == 2


@contextmanager
def watching(
    scene: Any, home: Path, *words: str, **environ: str
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`torc watch` as a process of its own, and where its log will be."""
    process = subprocess.Popen(
        [TORC, "watch", str(scene.workflow), *words], cwd=home, env={**os.environ, **environ}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process, home / "torc_output" / f"watch_{os.uname().nodename}_wf{scene.workflow}.log"
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def await_line(log: Path, text: str, seconds: float = 60.0) -> None:
    """Wait until the log says something."""
    deadline = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
        time.sleep(0.05)


def test_queued_allocations_that_nothing_needs_do_not_keep_a_recovery_waiting(
    failed: Any, ends: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = failed(ends.OOM, slurm=True, waiters=False)
    with ends.opened() as store:
        (scheduler,) = store.find(SlurmScheduler, Query(workflow=scene.workflow)).items
        (queued,) = store.intend(scene.workflow, "r", scheduler.id, 1, 1)
        store.submitted(queued.id, queued.submission_key, "1000")

    def tend(slurm: Slurm, workflow: WorkflowId, *, node: object = None) -> Tended:
        store = slurm.session.store()
        return Tended(withdrawn=[store.withdrawn(queued.id, "nothing needs it any more")])

    with watcher("", scene, home / "out", timeout=0.5, recovers=True) as (made, _):
        monkeypatch.setattr(Slurm, "tend", tend)
        watched = made.run()

    assert watched.recoveries == 1


def test_the_time_may_be_over_while_the_store_is_away(
    failed: Any, ends: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = failed(ends.GOOD)

    def away(session: Session) -> Any:
        raise Unavailable("nobody answers")

    with watcher("", scene, home / "out", timeout=0.5) as (made, _):
        monkeypatch.setattr("torc_slurm.watching.watcher.PATIENCE", 5.0)
        monkeypatch.setattr(Session, "store", away)
        with pytest.raises(TimedOut, match="nobody answers"):
            made.run()


def test_a_disk_that_takes_no_more_of_its_log_does_not_end_a_watch(
    torc: Any, failed: Any, ends: Any, home: Path
) -> None:
    scene = failed(ends.GOOD, waiters=False)
    (home / "out").mkdir()
    (home / "out" / f"watch_{os.uname().nodename}_wf{scene.workflow}.log").symlink_to("/dev/full")

    ran = torc("watch", str(scene.workflow), "-o", "out")

    assert (ran.code, ran.out) == (0, "Workflow completed successfully (1 jobs)\n")
    assert ran.err.count("no space left on device") == 1


def test_who_waits_for_the_last_allocations_asks_slurm_seldom(
    failed: Any, ends: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RB2: as often as any other watcher, however short its interval."""
    scene = failed(ends.OOM, slurm=True, waiters=False)
    with ends.opened() as store:
        (scheduler,) = store.find(SlurmScheduler, Query(workflow=scene.workflow)).items
        (queued,) = store.intend(scene.workflow, "r", scheduler.id, 1, 1)
        store.submitted(queued.id, queued.submission_key, "1000")
    asked: list[WorkflowId] = []

    def sync(slurm: Slurm, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0) -> Synced:
        asked.append(workflow)
        return Synced()

    with watcher("", scene, home / "out", timeout=1.5, recovers=True) as (made, _):
        monkeypatch.setattr(Slurm, "sync", sync)
        monkeypatch.setattr("torc_slurm.watching.watcher.GENTLE", 0.1)
        made._manner = replace(made._manner, poll=0.1)
        made.run()

    assert len(asked) == 1
