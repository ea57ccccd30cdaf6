"""What a runner and its agents on other nodes tell each other arrives as it was sent."""

from __future__ import annotations

import io
from types import MappingProxyType

from torc_core.model import JobId, JobUsage
from torc_core.protocols import Exit, Task
from torc_slurm.running.agent import receive, send


def test_tasks_and_ends_arrive_as_they_were_sent():
    task = Task(
        job=JobId(7), attempt_id=2, command="echo 'ä'\n", script=None, base={"@": "1", "RAW": "\udc80"},
        env=MappingProxyType({"A": "1"}), cwd="/", stdout=None, stderr="/e", files="/f", mark="m", nodes=(1, 2),
    )  # fmt: skip
    end = Exit(job=JobId(7), return_code=-9, usage=JobUsage(peak_memory_bytes=5), error="spawn_failed: E2BIG")
    stream = io.BytesIO()

    for message in (("start", [task]), ("exits", [end]), ("slurm", 15)):
        send(stream, message)
    stream.seek(0)

    (kind, [heard]), ended, told = receive(stream), receive(stream), receive(stream)
    assert (kind, heard) == ("start", task)
    assert (ended, told) == (["exits", [end]], ["slurm", 15])
    assert receive(stream) is None


def test_a_message_that_is_cut_off_is_no_message():
    stream = io.BytesIO()
    send(stream, ("close",))

    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None
