"""`torc slurm generate` and `torc workflows create-slurm`: the plan is written into the specification (`slurm.md` §7.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from torc_core.testing.slurm import FakeSlurm
from torc_terminal import schemas

Torc = Callable[..., object]
DANE = ("--profile", "dane", "-a", "me")


def test_the_plan_is_added_and_all_else_stays(torc, home: Path) -> None:
    before = (home / "stages.yaml").read_text()

    ran = torc("slurm", "generate", "stages.yaml", *DANE)

    assert ran.code == 0
    head, _, body = ran.out.partition("\n\n")
    assert all(line.startswith("# ") for line in head.splitlines())
    kept = [line for line in body.splitlines() if "scheduler: pbatch_scheduler" not in line]
    assert "\n".join(kept).startswith(before.rstrip())
    assert body.count("    scheduler: pbatch_scheduler\n") == 3
    assert (home / "stages.yaml").read_text() == before


def test_what_is_written_can_be_created_and_run(torc, home: Path) -> None:
    torc("slurm", "generate", "stages.yaml", *DANE, "-o", "planned.yaml")

    created = torc("-f", "json", "create", "planned.yaml", "--dry-run").json

    assert (created["valid"], created["warnings"]) == (True, [])
    assert created["summary"]["has_schedule_nodes_action"]
    assert torc("create", "planned.yaml").code == 0


@pytest.mark.parametrize("suffix", ["json", "json5", "kdl", "yaml"])
def test_every_format_can_be_written_and_read_again(torc, home: Path, suffix: str) -> None:
    torc("slurm", "generate", "stages.yaml", *DANE, "-o", f"planned.{suffix}")

    again = torc("-f", "json", "slurm", "generate", f"planned.{suffix}", *DANE, "--overwrite")

    assert torc("create", f"planned.{suffix}", "--dry-run").code == 0
    assert again.json["total_allocations"] == 1
    assert torc("slurm", "generate", f"planned.{suffix}", *DANE).code == 3


def test_a_plan_is_replaced_in_place(torc, home: Path) -> None:
    torc("slurm", "generate", "stages.yaml", *DANE, "--in-place")
    first = (home / "stages.yaml").read_text()

    ran = torc(
        "slurm", "generate", "stages.yaml", "--profile", "kestrel", "-a", "you", "--in-place", "--overwrite"
    )

    second = (home / "stages.yaml").read_text()
    assert ran.code == 0
    assert ("dane" in first, "dane" in second) == (True, False)
    assert second.count("Allocations planned by") == 1
    assert "account: you" in second
    assert torc("create", "stages.yaml", "--dry-run").code == 0


def test_json_says_what_is_planned(torc, home: Path) -> None:
    document = torc("-f", "json", "slurm", "generate", "stages.yaml", *DANE).json

    jsonschema.validate(document, schemas.load("torc.slurm.plan/1"))
    (scheduler,) = document["schedulers"]
    assert scheduler["waves"][0] == {"trigger": {"type": "on_workflow_start"}, "jobs": 1, "allocations": 1}
    assert document["proof"]["simulated"]
    assert "slurm_schedulers:" in document["specification"]


def test_a_dry_run_shows_why_and_writes_nothing(torc, home: Path) -> None:
    files = sorted(home.iterdir())

    ran = torc(
        "slurm", "generate", "stages.yaml", "--profile", "kestrel", "-a", "me", "--dry-run", "-o", "x.yaml"
    )

    assert ran.code == 0
    assert "-> short: the shortest walltime that fits (4h)" in ran.out
    assert "not 'hbw': it is for at least 2 nodes" in ran.out
    assert sorted(home.iterdir()) == files
    document = torc("-f", "json", "slurm", "generate", "stages.yaml", *DANE, "--dry-run").json
    jsonschema.validate(document, schemas.load("torc.slurm.plan/1"))


def test_schedulers_without_actions(torc, home: Path) -> None:
    out = torc("slurm", "generate", "stages.yaml", *DANE, "--no-actions").out

    assert ("slurm_schedulers:" in out, "schedule_nodes" in out) == (True, False)


def test_a_sweep_of_ten_thousand_adds_little(torc, home: Path) -> None:
    text = (home / "stages.yaml").read_text().replace("1:5", "1:10000")
    (home / "stages.yaml").write_text(text)

    out = torc("slurm", "generate", "stages.yaml", *DANE).out

    _, _, body = out.partition("\n\n")
    assert r"^work_\d+$" in body
    assert len(body) - len(text) < 1024


def test_copies_that_need_different_partitions_get_schedulers_of_their_own(torc, home: Path) -> None:
    (home / "mixed.yaml").write_text("""\
