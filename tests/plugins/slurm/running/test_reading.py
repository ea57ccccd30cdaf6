"""What Slurm has put into the environment is read as it is meant, and nothing that is missing makes a runner fall."""

from __future__ import annotations

from typing import Any

import pytest

from torc_core.detection import Detected
from torc_core.errors import UsageError
from torc_core.model import Resources
from torc_core.model.resources import GIB, MIB
from torc_core.runner import stagger
from torc_slurm.running.allocation import Place
from torc_slurm.running.ending import end_of
from torc_slurm.running.hostlist import counts, hosts
from torc_slurm.running.records import keep_environment, since
from torc_slurm.running.resources import is_node, offered

FOUND = Detected(capacity=Resources(cpus=16, memory=100 * GIB, gpus=0))
NOW = 1_750_000_000_000


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[1-2,05-07],login", ["n1", "n2", "n05", "n06", "n07", "login"]),
        ("x1000c[0-1]s[3,5]b0", ["x1000c0s3b0", "x1000c0s5b0", "x1000c1s3b0", "x1000c1s5b0"]),
        ("", []),
    ],
)
def test_a_list_of_hosts_is_expanded(text: str, names: list[str]) -> None:
    assert hosts(text) == names


@pytest.mark.parametrize(
    ("text", "numbers"), [("4(x2),8", [4, 4, 8]), ("104", [104]), ("", []), ("many", [])]
)
def test_counts_of_nodes_are_expanded(text: str, numbers: list[int]) -> None:
    assert counts(text) == numbers


def test_a_place_needs_nothing_but_the_number_of_the_job() -> None:
    place = Place.of({"SLURM_JOB_ID": "17"}, pid=4711)

    assert (place.number, place.node, place.task, place.nodes, place.restarts) == ("17", 0, 4711, 1, 0)
    assert place.label == "sl17_n0_pid4711"


def test_a_place_without_an_allocation_is_refused_by_the_name_of_what_is_missing() -> None:
    with pytest.raises(UsageError, match="SLURM_JOB_ID is not set"):
        Place.of({}, pid=1)


def test_a_batch_script_has_all_nodes_and_a_task_of_a_step_has_its_own() -> None:
    batch = {
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_PROCID": "0",
    }
    step = {**batch, "SLURM_STEP_ID": "0", "SLURM_NODEID": "2"}

    assert (Place.of(batch, 1).nodes, Place.of(step, 1).nodes, Place.of(step, 1).node) == (3, 1, 2)


@pytest.mark.parametrize(
    ("environ", "options", "cpus", "memory"),
    [
        ({}, {}, 16, int(100 * GIB * 0.98)),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "500"}, {}, 4, 500 * MIB),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "100"}, {}, 4, 400 * MIB),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "0"}, {}, 4, int(100 * GIB * 0.98)),
        (
            {"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"},
            {"is_subtask": True},
            2,
            int(100 * GIB * 0.98),
        ),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"}, {}, 8, int(100 * GIB * 0.98)),
        (
            {"SLURM_CPUS_ON_NODE": "8", "SLURM_JOB_CPUS_PER_NODE": "8,4(x2)"},
            {"nodes": 3},
            4,
            int(100 * GIB * 0.98),
        ),
        ({"SLURM_CPUS_ON_NODE": "many", "SLURM_MEM_PER_NODE": "-1"}, {}, 16, int(100 * GIB * 0.98)),
    ],
    ids=["nothing", "node", "cpu", "all-memory", "subtask", "no-subtask", "least", "nonsense"],
)
def test_what_a_node_offers(environ: dict[str, str], options: dict[str, Any], cpus: int, memory: int) -> None:
    found = offered(environ, FOUND, **options)

    assert (found.capacity.cpus, found.capacity.memory) == (cpus, memory)
    assert found.num_nodes == options.get("nodes", 1)


@pytest.mark.parametrize(
    ("environ", "gpus", "amd"),
    [
        ({}, (), False),
        ({"SLURM_JOB_GPUS": "2,3"}, ("2", "3"), False),
        ({"SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}, ("0", "1"), False),
        ({"SLURM_STEP_GPUS": "1"}, ("1",), False),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8f,GPU-2c"}, ("GPU-8f", "GPU-2c"), False),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, (), False),
        ({"ROCR_VISIBLE_DEVICES": "0,1"}, ("0", "1"), True),
        ({"SLURM_GPUS_ON_NODE": "2"}, ("0", "1"), False),
    ],
)
def test_devices_are_those_of_this_node(environ: dict[str, str], gpus: tuple[str, ...], amd: bool) -> None:
    found = offered(environ, FOUND)

    assert (tuple(found.gpus), found.capacity.gpus, found.amd) == (gpus, len(gpus), amd)


def test_the_shell_of_salloc_is_no_node() -> None:
    assert not is_node({"SLURM_JOB_ID": "7"})
    assert is_node({"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"})


@pytest.mark.parametrize(
    ("environ", "said", "end"),
    [
        ({"SLURM_JOB_END_TIME": "1750000600"}, None, NOW + 600_000),
        ({}, "N/A|05:00", NOW + 300_000),
        ({}, "NOT_SET|UNLIMITED", None),
        ({"SLURM_TIMELIMIT": "10"}, None, NOW + 600_000),
        ({"SLURM_TIMELIMIT": "1-00:00:00", "SLURM_JOB_START_TIME": "1749999000"}, None, NOW + 85_400_000),
        ({}, None, None),
        ({}, "mumble", None),
    ],
)
def test_the_end_is_found_once_wherever_it_is_said(
    environ: dict[str, str], said: str | None, end: int | None
) -> None:
    assert end_of(environ, NOW, lambda: said) == end


def test_slurm_is_not_asked_for_what_it_has_said() -> None:
    def ask() -> str:
        raise AssertionError

    assert end_of({"SLURM_JOB_END_TIME": "1750000600"}, NOW, ask) == NOW + 600_000


@pytest.mark.parametrize(("window", "seconds"), [(10, 7.619), (60, 45.718), (120, 91.437)])
def test_the_start_is_spread_by_the_place(window: float, seconds: float) -> None:
    environ = {"SLURM_JOB_ID": "12345", "SLURM_NODEID": "0", "SLURM_TASK_PID": "67890"}

    assert stagger.delay("x1000c0s0b0n0", environ, window) == seconds


def test_secrets_of_the_environment_are_not_written_down(tmp_path: Any) -> None:
    environ = {"SLURM_JOB_ID": "7", "SLURM_JWT": "s3cret", "SLURM_SOME_TOKEN": "s3cret", "HOME": "/root"}

    keep_environment(str(tmp_path / "env"), environ)

    assert (tmp_path / "env").read_text() == "SLURM_JOB_ID=7\n"
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_the_kernel_log_is_kept_from_a_time_on() -> None:
    text = "[    1.5] old\n more of it\n[  100.25] new\n more of that\n"

    assert since(text, 50.0) == "[  100.25] new\n more of that\n"
