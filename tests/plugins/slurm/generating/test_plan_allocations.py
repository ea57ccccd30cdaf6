"""`torc slurm plan-allocations`: one large allocation or many small ones (`slurm.md` §7.8)."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from torc_core.testing.slurm import FakeSlurm
from torc_slurm.commands.plan_allocations import _choice
from torc_slurm.estimating import last_end
from torc_terminal import schemas


def test_both_shapes_are_estimated_and_nothing_is_submitted(torc, home: Path, slurm: FakeSlurm) -> None:
    document = torc(
        "-f", "json", "slurm", "plan-allocations", "stages.yaml", "-a", "me", "--partition", "standard"
    ).json

    jsonschema.validate(document, schemas.load("torc.slurm.plan-allocations/1"))
    (one,) = document["recommendations"]
    assert one["many_small"]["starts_in_seconds"] is not None, one
    assert one["one_large"]["nodes"] == one["many_small"]["allocations"]
    assert (one["idle_nodes"], one["own_nodes"]) == (4, 0)
    assert document["generate"].startswith("torc slurm generate stages.yaml -a me")
    assert not slurm.jobs()


def test_offline_the_cluster_is_not_asked(torc, home: Path, slurm: FakeSlurm) -> None:
    ran = torc(
        "-f", "json", "slurm", "plan-allocations", "stages.yaml", "-a", "me", "--profile", "dane", "--offline"
    )

    assert ran.json["recommendations"][0]["many_small"]["message"] == "the cluster was not asked"


def test_a_workflow_can_be_looked_at_too(torc, home: Path, slurm: FakeSlurm) -> None:
    torc("create", "stages.yaml")

    ran = torc("slurm", "plan-allocations", "1", "-a", "me", "--skip-test-only")

    assert ran.code == 0, ran.err
    assert "go on with: torc slurm regenerate 1 -a me" in ran.out


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ((1, 1, (None, None), None, None), "same"),
        ((5, 2, (None, None), 9, None), "many-small"),
        ((50, 1, (1.0, 2.0), None, 20), "many-small"),
        ((10, 1, (700.0, 300.0), None, None), "one-large"),
        ((10, 1, (100.0, 300.0), None, None), "many-small"),
        ((10, 1, (None, None), 12, None), "one-large"),
        ((10, 1, (None, None), 3, None), "many-small"),
    ],
)
def test_the_choice_follows_from_the_figures(given, choice) -> None:
    assert _choice(*given)[0] == choice


def test_many_small_ones_end_one_after_the_other() -> None:
    assert last_end(60, 4, 3_600) == 60 * 4 + 3_600
    assert last_end(60, 400, 3_600) == 60 * 10 + 3_600
