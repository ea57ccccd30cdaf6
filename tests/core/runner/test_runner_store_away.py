"""A store that is away, silent, or gives this runner's place to another."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import replace

import pytest

from tests.core.runner.conftest import Advanced
from tests.waiting import SOON, until
from torc_core.engine import liveness
from torc_core.errors import Fenced, NotFound, TorcError, Unauthorized, Unavailable
from torc_core.model import JobStatus, Plan, PlannedAction, PlannedJob, PlannedWorkflow
from torc_core.runner import lease, runner
from torc_core.runner.delivery import deliver
from torc_core.runner.options import Execution, Options
from torc_core.runner.report import Leaving
from torc_core.runner.timeline import Timeline
from torc_core.testing.executors import survivors


class Troubled:
    """A queue that goes wrong in the turns in which `trouble` says so."""

    def __init__(self, queue, trouble, seconds=None) -> None:
        self._queue = queue
        self._trouble = trouble
        self._seconds = seconds
        self.turns = 0

    def join(self, new):
        node = self._queue.join(new)
        return replace(node, lease_seconds=self._seconds) if self._seconds else node

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def turn(self, turn):
        self.turns += 1
        self._trouble(self.turns, turn)
        return self._queue.turn(turn)


def run(site, trouble, *commands, lease=None, spools=True, **settings):
    """Run a workflow whose store goes wrong; `spools`: it is of another process."""
    site.create(*commands, **settings)
    one = site.runner(spools=spools)
    one._store = Troubled(site.store, trouble, lease)
    return one.run()


class Unjoinable(Troubled):
    """A queue that nobody can join."""

    def join(self, new):
        self.turns += 1
        raise Unavailable("away")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_runner_that_could_not_join_yet(site, later, number, code) -> None:
    site.create("exit 0")
    runner = site.runner(spools=True)
    runner._store = queue = Unjoinable(site.store, None)
    later(0, lambda: (until(lambda: queue.turns > 0), runner.interrupt(number)))

    begin = time.monotonic()
    with pytest.raises(SystemExit) as left:
        runner.run()

    assert time.monotonic() - begin < SOON
    assert left.value.code == code


def test_a_claim_that_is_repeated_says_how_much_time_is_left_by_then(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.1)
    site.clock = Advanced()
    end = site.clock.monotonic() + 1000
    offered = []

    def trouble(number, turn) -> None:
        if number <= 3:
            site.clock.passed += 100
            raise Unavailable("away")
        if turn.offer:
            offered.append((turn.offer.time_limit, site.clock.monotonic()))

    site.create("exit 0")
    one = site.runner(spools=True, end=end)
    one._store = Troubled(site.store, trouble)

    report = one.run()

    times = Timeline.of(Options(end=end), Execution(), site.workflow)
    assert report.leaving is Leaving.COMPLETE
    assert [limit for limit, at in offered if limit > times.left(at) + 50] == []
    assert offered


def test_a_store_that_is_away_for_a_while_loses_nothing(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.01)

    def trouble(number, turn) -> None:
        if number % 3:
            raise Unavailable("away")

    report = run(site, trouble, *["echo x >> ran"] * 30)

    assert report.leaving is Leaving.COMPLETE
    assert len(site.results()) == len((site.folder / "ran").read_text().split()) == 30


def away_after(seconds):
    """Trouble from some seconds after the first turn on, for good, or until `back` is set."""
    begin = []
    back = threading.Event()

    def trouble(number, turn) -> None:
        begin.append(time.monotonic())
        if time.monotonic() > begin[0] + seconds and not back.is_set():
            raise Unavailable("no answer from the store")

    trouble.back = back
    return trouble


def spooled(site):
    """Endings in the spool, by job."""
    texts = [json.loads(one.read_text()) for one in (site.folder / "out" / ".torc-spool").glob("*.json")]
    return {
        end["job"]: (end["status"]["value"], end.get("reason")) for text in texts for end in text["endings"]
    }


def test_a_runner_that_fences_ends_its_jobs_when_the_lease_is_over_and_keeps_the_results(
    site, monkeypatch
) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    trouble = away_after(0.2)

    begin = time.monotonic()
    report = run(site, trouble, "sleep 600", lease=2, retry_on_node_loss=1)

    job = site.jobs()[0]
    assert 1.5 < time.monotonic() - begin < 30
    assert (report.leaving, report.exit_code) == (Leaving.AWAY, 4)
    assert "results of 1 job are kept in" in report.detail
    assert f"torc reconcile {site.workflow.id} {site.workflow.run_id}" in report.detail
    assert survivors(f"{site.store.server_id}.{site.workflow.id}.{job.id}.1.1") == []
    assert spooled(site) == {job.id: (int(JobStatus.TERMINATED), "lease_lost")}


def test_a_runner_that_drains_lets_its_jobs_run_to_their_end(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    away = site.folder / "away"

    def trouble(number, turn) -> None:
        if away.exists() or site.jobs()[1].status is JobStatus.FAILED:
            away.touch()
            raise Unavailable("no answer from the store")

    first = "while [ ! -e away ]; do sleep 0.05; done; sleep 2; echo done > here"
    report = run(site, trouble, first, "exit 3", lease=1)

    assert (site.folder / "here").exists()
    assert (report.leaving, report.exit_code) == (Leaving.AWAY, 4)
    first, second = site.jobs()
    assert spooled(site) == {first.id: (int(JobStatus.COMPLETED), None)}
    assert second.status is JobStatus.FAILED


def test_a_store_that_comes_back_finds_a_draining_runner_at_work(site, later, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(lease, "LONGEST_PAUSE", 0.3)
    trouble = away_after(0.2)
    site.create("sleep 3; echo x >> ran", *["echo x >> ran"] * 3)
    one = site.runner(ping_interval=0.2, max_parallel_jobs=1, spools=True)
    one._store = Troubled(site.store, trouble, 1)
    later(2.0, trouble.back.set)

    report = one.run()

    assert report.leaving is Leaving.COMPLETE
    assert (site.folder / "ran").read_text().split() == ["x"] * 4
    assert spooled(site) == {}


def test_a_store_that_answers_again_after_the_lease_is_asked_before_the_runner_gives_up(site) -> None:
    begin = []

    def trouble(number, turn) -> None:
        # As after a suspension: nothing has failed, all answers come late.
        begin.append(time.monotonic())
        if number > 1:
            time.sleep(max(0.0, begin[0] + 2.5 - time.monotonic()))

    report = run(site, trouble, "sleep 2.3", lease=1)

    assert (report.leaving, report.tally.completed) == (Leaving.COMPLETE, 1)
    assert [job.status for job in site.jobs()] == [JobStatus.COMPLETED]
    assert spooled(site) == {}


def test_a_runner_whose_store_is_of_its_own_process_has_no_lease(site, caplog) -> None:
    begin = []

    def trouble(number, turn) -> None:
        # The process was stopped, and with it all who could give its jobs to others.
        begin.append(time.monotonic())
        if number > 1:
            time.sleep(max(0.0, begin[0] + 2.0 - time.monotonic()))

    report = run(site, trouble, "sleep 2.3", lease=1, spools=False, retry_on_node_loss=1)

    assert (report.leaving, report.tally.completed) == (Leaving.COMPLETE, 1)
    assert "lease_over" not in caplog.text


def test_after_an_outage_the_first_thing_said_is_a_beat(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    said = []

    def trouble(number, turn) -> None:
        if 2 <= number < 8:
            raise Unavailable("away")
        said.append(turn)
        if number >= 8:
            (site.folder / "back").touch()

    run(site, trouble, "sleep 0.3", "exit 0", "while [ ! -e back ]; do sleep 0.05; done")

    back = said[1]
    assert back.beat is not None
    assert not (back.endings or back.starts or back.give_back or back.offer)
    assert {held.job for held in back.beat.running} <= {job.id for job in site.jobs()}
    assert back.beat.running


def test_a_fenced_runner_ends_its_jobs_and_leaves(site) -> None:
    def trouble(number, turn) -> None:
        if number > 1:
            raise Fenced("another runner has taken the place of this one")

    report = run(site, trouble, "exit 0", "sleep 600")

    assert (report.leaving, report.exit_code) == (Leaving.FENCED, 4)


def test_another_refusal_is_an_error_and_no_job_is_left(site) -> None:
    def trouble(number, turn) -> None:
        if number > 1:
            raise NotFound("no workflow 1")

    with pytest.raises(NotFound):
        run(site, trouble, "exit 0", "sleep 600")

    site.executor.close()
    assert survivors(f"{site.store.server_id}.{site.workflow.id}.2.1.1") == []


@pytest.mark.parametrize(
    ("error", "leaving"),
    [(Fenced("another runner is here"), Leaving.FENCED), (Unavailable("away"), Leaving.AWAY)],
)
def test_a_runner_leaves_although_the_start_of_jobs_was_never_answered(
    site, monkeypatch, error, leaving
) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    lost = threading.Event()

    def trouble(number, turn) -> None:
        if turn.starts or lost.is_set():
            lost.set()
            raise error

    site.create(*["sleep 0.3"] * 60)
    one = site.runner(spools=True, ping_interval=0.2)
    one._store = Troubled(site.store, trouble, 2)

    begin = time.monotonic()
    report = one.run()

    assert lost.is_set()
    assert (report.leaving, report.exit_code) == (leaving, 4)
    assert time.monotonic() - begin < SOON


class Leaver(Troubled):
    """A queue that says what `tell` has it say, and is away for good from then on; also for actions."""

    def __init__(self, queue, tell, seconds) -> None:
        super().__init__(queue, None, seconds)
        self._tell = tell
        self._gone = threading.Event()

    def turn(self, turn):
        self._check()
        orders = self._tell(turn)
        if orders is None:
            return self._queue.turn(turn)
        self._gone.set()
        return orders

    def __getattr__(self, name):
        return lambda *what, **how: (self._check(), getattr(self._queue, name)(*what, **how))[1]

    @property
    def server_id(self):
        return self._queue.server_id

    def _check(self) -> None:
        if self._gone.is_set():
            raise Unavailable("away")


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("what", ["cancel", "drain"])
def test_a_runner_that_is_told_to_leave_waits_no_longer_than_its_lease_for_a_store_that_is_gone(
    site, monkeypatch, what, again
) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    site.create("trap 'sleep 0.3; exit 3' TERM; sleep 1 & wait; wait", retry_on_node_loss=again)

    def tell(turn):
        if not (turn.beat and turn.beat.running):
            return None
        site.store.cancel(site.workflow.id) if what == "cancel" else site.store.drain(turn.node, True)
        return site.store.turn(turn)

    one = site.runner(spools=True, ping_interval=0.2, beat=0.2)
    one._store = Leaver(site.store, tell, 2)

    begin = time.monotonic()
    report = one.run()

    assert time.monotonic() - begin < SOON
    assert (report.leaving, report.exit_code) == (Leaving.AWAY, 4)
    assert set(spooled(site)) == {site.jobs()[0].id}


def test_a_runner_whose_store_is_gone_when_all_is_done_leaves_too(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    site.create("exit 0")

    def tell(turn):
        orders = site.store.turn(turn)
        return orders if orders.complete else None

    one = site.runner(spools=True, ping_interval=0.2)
    one._store = one._chore_store = Leaver(site.store, tell, 2)

    begin = time.monotonic()
    report = one.run()

    assert time.monotonic() - begin < SOON
    assert (report.leaving, report.exit_code) == (Leaving.AWAY, 4)


def test_a_command_of_an_action_runs_to_its_end_though_the_store_is_gone(site, monkeypatch) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    commands = ["touch begun; sleep 4; touch acted"]
    act = PlannedAction(
        trigger_type="on_worker_complete", action_type="run_commands", config={"commands": commands}
    )
    jobs = [PlannedJob(name="job1", command="exit 0")]
    site.create(plan=Plan(workflow=PlannedWorkflow(name="acting"), jobs=jobs, actions=[act]))
    begun = site.folder / "out" / "begun"
    one = site.runner(spools=True, ping_interval=0.2, beat=0.2)
    queue = one._store = one._chore_store = Leaver(site.store, lambda turn: None, 2)
    queue._tell = lambda turn: site.store.turn(turn) if begun.exists() else None

    report = one.run()

    assert report.leaving is Leaving.AWAY
    assert (site.folder / "out" / "acted").exists()


def test_a_store_that_never_answers_does_not_keep_an_interrupted_runner(site, later, monkeypatch) -> None:
    monkeypatch.setattr(runner, "LEAVE_WITHIN", 0.3)
    monkeypatch.setattr(runner, "LAST_CALL", 0.2)
    asked, for_good = threading.Event(), threading.Event()

    def trouble(number, turn) -> None:
        if turn.endings:
            asked.set()
            for_good.wait(SOON)

    site.create("echo up")
    one = site.runner()
    one._store = Troubled(site.store, trouble)
    later(0, lambda: (asked.wait(SOON), one.interrupt(signal.SIGINT)))

    report = one.run()

    for_good.set()
    assert report.exit_code == 130
    assert [job.status for job in site.jobs()] == [JobStatus.RUNNING]


def test_a_store_that_takes_no_goodbye_changes_nothing_of_what_was_done(site, monkeypatch) -> None:
    def leave(node, usage) -> None:
        raise TorcError("this is a bug in the server")

    monkeypatch.setattr(site.store, "leave", leave)

    report = site.run("exit 0")

    assert (report.leaving, report.exit_code) == (Leaving.COMPLETE, 0)


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug in the runner"), Unauthorized("the token has expired")]
)
def test_what_a_runner_that_fails_knew_is_kept_and_its_guardian_tells_the_rest(site, error) -> None:
    def trouble(number, turn) -> None:
        if turn.endings:
            until(lambda: len(site.watching.ends) == 2)
            raise error

    site.create("exit 0", "sleep 600", "until [ -e told ]; do sleep 0.1; done")
    one = site.runner(spools=True, deliver=["true"])
    one._store = Troubled(site.store, trouble)
    ended = site.watching.ended
    site.watching.ended = lambda ends: (ended(ends), (site.folder / "told").touch())

    with pytest.raises(type(error)):
        one.run()
    site.executor.close()

    told, last = {}, {}
    for path in (site.folder / "out" / ".torc-spool").glob("*.json"):
        text = json.loads(path.read_text())
        for end in text["endings"]:
            (last if text.get("last") else told)[end["job"]] = (end["status"]["value"], end.get("reason"))
    first, second, third = (job.id for job in site.jobs())
    assert told == {first: (JobStatus.COMPLETED, None), third: (JobStatus.COMPLETED, None)}
    assert last == {second: (JobStatus.TERMINATED, "runner_died")}
    deliver(site.store, str(site.folder / "out"), site.workflow.id)
    assert [(one.status, one.provisional) for one in site.results()] == [
        (JobStatus.COMPLETED, False),
        (JobStatus.TERMINATED, False),
        (JobStatus.COMPLETED, False),
    ]


class Belated(Troubled):
    """A queue that disowns every job that a turn does not name, as it does when an earlier attempt was meant."""

    def turn(self, turn):
        orders = super().turn(turn)
        named = {held.job for held in (*turn.beat.held, *turn.beat.running)} if turn.beat else set()
        others = [given.job.id for given in orders.jobs if given.job.id not in named]
        return replace(orders, unknown=[*orders.unknown, *others])


def test_a_job_that_is_given_anew_while_its_last_attempt_dies_is_run_soon(site, monkeypatch) -> None:
    monkeypatch.setattr(liveness, "MINUTE", 0)
    monkeypatch.setattr(liveness, "BEYOND_MS", 0)
    forced = threading.Event()

    def trouble(number, turn) -> None:
        if turn.beat and not forced.is_set():
            site.store.sweep()
            site.store.retry(site.jobs()[0].id, 0, force=True)
            # What heals by beats alone does so too late.
            one._lease._beat = 600
            forced.set()

    site.create("[ $TORC_ATTEMPT_ID = 2 ] || sleep 600", compute_node_wait_for_new_jobs_seconds=5)
    one = site.runner(beat=0.3)
    one._store = Troubled(site.store, trouble, 600)

    report = one.run()

    assert forced.is_set()
    assert report.leaving is Leaving.COMPLETE
    assert [job.status for job in site.jobs()] == [JobStatus.COMPLETED]


def watched(site, monkeypatch):
    """What the guardian is told of the end of the lease: each time, and the seconds that jobs have then."""
    told = []
    fence = site.executor.fence
    monkeypatch.setattr(site.executor, "fence", lambda at, lead: (told.append((at, lead)), fence(at, lead)))
    return told


def test_what_the_guardian_knows_of_the_lease_is_never_long_out_of_date(site, monkeypatch) -> None:
    told, early = watched(site, monkeypatch), []

    def trouble(number, turn) -> None:
        if number > 2 and told[-1][0] < one._lease.until:
            early.append((number, one._lease.until - told[-1][0]))

    site.create("sleep 2.5", retry_on_node_loss=1)
    one = site.runner(spools=True, beat=0.4)
    one._store = Troubled(site.store, trouble, 60)

    report = one.run()

    assert report.leaving is Leaving.COMPLETE
    assert early == []


def test_jobs_of_a_runner_that_fences_itself_are_not_signalled_once_more_by_the_guardian(
    site, monkeypatch
) -> None:
    monkeypatch.setattr(lease, "FIRST_PAUSE", 0.05)
    command = (
        "trap 'echo INT >> got' INT; trap 'echo TERM >> got' TERM; touch up; while :; do sleep 0.1; done"
    )
    config = {"termination_signal": "SIGINT", "sigterm_lead_seconds": 4}

    def trouble(number, turn) -> None:
        if (site.folder / "up").exists():
            raise Unavailable("no answer from the store")

    run(site, trouble, command, lease=2, retry_on_node_loss=1, execution_config=config)

    assert (site.folder / "got").read_text().split() == ["INT"]


def test_what_is_disowned_is_the_attempt_that_the_beat_named_not_a_later_one(site) -> None:
    site.create("echo here >> ran", "sleep 0.2; echo here >> ran")
    one = site.runner()
    one._store = Belated(site.store, lambda number, turn: None)

    report = one.run()

    assert report.leaving is Leaving.COMPLETE
    assert [job.status for job in site.jobs()] == [JobStatus.COMPLETED] * 2
    assert (site.folder / "ran").read_text().split() == ["here", "here"]


class Stale(Troubled):
    """A queue whose answers, as they give jobs, still order to stop what an earlier attempt of theirs was."""

    def turn(self, turn):
        orders = super().turn(turn)
        return replace(orders, cancel=[given.job.id for given in orders.jobs])


def test_an_order_to_stop_from_before_an_attempt_came_here_is_not_for_it(site) -> None:
    site.create("sleep 0.3; echo here >> ran", *["echo here >> ran"] * 60)
    one = site.runner()
    one._store = Stale(site.store, lambda number, turn: None)

    report = one.run()

    assert report.leaving is Leaving.COMPLETE
    assert {(result.status, result.attempt_id) for result in site.results()} == {(JobStatus.COMPLETED, 1)}
    assert (site.folder / "ran").read_text().split() == ["here"] * 61


class Repeating(Stale):
    """The same, and the order is repeated when a beat names the job: now it is for the attempt that is here."""

    def turn(self, turn):
        orders = super().turn(turn)
        running = [held.job for held in turn.beat.running] if turn.beat else []
        return replace(orders, cancel=[*orders.cancel, *running])


def test_an_order_to_stop_that_is_repeated_ends_the_attempt_that_is_here(site) -> None:
    site.create("sleep 600")
    one = site.runner(beat=0.2)
    one._store = Repeating(site.store, lambda number, turn: None)

    begin = time.monotonic()
    one.run()

    assert time.monotonic() - begin < SOON
    assert (site.result().status, site.result().reason) == (JobStatus.CANCELED, "canceled")
