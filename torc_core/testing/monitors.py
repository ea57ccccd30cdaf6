"""What every monitor has to do, as tests: subclass `MonitorContract` and give it a `monitor` fixture."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from torc_core.model import JobId, JobUsage
from torc_core.protocols import Monitor

MIB = 1024**2
HOLDER = """
import subprocess, sys
held = bytearray({size})
if {child}:
    other = subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1]], stdin=sys.stdin, stdout=subprocess.PIPE)
    other.stdout.readline()
print("up", flush=True)
sys.stdin.readline()
"""


class MonitorContract:
    """Watching, sampling, and the account at the end."""

    @pytest.fixture
    def family(self) -> Iterator[subprocess.Popen[str]]:
        """A process of some 60 MiB with a child of some 40 MiB more."""
        inner = HOLDER.format(size=40 * MIB, child=False)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", HOLDER.format(size=60 * MIB, child=True), inner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
            process.kill()

    def test_the_memory_of_a_whole_tree_counts(self, monitor: Monitor, family: subprocess.Popen[str]) -> None:
        monitor.watch(JobId(1), family.pid)

        monitor.sample()
        monitor.sample()

        usage = monitor.unwatch(JobId(1))
        assert usage.peak_memory_bytes is not None
        assert usage.avg_memory_bytes is not None
        assert 100 * MIB < usage.peak_memory_bytes < 200 * MIB
        assert usage.avg_memory_bytes <= usage.peak_memory_bytes

    def test_what_processes_share_can_be_counted_once(self, monitor: Monitor) -> None:
        program = (
            "import os, sys\n"
            "held = bytearray(80 * 1024 ** 2)\n"
            "for _ in range(3):\n"
            "    if not os.fork(): sys.stdin.readline(); os._exit(0)\n"
            "print('up', flush=True)\n"
            "sys.stdin.readline()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            monitor.watch(JobId(1), process.pid)
            (one,) = monitor.sample(full=False)

            shared = monitor.shared(JobId(1), one.memory_bytes)

            process.communicate("\n\n\n\n")
        assert one.memory_bytes > 300 * MIB
        assert 80 * MIB < shared < 130 * MIB or shared == one.memory_bytes

    def test_one_sample_is_both_peak_and_mean(self, monitor: Monitor, family: subprocess.Popen[str]) -> None:
        monitor.watch(JobId(1), family.pid)

        monitor.sample()

        usage = monitor.unwatch(JobId(1))
        assert usage.peak_memory_bytes == usage.avg_memory_bytes is not None

    def test_a_process_that_ends_between_samples_does_no_harm(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        monitor.watch(JobId(1), family.pid)
        monitor.sample()
        family.kill()
        family.wait()

        monitor.sample()

        assert (monitor.unwatch(JobId(1)).peak_memory_bytes or 0) > 0

    def test_a_sample_tells_of_each_job_what_all_its_processes_use(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        monitor.watch(JobId(1), family.pid)

        (sample,) = monitor.sample()

        assert sample.job == 1
        assert sample.num_processes == 2
        assert 100 * MIB < sample.memory_bytes < 200 * MIB

    def test_a_look_at_some_jobs_leaves_the_others_alone(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        monitor.watch(JobId(1), family.pid)
        monitor.watch(JobId(2), os.getpid())

        samples = monitor.sample([JobId(1)])

        assert [one.job for one in samples] == [1]
        assert monitor.unwatch(JobId(2)) == JobUsage()

    def test_processor_time_is_in_percent_of_one_core(self, monitor: Monitor) -> None:
        busy = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        begun, before = time.monotonic(), os.times()
        monitor.watch(JobId(1), busy.pid)
        for _ in range(4):
            time.sleep(0.2)
            monitor.sample()
        seconds = time.monotonic() - begun
        busy.kill()
        busy.wait()
        after = os.times()

        # On a busy machine it does not get a whole core.
        used = after.children_user - before.children_user
        usage = monitor.unwatch(JobId(1))
        assert usage.peak_cpu_percent is not None
        assert 50 * used / seconds <= usage.peak_cpu_percent < 120

    def test_bytes_read_and_written_are_part_of_a_full_look_only(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        monitor.watch(JobId(1), family.pid)

        (brief,) = monitor.sample(full=False)

        assert brief.read_bytes is brief.write_bytes is None

    def test_a_job_that_is_watched_again_is_another_attempt(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as small:
            monitor.watch(JobId(1), family.pid)
            monitor.sample()
            monitor.watch(JobId(1), small.pid)

            (sample,) = monitor.sample()

            small.kill()
        assert sample.num_processes == 1
        assert (monitor.unwatch(JobId(1)).peak_memory_bytes or 0) < 60 * MIB

    def test_a_job_that_is_watched_no_longer_is_not_sampled(
        self, monitor: Monitor, family: subprocess.Popen[str]
    ) -> None:
        monitor.watch(JobId(1), family.pid)
        monitor.sample()
        monitor.unwatch(JobId(1))

        assert list(monitor.sample()) == []
        assert monitor.unwatch(JobId(1)) == JobUsage()

    def test_the_node_uses_at_least_what_its_processes_do(self, monitor: Monitor) -> None:
        monitor.node()
        time.sleep(0.2)

        seen = monitor.node()

        assert seen.cpu_percent is not None
        assert 0 <= seen.cpu_percent <= 100 * (os.cpu_count() or 1) + 50
        assert (seen.memory_bytes or 0) > 10 * MIB
        assert seen.gpu_percent is seen.gpu_memory_bytes is None

    def test_closing_twice_does_no_harm(self, monitor: Monitor) -> None:
        monitor.close()

        monitor.close()

    def test_what_was_not_watched_was_not_seen(self, monitor: Monitor) -> None:
        assert monitor.unwatch(JobId(7)) == JobUsage()

    def test_a_process_that_is_gone_was_not_seen(self, monitor: Monitor) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
            pass

        monitor.watch(JobId(1), process.pid)
        monitor.sample()

        assert monitor.unwatch(JobId(1)) == JobUsage()
