"""The monitor of torc_psutil, judged as a third party's would be."""

from __future__ import annotations

import pytest

from torc_core.testing.monitors import MonitorContract
from torc_psutil.monitor import Trees


@pytest.fixture
def monitor() -> Trees:
    return Trees()


class TestPsutilMonitor(MonitorContract):
    pass
