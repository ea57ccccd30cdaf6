"""What every monitor has to do, as tests: subclass `MonitorContract` and give it a `monitor` fixture."""

from __future__ import annotations

import subprocess
import sys
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

    def test_what_was_not_watched_was_not_seen(self, monitor: Monitor) -> None:
        assert monitor.unwatch(JobId(7)) == JobUsage()

    def test_a_process_that_is_gone_was_not_seen(self, monitor: Monitor) -> None:
        with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
            pass

        monitor.watch(JobId(1), process.pid)
        monitor.sample()

        assert monitor.unwatch(JobId(1)) == JobUsage()
