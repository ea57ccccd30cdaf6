"""The monitor of torc_psutil, judged as a third party's would be: by /proc, and where there is none by psutil."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from torc_core.model import JobId
from torc_core.testing.monitors import MonitorContract
from torc_psutil import portable, proc
from torc_psutil.monitor import Trees


@pytest.fixture
def monitor() -> Iterator[Trees]:
    trees = Trees()
    yield trees
    trees.close()


class TestPsutilMonitor(MonitorContract):
    pass


class TestPortableMonitor(MonitorContract):
    @pytest.fixture
    def monitor(self) -> Iterator[Trees]:
        trees = Trees()
        trees._table = portable.Table()
        yield trees
        trees.close()


HIDER = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = bytearray(50 << 20)
        print(os.getpid(), flush=True)
        sys.stdin.read()
    os._exit(0)
os.wait()
sys.stdin.read()
"""


def test_a_process_that_left_its_session_and_its_parent_is_found_by_its_mark(monitor):
    env = {"TORC_MARK": "me.1.7.1.1"}
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as other,
        subprocess.Popen(
            [sys.executable, "-S", "-c", HIDER],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as job,
    ):
        hidden = int(job.stdout.readline())
        # Another job is looked at first, so that the hidden process has been judged before.
        monitor.watch(JobId(1), other.pid)
        monitor.sample()
        monitor.watch(JobId(7), job.pid, mark="me.1.7.1.1")

        samples = {one.job: one for one in monitor.sample()}

        os.kill(hidden, 9)
        job.kill()
        other.kill()
    assert samples[JobId(7)].num_processes == 2
    assert samples[JobId(7)].memory_bytes > 50 << 20


def test_processor_time_of_children_that_ended_between_two_looks_counts(monitor):
    burn = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {burn!r}]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as job:
        monitor.watch(JobId(1), job.pid)
        job.stdout.readline()
        begin = time.monotonic()
        time.sleep(0.15)

        monitor.sample()

        lasted = time.monotonic() - begin
        job.kill()
    usage = monitor.unwatch(JobId(1))
    assert usage.avg_cpu_percent * (lasted + 5) / 100 >= 0.3


def test_a_look_that_is_held_up_sees_no_more_than_was_used(monitor, monkeypatch):
    look = monitor._table.look

    def held_up(*words, **more):
        found = look(*words, **more)
        time.sleep(1.0)
        return found

    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], start_new_session=True) as busy:
        monitor.watch(JobId(1), busy.pid)
        monkeypatch.setattr(monitor._table, "look", held_up)
        monitor.sample()
        monkeypatch.undo()
        time.sleep(0.2)
        monitor.sample()
        busy.kill()

    assert monitor.unwatch(JobId(1)).peak_cpu_percent < 120


def test_bytes_written_to_storage_count(monitor, tmp_path):
    program = "import os, sys; f = open(sys.argv[1], 'wb'); f.write(b'x' * (4 << 20)); f.flush(); os.fsync(f); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, tmp_path / "out"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as job:
        monitor.watch(JobId(1), job.pid)
        job.stdout.readline()

        (sample,) = monitor.sample()

        job.kill()
    if os.stat(tmp_path).st_dev != os.stat("/dev/shm").st_dev:
        assert sample.write_bytes >= 4 << 20


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing any more."""
    program = [sys.executable, "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as job:
        job.stdout.readline()
        yield job
        job.kill()


def test_a_process_that_sleeps_costs_one_read_and_keeps_its_account(monitor, sleeper, monkeypatch):
    until(lambda: Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    monitor.watch(JobId(1), sleeper.pid)
    (first,) = monitor.sample()
    monkeypatch.setattr(proc.Member, "learn", lambda member, text: pytest.fail("it was read anew"))

    (second,) = monitor.sample(full=False)

    assert first.memory_bytes == second.memory_bytes > 0
    assert second.num_processes == 1


def test_files_are_closed_when_jobs_are_gone(monitor, sleeper):
    before = set(os.listdir("/proc/self/fd"))
    monitor.watch(JobId(1), sleeper.pid)
    monitor.sample()
    sleeper.kill()
    sleeper.wait()

    monitor.sample()
    monitor.unwatch(JobId(1))
    monitor.sample()

    assert set(os.listdir("/proc/self/fd")) == before


def test_without_room_for_open_files_the_account_is_the_same(monitor, sleeper):
    monitor._table._spare = 0
    monitor.watch(JobId(1), sleeper.pid)

    (sample,) = monitor.sample()

    assert sample.memory_bytes > 0


def test_a_number_that_changed_hands_is_not_taken_for_the_same_process():
    member = proc.Member(JobId(1), b"4711")
    other = b"1 (x) S " + b" ".join(b"1" for _ in range(40))

    assert not member.learn(other)
