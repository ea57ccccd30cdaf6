"""What a runner measures: with each result, in a file of samples, and of its node."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until
from torc_core.model import JobUsage, Usage
from torc_core.protocols import NodeSample
from torc_core.runner.monitoring import Monitoring, joined
from torc_core.runner.series import Series
from torc_psutil.monitor import Trees

MIB = 1024**2
WAITS = "for i in $(seq 1200); do [ -e seen ] && break; sleep 0.05; done"
"""A job that runs until enough was seen of it."""
ENABLED = {"enabled": True}
SERIES = {"enabled": True, "granularity": "time_series"}


class Seeing(Trees):
    """Lets jobs end that wait for it when there were so many samples of jobs, or of the node."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._enough = enough
        self.samples = self.nodes = 0

    def sample(self, *words: Any, **more: Any) -> Any:
        found = super().sample(*words, **more)
        self.samples += len(found)
        self.seen(self.samples)
        return found

    def node(self, gpus: Any = ()) -> NodeSample:
        found = super().node(gpus)
        self.seen(self.nodes)
        # The first is what the others are counted from.
        self.nodes += 1
        return found

    def seen(self, count: int) -> None:
        if count >= self._enough:
            Path("seen").touch()


@pytest.fixture
def watched(site) -> Callable[..., Any]:
    """Run jobs with a monitor; `site.left` is what the runner said of its node."""
    leave = site.store.leave

    def noted(node: Any, usage: Usage | None) -> None:
        site.left = usage
        leave(node, usage)

    site.store.leave = noted

    def run(*jobs: str, monitor: Any = None, **config: Any) -> Any:
        site.create(*jobs, resource_monitor_config=config)
        runner = site.runner()
        runner._monitor = monitor or Trees()
        return runner.run()

    return run


def rows(site, query: str) -> list[tuple[Any, ...]]:
    (file,) = (site.folder / "out" / "resource_utilization").glob("*.db")
    with closing(sqlite3.connect(file)) as data:
        return data.execute(query).fetchall()


@pytest.mark.parametrize(
    ("config", "jobs", "job_series", "node", "node_series"),
    [
        (None, False, False, False, False),
        ({}, False, False, False, False),
        ({"enabled": True}, True, False, False, False),
        ({"enabled": True, "granularity": "TimeSeries"}, True, True, False, False),
        (
            {"enabled": True, "granularity": "time_series", "jobs": {"enabled": False}},
            False,
            False,
            False,
            False,
        ),
        ({"enabled": False, "jobs": SERIES}, True, True, False, False),
        ({"compute_node": SERIES}, False, False, True, True),
        ({"enabled": True, "compute_node": ENABLED}, True, False, True, False),
        ({"enabled": False, "granularity": "time_series"}, False, False, False, False),
    ],
)
def test_what_a_workflow_asks_for(config, jobs, job_series, node, node_series):
    wanted = Monitoring.of(config)

    assert (wanted.jobs, wanted.job_series, wanted.node, wanted.node_series) == (
        jobs,
        job_series,
        node,
        node_series,
    )


def test_intervals_have_defaults():
    assert (Monitoring.of({}).interval, Monitoring.of({}).flush) == (10, 300)
    given = Monitoring.of({"sample_interval_seconds": 1, "flush_interval_seconds": 2, "generate_plots": True})
    assert (given.interval, given.flush, given.plots) == (1, 2, True)


def test_a_job_too_short_for_a_sample_has_the_kernels_figures(site, watched):
    watched("true", enabled=True)

    usage = site.result().usage
    assert usage.peak_memory_bytes
    assert usage.avg_memory_bytes == usage.peak_memory_bytes
    assert usage.avg_cpu_percent is not None
    assert usage.peak_cpu_percent == usage.avg_cpu_percent


def test_without_a_monitor_the_kernel_tells_what_it_can(site):
    site.run("true")

    usage = site.result().usage
    assert usage.peak_memory_bytes
    assert usage.avg_cpu_percent is not None
    assert usage.avg_memory_bytes is usage.peak_cpu_percent is None


def test_the_first_sample_comes_half_a_second_after_the_start_whatever_the_interval(site, watched):
    class Patient(Seeing):
        def sample(self, *words: Any, **more: Any) -> Any:
            until(lambda: os.path.exists("up") and Path("up").read_text().count("up") == 2)
            return super().sample(*words, **more)

    two = (
        f"{sys.executable} -S -c 'import os; x = bytearray(60 << 20); os.system(\"echo up >> up; {WAITS}\")'"
    )

    watched(f"{two} & {two} & wait", monitor=Patient(1), enabled=True, sample_interval_seconds=3600)

    usage = site.result().usage
    # The kernel's peak is that of the largest process, the sample's that of all of them.
    assert usage.peak_memory_bytes > 120 * MIB
    assert usage.avg_memory_bytes > 120 * MIB


