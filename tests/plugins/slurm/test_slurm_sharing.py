"""All processes of a user on a host share one budget and one answer of the queue (RB1, RB2)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.waiting import SOON
from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import Workflow
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.plugin import SetClock
from torc_core.testing.slurm import FakeSlurm
from torc_slurm.batch import SlurmBatch
from torc_slurm.scheduler.sharing import Answer, folder, queue_file
from torc_slurm.scheduler.slurm import Slurm, SlurmSilent

Make = Callable[..., Workflow]
URL = "http://login.cluster:8085/torc-service/v1"


class Asked:
    """A question that notes how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return f"answer {self.times}"


class Began(SystemClock):
    """A clock that counts the looks at it: who asks looks first of all when that is."""

    def __init__(self) -> None:
        self.looks = threading.Semaphore(0)

    def monotonic(self) -> float:
        now = super().monotonic()
        self.looks.release()
        return now


def test_what_one_process_was_told_will_do_for_the_others(tmp_path: Path, clock: SetClock) -> None:
    ask = Asked()
    one, other = (Answer(tmp_path / "run/queue.json", clock) for _ in range(2))

    first = one.get(30.0, ask)
    clock.move(29)
    second = other.get(30.0, ask)
    clock.move(2)
    third = other.get(30.0, ask)
    fresh = one.get(0.0, ask)

    assert (first, second, third, fresh) == ("answer 1", "answer 1", "answer 2", "answer 3")
    assert oct((tmp_path / "run/queue.json").stat().st_mode)[-3:] == "600"


def test_those_who_wait_for_their_turn_take_what_was_asked_meanwhile(tmp_path: Path) -> None:
    """However fresh it has to be: a question that was asked after theirs answers theirs."""
    asking, go = threading.Event(), threading.Event()
    told: list[str] = []
    ask = Asked()

    def slow() -> str:
        asking.set()
        go.wait(SOON)
        return ask()

    def get(answer: Answer, question: Callable[[], str]) -> None:
        told.append(answer.get(0.0, question))

    first = threading.Thread(target=get, args=(Answer(tmp_path / "queue.json", SystemClock()), slow))
    first.start()
    assert asking.wait(SOON)
    began = Began()
    others = [
        threading.Thread(target=get, args=(Answer(tmp_path / "queue.json", began), ask)) for _ in range(9)
    ]
    for one in others:
        one.start()
    for _ in others:
        assert began.looks.acquire(timeout=SOON)
    go.set()
    for one in (first, *others):
        one.join()

    # The first began before the others wanted to know; one of them asks for all.
    assert ask.times == 2
    assert sorted(told) == ["answer 1", *["answer 2"] * 9]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": 1}', '{"at": 1e300, "text": "later"}'])
def test_what_cannot_be_read_is_asked_anew(tmp_path: Path, clock: SetClock, text: str) -> None:
    (tmp_path / "queue.json").write_text(text)

    found = Answer(tmp_path / "queue.json", clock).get(1e9, Asked())

    assert found == "answer 1"


def test_another_cluster_has_another_answer(tmp_path: Path) -> None:
    run = {"XDG_RUNTIME_DIR": str(tmp_path)}

    names = {
        queue_file(run),
        queue_file({**run, "SLURM_CONF": "/a"}),
        queue_file({**run, "SLURM_CLUSTERS": "b"}),
    }

    assert len(names) == 3
    assert folder({"XDG_RUNTIME_DIR": str(tmp_path / "away")}) is None


def test_everybody_who_tells_of_the_queue_asks_once_in_half_a_minute(
    store: Store, config: Config, slurm: FakeSlurm, scheduled: Make
) -> None:
    workflows = [scheduled(2) for _ in range(3)]
    for one in workflows:
        SlurmBatch(store, config, SystemClock(), URL).tend(one.id)
    before = len(slurm.calls())

    for one in workflows:
        # Each is a process of its own.
        SlurmBatch(store, config, SystemClock(), URL).sync(one.id, age=30.0)
        SlurmBatch(store, config, SystemClock(), URL).waiting(["1001", "1006"])

    assert [words[0] for words in slurm.calls()[before:]] == ["squeue"]


