"""The script for sbatch: each option once and in order, whatever is put into the values (`slurm.md` §2, §4)."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from dataclasses import replace

import pytest

from torc_core.errors import Conflict, Invalid
from torc_core.model import Allocation, AllocationId, SchedulerId, SlurmScheduler, Workflow, WorkflowId
from torc_slurm.submission.script import ORDER, script
from torc_slurm.submission.stagger import window
from torc_slurm.submission.terms import Terms, reachable

FUZZED = int(os.environ.get("TORC_TEST_FUZZED", "500"))
WORKFLOW = Workflow(id=WorkflowId(42), name="w", user="ana")
TERMS = Terms(
    url="http://kl3:8085/torc-service/v1", output_dir="/scratch/ana/out put", programs="/opt/torc/bin"
)
ONE = Allocation(id=AllocationId(7), workflow_id=WorkflowId(42), nodes=2, submission_key="0123456789ab")


def scheduler(**fields: object) -> SlurmScheduler:
    return SlurmScheduler(
        id=SchedulerId(3),
        workflow_id=WorkflowId(42),
        name="short",
        fields={"account": "a", "walltime": "90", **fields},
    )


def made(workflow=WORKFLOW, terms=TERMS, one=ONE, **fields):
    return script(workflow, scheduler(**fields), one, terms, "store-1")


def options(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]


def test_every_option_stands_in_its_place() -> None:
    found = made(
        partition="short", qos="normal", ntasks_per_node=4, mem="10G", gres="gpu:2", tmp="1G", serialize_allocations=True,
        extra="--constraint='big mem' --exclusive --mail-type END",
    )  # fmt: skip

    assert options(found.text) == [
        "--job-name=torc-wf42-s3", "--account=a", "--partition=short", "--qos=normal", "--nodes=2", "--ntasks-per-node=4",
        "--time=01:30:00", "--mem=10G", "--gres=gpu:2", "--tmp=1G", '--output="/scratch/ana/out put/slurm_output_wf42_sl%j.o"',
        '--error="/scratch/ana/out put/slurm_output_wf42_sl%j.e"', "--comment=torc/store-1/0123456789ab",
        "--signal=B:TERM@120", "--no-requeue", "--dependency=singleton", '--constraint="big mem"', "--exclusive",
        "--mail-type=END",
    ]  # fmt: skip


def test_the_batch_shell_becomes_the_runner() -> None:
    lines = made().text.splitlines()

    assert lines[-1] == (
        "exec /opt/torc/bin/torc-slurm-job-runner \"$TORC_API_URL\" 42 '/scratch/ana/out put' --poll-interval 30"
    )
    assert "export TORC_SUBMISSION_KEY=0123456789ab" in lines
    assert 'export PATH=/opt/torc/bin:"${PATH-/usr/bin:/bin}"' in lines


def test_a_worker_for_each_node_is_started_by_srun() -> None:
    workflow = replace(WORKFLOW, execution_config={"srun_mpi": "pmix"})
    found = script(
        workflow, scheduler(), ONE, TERMS, "s", delay=26, one_worker_per_node=True, max_parallel_jobs=5
    ).text.splitlines()  # fmt: skip

    assert found[-2:] == [
        "unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU",
        (
            "exec srun --ntasks-per-node=1 --nodes=2 --wait=0 --kill-on-bad-exit=0 --cpu-bind=none --mpi=pmix "
            "/opt/torc/bin/torc-slurm-job-runner \"$TORC_API_URL\" 42 '/scratch/ana/out put' --poll-interval 30 "
            "--max-parallel-jobs 5 --startup-delay-seconds 26"
        ),
    ]


def test_an_option_is_given_once_by_whom_the_user_means_most() -> None:
    workflow = replace(
        WORKFLOW, slurm_defaults={"qos": "low", "constraint": "a", "mail_type": "ALL", "exclusive": True}
    )

    found = options(made(workflow, qos="normal", extra="--signal=USR1@60 --qos=high --constraint=b").text)

    assert [one for one in found if one.startswith("--qos")] == ["--qos=high"]
    assert [one for one in found if one.startswith("--signal")] == ["--signal=USR1@60"]
    assert [one for one in found if one.startswith("--constraint")] == ["--constraint=b"]
    assert found[-3:] == ["--mail-type=ALL", "--exclusive", "--constraint=b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": "--partition=x"}, {"extra": "-p x"}, {"extra": "x --y"}, {"extra": "--array=1-9"}, {"extra": "--wrap=ls"},
        {"extra": "--constraint='a"}, {"extra": "--a\n#SBATCH --b"}, {"account": "a b"}, {"partition": "-x"}, {"mem": "lots"},
        {"walltime": "soon"}, {"gres": "gpu:1\n"}, {"serialize_allocations": True, "extra": "--dependency=afterok:1"},
    ],
)  # fmt: skip
def test_what_could_be_misunderstood_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        made(**fields)


def test_fuzzed_values_make_no_directive_and_no_command() -> None:
    """SB4: of 5,000 values none adds a line that sbatch or a shell would read."""
    dice = random.Random(0)
    pieces = ["\n", "\r", "\x00", "#SBATCH --wrap=x", "; rm -rf /", "$(x)", "`x`", "'", '"', "\\", " ", "--", "-", "=", "%j", "é",
              "\u2028", "\x85", "&&", "|", ">", "a", "1", "--constraint=", "\t", "\x1b[0m", "{", "}", "*"]  # fmt: skip
    refused = 0
    for _ in range(FUZZED):
        value = "".join(dice.choices(pieces, k=dice.randint(1, 6)))
        field = dice.choice(
            [
                "account",
                "partition",
                "qos",
                "gres",
                "mem",
                "tmp",
                "extra",
                "default",
                "output",
                "prefix",
                "token",
            ]
        )
        workflow, terms, fields = WORKFLOW, TERMS, {}
        match field:
            case "default":
                workflow = replace(WORKFLOW, slurm_defaults={"mail-user": value})
            case "output":
                terms = replace(TERMS, output_dir=f"/x/{value}")
            case "prefix":
                terms = replace(TERMS, prefix=value)
            case "token":
                terms = replace(TERMS, token_file=f"/x/{value}")
            case "extra":
                fields = {"extra": f"--constraint={shlex.quote(value)}"}
            case _:
                fields = {field: value}
        try:
            found = made(workflow, terms, **fields).text
        except Invalid:
            refused += 1
            continue
        head, _, body = found.partition("\n\n")
        assert len(found.splitlines()) == len(found.split("\n")) - 1
        names = [line.removeprefix("#SBATCH --").partition("=")[0] for line in head.split("\n")[1:]]
        assert len(names) == len(set(names))
        assert set(names) <= {*ORDER, "constraint", "mail-user"}
        assert [words[0] for line in body.splitlines() if (words := shlex.split(line))] in (
            ["set", "export", "export", "export", "exec"], ["set", "export", "export", "export", "export", "exec"],
        )  # fmt: skip
    assert 0 < refused < FUZZED


def test_a_shell_reads_the_body_as_it_was_meant(tmp_path) -> None:
    tricky = tmp_path / "o'u\"t $(touch x) %j"
    tricky.mkdir()
    programs = tmp_path / "bin dir"
    programs.mkdir()
    runner = programs / "torc-slurm-job-runner"
    runner.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$TORC_SUBMISSION_KEY"\n')
    runner.chmod(0o700)
    path = tmp_path / "script"
    path.write_text(made(terms=replace(TERMS, output_dir=str(tricky), programs=str(programs))).text)

    said = subprocess.run(
        ["bash", path], capture_output=True, text=True, check=True, cwd=tmp_path, env={}
    ).stdout

    assert said.splitlines() == [TERMS.url, "42", str(tricky), "--poll-interval", "30", "0123456789ab"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("runners", "seconds"),
    [(0, 0), (1, 0), (2, 2), (5, 5), (10, 10), (11, 10), (25, 18), (40, 26), (55, 35), (99, 59), (100, 60), (101, 60), (1000, 60)],
)  # fmt: skip
def test_the_window_grows_with_the_runners(runners: int, seconds: int) -> None:
    assert window(runners) == seconds


@pytest.mark.parametrize(
    "url",
    [None, "unix:///run/torc.sock", "http://127.0.0.1:80/x", "http://localhost:80", "http://[::1]:80", "http://0.0.0.0:80",
     "http://[::ffff:127.0.0.1]:80", "http://169.254.1.1:80", "http://[fe80::1%25eth0]:80", "http://a.localhost/x", "sqlite:///x"],
)  # fmt: skip
def test_an_address_that_no_other_host_reaches_is_refused(url: str | None) -> None:
    with pytest.raises(Conflict, match="torc-server run --host auto"):
        reachable(url)


def test_an_address_of_the_cluster_is_taken() -> None:
    assert reachable("https://kl3.hsn.cm.kestrel.hpc.nrel.gov:8085/torc-service/v1")