def test_samples_are_written_to_a_file_of_the_documented_shape(site, watched):
    # What the last look at a job has seen may come too late for the file.
    watched(WAITS, WAITS, monitor=Seeing(6), jobs=SERIES, sample_interval_seconds=1)

    (file,) = (site.folder / "out" / "resource_utilization").iterdir()
    host = os.uname().nodename
    assert file.name == f"resource_metrics_{host}_{site.workflow.id}_1.db"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    columns = {
        table: [name for (name,) in rows(site, f"SELECT name FROM pragma_table_info('{table}')")]
        for table in ("job_resource_samples", "job_metadata", "compute_node_samples", "monitor_info")
    }
    assert columns == {
        "job_resource_samples": [
            "id", "job_id", "timestamp", "cpu_percent", "memory_bytes", "num_processes", "run_id", "attempt_id",
            "gpu_percent", "gpu_memory_bytes", "read_bytes", "write_bytes",
        ],
        "job_metadata": ["job_id", "job_name", "num_cpus", "memory_limit_bytes", "num_gpus"],
        "compute_node_samples": [
            "id", "timestamp", "cpu_percent", "memory_bytes", "gpu_percent", "gpu_memory_bytes", "load1",
            "output_free_bytes",
        ],
        "monitor_info": ["key", "value"],
    }  # fmt: skip
    assert rows(
        site, "SELECT job_id, run_id, attempt_id, count(*) >= 2 FROM job_resource_samples GROUP BY 1, 2, 3"
    ) == [(job.id, 1, 1, 1) for job in site.jobs()]
    now = time.time()
    ((first, last),) = rows(site, "SELECT min(timestamp), max(timestamp) FROM job_resource_samples")
    assert now - 120 < first <= last <= now
    assert rows(site, "SELECT job_name, num_cpus FROM job_metadata") == [("job1", 1), ("job2", 1)]
    info = dict(rows(site, "SELECT key, value FROM monitor_info"))
    assert info.keys() == {"hostname", "workflow_id", "run_id", "node_id", "interval", "version"}
    assert (info["hostname"], info["interval"]) == (host, "1")
    assert rows(site, "SELECT * FROM compute_node_samples") == []
    assert rows(site, "PRAGMA journal_mode") == [("delete",)]


def test_all_jobs_are_looked_at_in_one_pass(site, watched):
    class Counting(Seeing):
        passes = 0

        def sample(self, *words: Any, **more: Any) -> Any:
            self.passes += 1
            return super().sample(*words, **more)

    monitor = Counting(16)

    watched(*[WAITS] * 4, monitor=monitor, jobs=SERIES, sample_interval_seconds=1)

    ((samples,),) = rows(site, "SELECT count(*) FROM job_resource_samples")
    assert samples >= 8
    # One for each job would be as many as there are samples, however long it takes.
    assert 2 * monitor.passes <= monitor.samples


def test_the_node_is_measured_and_its_figures_go_to_the_store(site, watched):
    watched(WAITS, monitor=Seeing(3), compute_node=SERIES, sample_interval_seconds=1)

    usage = site.left
    assert usage.sample_count >= 2
    assert usage.peak_memory_bytes >= usage.avg_memory_bytes > 0
    assert usage.peak_cpu_percent >= usage.avg_cpu_percent >= 0
    seen = rows(
        site,
        "SELECT cpu_percent, memory_bytes, gpu_percent, load1, output_free_bytes FROM compute_node_samples",
    )
    assert len(seen) == usage.sample_count
    assert all(None not in (cpu, memory, load, free) and gpu is None for cpu, memory, gpu, load, free in seen)
    assert rows(site, "SELECT * FROM job_resource_samples") == []


def test_of_the_node_only_what_is_wanted_is_kept(site, watched):
    watched(WAITS, monitor=Seeing(2), compute_node={**SERIES, "cpu": False}, sample_interval_seconds=1)

    usage = site.left
    assert usage.peak_cpu_percent is None
    assert usage.peak_memory_bytes
    assert rows(site, "SELECT DISTINCT cpu_percent FROM compute_node_samples") == [(None,)]


def test_without_the_node_nothing_is_said_of_it(site, watched):
    watched("true", enabled=True)

    assert site.left is None


def test_summaries_leave_no_file(site, watched):
    watched(WAITS, monitor=Seeing(1), enabled=True, compute_node=ENABLED, sample_interval_seconds=1)

    assert not (site.folder / "out" / "resource_utilization").exists()


def test_samples_can_be_read_while_jobs_run(site, watched, later):
    found: list[int] = []

    def readable() -> bool:
        try:
            found.extend(rows(site, "SELECT count(*) FROM job_resource_samples")[0])
        except (ValueError, sqlite3.OperationalError):
            return False  # there is no such file yet
        return bool(found[-1])

    later(0, lambda: (until(readable), Path("seen").touch()))

    watched(WAITS, jobs=SERIES, sample_interval_seconds=1, flush_interval_seconds=1)

    assert found[-1] >= 1


def test_a_monitor_that_fails_harms_no_job(site, watched, caplog):
    class Broken(Seeing):
        def sample(self, *words: Any, **more: Any) -> Any:
            self.seen(1)
            raise RuntimeError("out of order")

    report = watched(WAITS, monitor=Broken(1), enabled=True)

    assert report.exit_code == 0
    assert "monitor_failed" in caplog.text


