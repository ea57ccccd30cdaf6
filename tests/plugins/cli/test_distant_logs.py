"""The output of jobs that ran where only the server sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_cli.joblogs import DistantFile, JobLog, LogFile, seen_by_server
from torc_core.config import Config
from torc_core.host import Host
from torc_core.model import Job
from torc_core.session import Session
from torc_core.system import SystemClock


@pytest.fixture
def session(diamond, home, url) -> Iterator[Session]:
    """A client of a server that has the output of job 2."""
    folder = home / "torc_output" / "job_stdio"
    folder.mkdir(parents=True)
    (folder / "job_wf1_j2_r1_a1.e").write_text("one\ntwö\nthree\n")
    config = Config.load().over({"client.api_url": (url, "--url")})
    session = Session(host=Host.load(config), config=config, clock=SystemClock())
    yield session
    session.close()


def shown(session: Session, *, tail: int | None = None, streams: tuple[str, ...] = ("stderr",)) -> JobLog:
    store = session.store()
    files = [LogFile(stream=stream, path=Path("/elsewhere") / stream) for stream in streams]
    return JobLog(head={}, files=seen_by_server(store, store.get(Job, 2), 1, 1, files), tail=tail)


@pytest.mark.parametrize(
    ("tail", "text"), [(None, "one\ntwö\nthree\n"), (1, "three\n"), (2, "twö\nthree\n"), (0, "")]
)
def test_the_server_gives_what_it_sees(session, capfdbinary, tail, text):
    shown(session, tail=tail).render(session)

    assert capfdbinary.readouterr().out.decode() == text


def test_json_has_the_text_too(session, capfd):
    session.format = "json"

    shown(session, tail=1).render(session)

    (told,) = json.loads(capfd.readouterr().out)["streams"]
    assert (told["content"], told["size_bytes"], told["is_cut"]) == ("three\n", 15, True)


def test_what_the_server_does_not_see_either_stays_what_it_is(session):
    files = shown(session, streams=("stdout", "stderr")).files

    assert [(file.stream, isinstance(file, DistantFile)) for file in files] == [("stderr", True)]
    assert not isinstance(shown(session, streams=("stdout",)).files[0], DistantFile)
