"""Files of a workflow that keeps provenance: hashed beside the jobs, and never in their way."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tests.core.runner.conftest import Site, Watching
from torc_core.model import (
    InputKind,
    Plan,
    PlannedFile,
    PlannedInput,
    PlannedJob,
    PlannedWorkflow,
    Query,
    RoCrateEntity,
)
from torc_core.runner.provenance import Recorder
from torc_core.runner.report import End, Leaving

LARGE = 2**29


def piped(command: str, *, kept: bool = True) -> Plan:
    """One job that writes a file, and one that waits for it."""
    return Plan(
        workflow=PlannedWorkflow(name="piped", enable_ro_crate=kept),
        files=[PlannedFile(name="mid", path="mid")],
        inputs=[PlannedInput(kind=InputKind.FILE, items=(0,))],
        jobs=[
            PlannedJob(name="writer", command=command, output_files=[0]),
            PlannedJob(name="reader", command="true", inputs=[0]),
        ],
    )


def entities(site: Site) -> list[RoCrateEntity]:
    return list(site.store.find(RoCrateEntity, Query(workflow=site.workflow.id)).items)


def test_what_is_read_for_long_delays_no_job(site: Site) -> None:
    seen: list[tuple[str, int]] = []

    class Looking(Watching):
        def ended(self, ends: Sequence[End]) -> None:
            seen.extend((end.given.job.name, len(entities(site))) for end in ends)

    site.watching = Looking()
    site.create(plan=piped(f"truncate -s {LARGE} mid"))

    report = site.runner().run()

    assert report.leaving is Leaving.COMPLETE
    assert seen == [("writer", 0), ("reader", 0)]
    (entity,) = entities(site)
    assert (entity.entity_id, entity.metadata["contentSize"]) == ("mid", LARGE)
    assert entity.metadata["sha256"] == "9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767"


def test_a_file_that_cannot_be_read_does_no_harm(site: Site) -> None:
    site.create(plan=piped("mkfifo mid"))

    report = site.runner().run()

    assert (report.leaving, report.exit_code) == (Leaving.COMPLETE, 0)
    (entity,) = entities(site)
    assert "sha256" not in entity.metadata


def test_without_provenance_nothing_is_recorded(site: Site) -> None:
    site.create(plan=piped("touch mid", kept=False))

    assert site.runner().run().leaving is Leaving.COMPLETE
    assert entities(site) == []


def test_files_that_have_not_changed_are_not_read_again(site: Site) -> None:
    site.create(plan=piped("echo 1 > mid"))
    site.runner().run()
    (before,) = entities(site)
    there = os.stat("mid")
    (site.folder / "mid").write_text("2\n")
    os.utime("mid", ns=(there.st_atime_ns, there.st_mtime_ns))

    Recorder(site.store, site.workflow, os.getcwd()).inputs()

    assert entities(site) == [before]
    os.utime("mid")
    Recorder(site.store, site.workflow, os.getcwd()).inputs()
    (after,) = entities(site)
    assert after.metadata["sha256"] != before.metadata["sha256"]
    assert after.metadata["prov:wasGeneratedBy"] == before.metadata["prov:wasGeneratedBy"]
