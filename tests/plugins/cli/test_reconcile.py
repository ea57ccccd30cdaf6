"""`torc reconcile` delivers what runners kept, once, and lists what is not wanted any more."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace

import jsonschema
import pytest

from torc_core.model import (
    Ending,
    Initialize,
    JobStatus,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Resources,
    Turn,
)
from torc_core.runner.outbox import FOLDER, Outbox, Sender
from torc_core.runner.place import Place
from torc_terminal import schemas


@pytest.fixture
def kept(home, store_of_the_user):
    """Three jobs run on record; the results of a runner that has died lie in its outbox."""
    with store_of_the_user() as store:
        jobs = [PlannedJob(name=f"job{at}", command="true") for at in range(3)]
        workflow = store.create(Plan(workflow=PlannedWorkflow(name="w"), jobs=jobs), "ana").id
        store.initialize(workflow, Initialize())
        node = store.join(
            NewNode(
                workflow_id=workflow, epoch="e", hostname="h", pid=1, boot_id="b", process_start=1,
                capacity=Resources(cpus=8, memory=2**33),
            )
        )  # fmt: skip
        free = [Resources(cpus=8, memory=2**33)]
        given = store.turn(Turn(node=node.id, epoch="e", offer=Offer(claim_id="c", free=free))).jobs
        server = store.server_id
    endings = [
        Ending(
            job=one.job.id, run_id=1, attempt_id=1, lease=one.job.lease, status=JobStatus.COMPLETED, return_code=0,
            completed_at=1, node=node.id,
        )
        for one in given
    ]  # fmt: skip
    place = Place(hostname=os.uname().nodename, pid=1, boot_id="another life", start=1)
    outbox = Outbox(f"{home}/torc_output", Sender.of(server, 1, node, place))
    outbox.keep(endings[:2])
    outbox.keep(endings[2:])
    return endings


def files(home):
    return sorted((home / "torc_output" / FOLDER).iterdir())


def test_results_are_written_for_nobody_else_to_see(home, kept) -> None:
    assert len(files(home)) == 2
    assert {stat.S_IMODE(one.stat().st_mode) for one in files(home)} == {0o600}
    assert stat.S_IMODE((home / "torc_output" / FOLDER).stat().st_mode) == 0o700


def test_a_dry_run_lists_them_and_changes_nothing(torc, home, kept) -> None:
    ran = torc("reconcile", "1", "--dry-run", "--json")

    jsonschema.validate(ran.json, schemas.load("torc.reconcile/1"))
    assert [(one["status"], one["verdict"]) for one in ran.json["items"]] == [("completed", None)] * 3
    assert len(files(home)) == 2
    assert torc("jobs", "list", "1", "--json").json["items"][0]["status"] == "running"


def test_they_are_delivered_once(torc, home, kept) -> None:
    first = torc("reconcile", "1", "1")
    again = torc("workflows", "reconcile", "1", "--json")

    assert (first.code, first.out) == (0, "delivered 3 results\n")
    assert (again.json["count"], files(home)) == (0, [])
    assert {one["status"] for one in torc("jobs", "list", "1", "--json").json["items"]} == {"completed"}


def test_those_of_another_run_stay(torc, home, kept) -> None:
    assert torc("reconcile", "1", "2").out.startswith("no results are kept in")
    assert len(files(home)) == 2


def test_what_is_not_wanted_is_listed_and_not_forced(torc, home, kept) -> None:
    saved = {one: one.read_bytes() for one in files(home)}
    torc("reconcile", "1")
    for path, text in saved.items():
        path.write_bytes(text.replace(b'"return_code":0', b'"return_code":7'))
        path.chmod(0o600)

    ran = torc("reconcile", "1", "--json")

    jsonschema.validate(ran.json, schemas.load("torc.reconcile/1"))
    assert (ran.code, ran.json["delivered"], ran.json["refused"]) == (0, 0, 3)
    assert {one["verdict"] for one in ran.json["items"]} <= {"different", "stale"}
    assert files(home) == []


def test_files_of_somebody_else_and_nonsense_are_left_alone(torc, home, kept) -> None:
    (name, *_) = [one.name for one in files(home)]
    bad = home / "torc_output" / FOLDER / (name.rsplit(".", 2)[0] + ".9.json")
    bad.write_text("{")
    (home / "torc_output" / FOLDER / "other.1.x.json").write_text("{}")
    said = {
        "schema": "torc.spool/1",
        "server_id": name.split(".")[0],
        "workflow_id": 1,
        "endings": [],
        "run_id": 7,
    }
    bad.with_name(f"{said['server_id']}.1.10.json").write_text(json.dumps(said).replace("7}", "1e999}"))

    assert torc("reconcile", "1").out == "delivered 3 results\n"
    assert len(files(home)) == 3


def test_a_directory_that_is_not_there_is_said(torc, home, kept) -> None:
    ran = torc("reconcile", "1", "--base-dir", "nowhere")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: no such directory: 'nowhere'")


def test_where_the_output_directory_cannot_be_written_results_go_to_the_temporary_one(
    home, kept, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / FOLDER).write_text("a file where a folder should be")
    place = Place(hostname="h", pid=1, boot_id="b", start=1)
    sender = Sender(server_id="s", workflow_id=1, run_id=1, node_id=1, epoch="e", place=place)
    outbox = Outbox(str(blocked), sender)

    outbox.keep(kept)

    assert outbox.folder == f"{tmp_path}/torc-spool-{os.geteuid()}"
    assert len(list((tmp_path / f"torc-spool-{os.geteuid()}").iterdir())) == 1
    assert "outbox_unwritable" in caplog.text
    outbox.answered([kept[0], replace(kept[1])])
    assert outbox.kept == 1
    outbox.answered(kept)
    assert list((tmp_path / f"torc-spool-{os.geteuid()}").iterdir()) == []


def test_the_will_of_a_runner_names_the_configuration_of_its_user(tmp_path):
    from torc_cli.reconcile import deliver_command
    from torc_core.config import Config
    from torc_core.host import Host
    from torc_core.session import Session
    from torc_core.system import SystemClock

    file = tmp_path / "mine.toml"
    file.write_text('[client.tls]\nca_cert = "/etc/ca.pem"\n')
    config = Config.load(environ={"HOME": str(tmp_path)}, user_file=file, project_file=tmp_path / "none.toml")

    words = deliver_command(
        Session(host=Host.of({}, config), config=config, clock=SystemClock()), 7, 1, "out"
    )

    assert words[words.index("--config") + 1] == str(file)
    assert words[words.index("--tls-ca-cert") + 1] == "/etc/ca.pem"
    assert words[words.index("reconcile") :][:3] == ["reconcile", "7", "1"]