def test_samples_that_cannot_be_written_harm_no_job(site, watched, caplog):
    (site.folder / "out").mkdir()
    (site.folder / "out" / "resource_utilization").write_text("in the way")

    report = watched(WAITS, monitor=Seeing(2), jobs=SERIES, sample_interval_seconds=1)

    assert report.exit_code == 0
    assert "samples_not_written" in caplog.text


def test_a_look_that_takes_too_long_doubles_the_interval(site, watched, caplog):
    class Slow(Seeing):
        def sample(self, *words: Any, **more: Any) -> Any:
            time.sleep(0.3)
            return super().sample(*words, **more)

    watched(WAITS, monitor=Slow(2), enabled=True, sample_interval_seconds=1)

    assert "sampling_slowed" in caplog.text
    assert "interval=2" in caplog.text


def test_devices_of_the_node_are_asked_for_by_their_ids(site, watched):
    from dataclasses import replace

    class Noting(Seeing):
        def __init__(self) -> None:
            super().__init__(1)
            self.asked: set[tuple[str, ...]] = set()

        def node(self, gpus: Any = ()) -> NodeSample:
            self.asked.add(tuple(gpus))
            super().node()
            return NodeSample(gpu_percent=50.0, gpu_memory_bytes=7)

    capacity = replace(site.detected.capacity, gpus=2)
    site.detected = replace(site.detected, capacity=capacity, gpus=("0", "MIG-x"))
    monitor = Noting()

    watched(WAITS, monitor=monitor, compute_node=SERIES, sample_interval_seconds=1)

    assert monitor.asked == {("0", "MIG-x")}
    assert rows(site, "SELECT DISTINCT gpu_percent, gpu_memory_bytes FROM compute_node_samples") == [
        (50.0, 7)
    ]


def test_one_account_of_two():
    kernel = JobUsage(peak_memory_bytes=100, avg_cpu_percent=50.0)

    assert joined(kernel, JobUsage()) == JobUsage(
        peak_memory_bytes=100, avg_memory_bytes=100, peak_cpu_percent=50.0, avg_cpu_percent=50.0
    )
    seen = JobUsage(peak_memory_bytes=300, avg_memory_bytes=200, peak_cpu_percent=40.0, avg_cpu_percent=30.0)
    assert joined(kernel, seen) == JobUsage(
        peak_memory_bytes=300, avg_memory_bytes=200, peak_cpu_percent=50.0, avg_cpu_percent=50.0
    )
    assert joined(JobUsage(), JobUsage()) == JobUsage()


WRITER = """
import sys
from torc_core.runner.series import Series
series = Series(sys.argv[1], {"hostname": "here"})
for number in range(10):
    series.samples([(1, float(number), 1.0, 2, 3, 1, 1, None, None, None, None)])
series.flush()
print("flushed", flush=True)
while True:
    series.samples([(1, 100.0, 1.0, 2, 3, 1, 1, None, None, None, None)] * 50_000)
    series.flush()
"""


def test_a_writer_that_is_killed_in_the_middle_leaves_a_file_that_can_be_read(tmp_path):
    path = tmp_path / "samples.db"
    for delay in (0.0, 0.11, 0.23):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as writer:
            writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)

        with closing(sqlite3.connect(path)) as data:
            assert data.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            ((first,),) = data.execute("SELECT count(*) FROM job_resource_samples WHERE timestamp < 10")
        assert first == 10


def test_two_lives_of_one_run_share_a_file(tmp_path):
    path = str(tmp_path / "samples.db")
    for attempt in (1, 2):
        series = Series(path, {"run_id": "1"})
        series.job((1, "a", 1, 2, 0))
        series.samples([(1, 5.0, 1.0, 2, 3, 1, attempt, None, None, None, None)])
        series.flush()
        series.close()

    with closing(sqlite3.connect(path)) as data:
        assert data.execute("SELECT job_id, timestamp, attempt_id FROM job_resource_samples").fetchall() == [
            (1, 5.0, 1),
            (1, 5.0, 2),
        ]


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    path = tmp_path / "samples.db"
    path.symlink_to(target)
    series = Series(str(path), {})
    series.samples([], [(1.0, 1.0, 1, None, None, 0.0, 1)])

    with pytest.raises(OSError, match="symbolic link"):
        series.flush()

    assert target.read_text() == "mine"


def test_plots_are_made_at_the_end_when_they_are_wanted(site, watched):
    watched(WAITS, monitor=Seeing(2), jobs=SERIES, sample_interval_seconds=1, generate_plots=True)

    names = {one.name for one in (site.folder / "out" / "resource_utilization").glob("*.html")}
    label = f"{os.uname().nodename}_{site.workflow.id}_1"
    assert f"resource_plot_{label}_job_{site.jobs()[0].id}.html" in names
    assert f"resource_plot_{label}_summary.html" in names
