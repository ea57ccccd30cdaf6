"""Answers are lost after the commit, requests come twice and late: every job runs once, and has one result (F11, F12)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from torc_core.testing.proxy import Faults, Proxy

if TYPE_CHECKING:
    from conftest import Site

JOBS = int(os.environ.get("TORC_TEST_FAULT_JOBS", "120"))
"""The promise is 5,000."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "1"))
WEATHERS = {
    "F11 C4 answers dropped": Faults(drop=0.2),
    "F12 C5 requests doubled": Faults(double=0.3, again=0.1, later=(0.5, 5.0)),
}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", WEATHERS)
def test_whatever_happens_to_messages_every_job_runs_once(
    site: Site, row: Callable[..., None], name: str
) -> None:
    # Keys are kept by address, and the proxy has one of its own.
    site.serve("--auth", "none")
    proxy = Proxy(site.port, seed=SEED)
    url, site.url = site.url, proxy.url(f"http://127.0.0.1:{site.port}/torc-service/v1")
    proxy.faults = WEATHERS[name]
    runs = [
        site.popen(
            "run", site.spec(site.layers(JOBS, SEED)), "--num-cpus", "4", "--memory-gb", "4", log="run.log"
        )
    ]
    site.until(lambda: site.lines() > 2, 60)
    runs.append(site.popen("run", "1", "--num-cpus", "4", "--memory-gb", "4", log="run2.log"))

    site.until(lambda: all(run.poll() is not None for run in runs), 120 + JOBS)

    proxy.close()
    site.url = url
    site.stop_server()
    assert [run.returncode for run in runs] == [0, 0], site.said("run.log") + site.said("run2.log")
    assert proxy.counts.dropped + proxy.counts.doubled > 0
    row(name, SEED, JOBS, site.verdict())