def test_what_was_submitted_since_is_not_missed_in_an_answer_of_before(
    store: Store, config: Config, slurm: FakeSlurm, scheduled: Make
) -> None:
    """It would be looked for in the accounts, by everybody who looks."""
    batch = SlurmBatch(store, config, SystemClock(), URL)
    batch.waiting(["1"])
    workflow = scheduled(2)
    batch.tend(workflow.id)
    before = len(slurm.calls())

    batch.sync(workflow.id, age=30.0)
    aged = [words[0] for words in slurm.calls()[before:]]
    batch.sync(workflow.id)

    assert aged == []
    assert [words[0] for words in slurm.calls()[before:]] == ["squeue"]


def test_the_budget_of_a_server_is_its_own_key(store: Store, environ: dict[str, str]) -> None:
    config = Config.load(environ={**environ, "TORC_CLIENT__SLURM__RPC_PER_MINUTE": "7"})
    host = Host.load(config)
    asked = config.over({"client.slurm.rpc_per_minute": (3, "server.slurm.rpc_per_minute")})

    rates = [
        batch.slurm.budget.per_minute_allowed
        for batch in (
            host.batches(store, SystemClock(), URL)["slurm"],
            host.batches(store, SystemClock(), URL, asked)["slurm"],
        )
        if isinstance(batch, SlurmBatch)
    ]

    assert rates == [7, 3]


def test_without_a_variable_the_usual_folder_of_the_session_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cron and `su` set none, and are the same user on the same host."""
    usual = Path("/run/user", str(os.geteuid()))

    found = folder({})

    assert found in (None, usual / "torc")
    assert (found is not None) == (usual.is_dir() and usual.stat().st_uid == os.geteuid())


def test_a_look_does_not_wait_for_a_budget_that_is_used_up(
    store: Store, environ: dict[str, str], slurm: FakeSlurm, scheduled: Make
) -> None:
    batch = SlurmBatch(store, Config.load(environ=environ), SystemClock(), URL)
    batch.tend(scheduled(1).id)
    batch.slurm.budget._wait = lambda seconds: pytest.fail(f"it waits for {seconds} s")
    batch.slurm.budget.record("squeue", 5, 1, "Socket timed out on send/recv operation")
    batch.slurm.budget.record("squeue", 5, 1, "Socket timed out on send/recv operation")
    batch.slurm.budget.record("squeue", 5, 1, "Socket timed out on send/recv operation")

    assert batch.waiting(["1001"], age=0.0) == {}
    assert not slurm.calls("squeue")


def test_a_command_waits_for_the_budget_that_another_process_has_used_up(
    environ: dict[str, str], clock: SetClock
) -> None:
    config = Config.load(environ=environ)
    first, second = (Slurm.of(config, clock) for _ in range(2))
    for one in (first, second):
        one.budget._wait = clock.move
    begin = clock.monotonic()

    for one in [first, second] * 6:
        one.queue()

    # Ten at once, then one in three seconds.
    assert clock.monotonic() - begin == pytest.approx(6, abs=1)


@pytest.mark.parametrize("who", ["another thread", "another process"])
def test_who_has_little_patience_does_not_wait_for_the_question_of_others(
    slurm: FakeSlurm, config: Config, who: str
) -> None:
    slurm.fault("squeue", "hangs", times=2)
    asking = Slurm.of(config, SystemClock(), limit=8)
    telling = asking if who == "another thread" else Slurm.of(config, SystemClock(), limit=8)

    def ask() -> None:
        with suppress(SlurmSilent):
            asking.queue()

    other = threading.Thread(target=ask)
    other.start()
    while not slurm.calls("squeue"):
        time.sleep(0.02)
    began = time.monotonic()
    with pytest.raises(SlurmSilent):
        telling.queue(age=60.0, patience=0.5)
    took = time.monotonic() - began
    other.join()

    assert took < 3


def test_what_is_known_is_told_while_others_ask_anew(slurm: FakeSlurm, config: Config) -> None:
    one = Slurm.of(config, SystemClock(), limit=8)
    known = one.queue()
    slurm.fault("squeue", "hangs")

    def ask() -> None:
        with suppress(SlurmSilent):
            one.queue()

    other = threading.Thread(target=ask)
    other.start()
    while len(slurm.calls("squeue")) < 2:
        time.sleep(0.02)
    began = time.monotonic()
    told = one.queue(age=60.0, patience=0.5)
    took = time.monotonic() - began
    other.join()

    assert told == known
    assert took < 3