name: mixed
resource_requirements:
  - {name: cpu, num_cpus: 1, memory: 1g, runtime: PT1H}
  - {name: gpu, num_cpus: 1, memory: 1g, num_gpus: 1, runtime: PT1H}
jobs:
  - name: train_{kind}
    command: echo
    resource_requirements: "{kind}"
    parameters: {kind: [cpu, gpu]}
""")

    ran = torc(
        "-f", "json", "slurm", "generate", "mixed.yaml", "--profile", "kestrel", "-a", "me", "-o", "out.yaml"
    )

    assert [one["name"] for one in ran.json["schedulers"]] == ["cpu_scheduler", "gpu_scheduler"]
    assert "scheduler: '{kind}_scheduler'" in (home / "out.yaml").read_text()
    assert torc("create", "out.yaml", "--dry-run").code == 0


def test_the_account_is_found_where_it_is_said(torc, home: Path) -> None:
    config = home / ".config/torc/config.toml"
    config.parent.mkdir(parents=True)
    missing = torc("slurm", "generate", "stages.yaml", "--profile", "dane")
    config.write_text('[client.hpc]\ndefault_account = "all"\n')
    general = torc("-f", "json", "slurm", "generate", "stages.yaml", "--profile", "dane")
    config.write_text('[client.hpc.profile_overrides.dane]\ndefault_account = "there"\n')
    special = torc("-f", "json", "slurm", "generate", "stages.yaml", "--profile", "dane")

    assert (missing.code, "--account" in missing.err) == (2, True)
    assert [ran.json["account"] for ran in (general, special)] == ["all", "there"]


def test_without_a_profile_the_known_ones_are_listed(torc, home: Path) -> None:
    ran = torc("slurm", "generate", "stages.yaml", "-a", "me")

    assert (ran.code, "kestrel, dane" in ran.err) == (2, True)


def test_the_cluster_at_hand_is_planned_for(torc, slurm: FakeSlurm) -> None:
    document = torc("-f", "json", "slurm", "generate", "stages.yaml", "-a", "me").json

    assert document["profile"] == "slurm"
    assert [(one["partition"], one["mem"]) for one in document["schedulers"]] == [
        ("short", "2000M"), ("standard", "2000M"),
    ]  # fmt: skip


def test_a_cluster_that_does_not_answer_is_told(torc, slurm: FakeSlurm) -> None:
    slurm.fault("sinfo", "fails")

    ran = torc("slurm", "generate", "stages.yaml", "-a", "me")

    assert (ran.code, "--profile (kestrel, dane)" in ran.err) == (4, True)


def test_jobs_that_fit_nowhere_stop_it_and_nothing_is_written(torc, home: Path) -> None:
    text = (home / "stages.yaml").read_text().replace("num_cpus: 4", "num_cpus: 999")
    (home / "stages.yaml").write_text(text)

    ran = torc("slurm", "generate", "stages.yaml", *DANE, "--in-place")

    assert ran.code == 2
    assert "work_{1..5} (whole): nearest is 'pbatch': 999 CPUs are more than its 112" in ran.err
    assert (home / "stages.yaml").read_text() == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-allocations", "0"], "not above 0"),
        (["--walltime-multiplier", "0.5"], "out of range"),
        (["--walltime", "soon"], "is not a duration"),
        (["--partition", "pbath"], "did you mean 'pbatch'"),
        (["--in-place", "-o", "x.yaml"], "--in-place"),
        (["-o", "stages.yaml"], "already a file"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(torc, home: Path, words: list[str], said: str) -> None:
    ran = torc("slurm", "generate", "stages.yaml", *DANE, *words)

    assert ran.code in (2, 3)
    assert said in ran.err


def test_a_workflow_is_created_with_its_plan(torc, home: Path) -> None:
    text = (home / "stages.yaml").read_text().replace("num_cpus: 4", "num_cpus: 112")
    (home / "stages.yaml").write_text(text)

    ran = torc("-f", "json", "workflows", "create-slurm", "stages.yaml", *DANE)

    # The allocation of the first stage has time for one job of the second.
    assert ran.json["plan"]["total_allocations"] == 5
    actions = torc("-f", "json", "workflows", "list-actions", ran.json["workflow_id"]).json["items"]
    assert [one["trigger_type"] for one in actions] == ["on_workflow_start", "on_jobs_ready"]


def test_submit_plans_first(torc, slurm: FakeSlurm) -> None:
    refused = torc("submit", "stages.yaml", "--dry-run", "-a", "me")
    ran = torc("-f", "json", "submit", "stages.yaml", "--generate", "-a", "me", "--dry-run")

    assert (refused.code, "--generate" in refused.err) == (2, True)
    assert ran.code == 0, ran.err
    assert not slurm.jobs()
