"""The examples of `workflow-spec.md` §19, to the letter."""

from __future__ import annotations

import pytest

from torc_core.model import Source

WHOLE = """
name: pipeline
variables: {root: /scratch/p42}
env: {OMP_NUM_THREADS: 4}
parameters: {i: "1:3"}
files:
  - {name: "raw_{i}", path: "{root}/raw_{i:02d}.csv", use_parameters: [i]}
  - {name: "out_{i}", path: "{root}/out_{i:02d}.csv", use_parameters: [i]}
resource_requirements:
  - {name: small, num_cpus: 4, memory: 8g, runtime: PT30M}
jobs:
  - name: "work_{i}"
    command: "python work.py ${files.input.raw_{i}} ${files.output.out_{i}}"
    resource_requirements: small
    use_parameters: [i]
    priority: 5
  - name: collect
    command: python collect.py {root}
    input_file_regexes: ["^out_"]
    stdio: {mode: combined}
execution_config: {sigterm_lead_seconds: 20}
resource_monitor_config: {enabled: true, granularity: time_series, sample_interval_seconds: 10}
"""

WHOLE_KDL = """
name "pipeline"
variables { root "/scratch/p42" }
env { OMP_NUM_THREADS 4 }
parameters { i "1:3" }
file "raw_{i}" path="{root}/raw_{i:02d}.csv" { use_parameters "i" }
file "out_{i}" path="{root}/out_{i:02d}.csv" { use_parameters "i" }
resource_requirements "small" { num_cpus 4; memory "8g"; runtime "PT30M" }
job "work_{i}" {
    command "python work.py ${files.input.raw_{i}} ${files.output.out_{i}}"
    resource_requirements "small"; use_parameters "i"; priority 5
}
job "collect" {
    command "python collect.py {root}"
    input_file_regexes "^out_"
    stdio { mode "combined" }
}
execution_config { sigterm_lead_seconds 20 }
resource_monitor_config { enabled #true; granularity "time_series"; sample_interval_seconds 10 }
"""


def test_a_sweep_varies_the_last_parameter_fastest(planned):
    plan = planned(
        {
            "name": "s",
            "parameters": {"lr": [0.0001, 0.01], "b": "16:32:16"},
            "jobs": [{"name": "t_{lr:.4f}_{b}", "command": "x {lr} {b}", "use_parameters": ["lr", "b"]}],
        }
    )

    assert [job.name for job in plan.jobs] == ["t_0.0001_16", "t_0.0001_32", "t_0.0100_16", "t_0.0100_32"]
    assert plan.jobs[0].command == "x 0.0001 16"


@pytest.mark.parametrize(
    ("span", "names"),
    [
        ("0.0:1.0:0.25", ["v_0", "v_0.25", "v_0.5", "v_0.75", "v_1"]),
        ("0:1:0.1", [f"v_{k}" for k in "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1".split()]),
    ],
)
def test_float_ranges_are_exact_decimals(planned, span, names):
    plan = planned({"name": "s", "jobs": [{"name": "v_{x}", "command": "true", "parameters": {"x": span}}]})

    assert [job.name for job in plan.jobs] == names


def test_several_tokens_in_one_text_are_filled_each_on_its_own(planned):
    plan = planned(
        {
            "name": "s",
            "jobs": [
                {"name": "{i:03d}-{i}-{i:2d}", "command": "{{i}} ${i} {j}", "parameters": {"i": [7]}},
            ],
        }
    )

    assert plan.jobs[0].name == "007-7- 7"
    assert plan.jobs[0].command == "{i} ${i} {j}"


def test_copies_with_one_name_become_one_job_that_waits_for_all(planned):
    both = {"model": "0:2", "scenario": "0:2"}
    plan = planned(
        {
            "name": "s",
            "jobs": [
                {"name": "simulate_m{model}_s{scenario}", "command": "true", "parameters": both},
                {
                    "name": "aggregate_results",
                    "command": "true",
                    "depends_on": ["simulate_m{model}_s{scenario}"],
                    "parameters": both,
                },
            ],
        }
    )

    assert len(plan.jobs) == 10
    assert plan.jobs[9].num_blockers == 9
    assert plan.groups == [tuple(range(9))]


def test_files_named_in_a_command_are_added_to_the_inputs(planned):
    plan = planned(
        {
            "name": "s",
            "files": [{"name": "cfg", "path": "c"}, {"name": "data", "path": "d"}],
            "jobs": [{"name": "a", "command": "cat ${files.input.data}", "input_files": ["cfg"]}],
        }
    )

    assert plan.jobs[0].command == "cat d"
    assert plan.inputs[plan.jobs[0].inputs[0]].items == (0, 1)


def test_a_whole_document_gives_the_plan_of_the_reference(planned):
    plan = planned(WHOLE)

    assert [job.name for job in plan.jobs] == ["work_1", "work_2", "work_3", "collect"]
    assert len(plan.files) == 6
    assert plan.jobs[1].command == "python work.py /scratch/p42/raw_02.csv /scratch/p42/out_02.csv"
    assert plan.jobs[3].groups == ((0, Source.FILE),)
    assert plan.jobs[3].num_blockers == 3
    assert plan.groups == [(0, 1, 2)]
    assert plan.jobs[3].command == "python collect.py /scratch/p42"
    assert [plan.files[k].name for item in plan.inputs if item.group is None for k in item.items] == [
        "raw_1", "raw_2", "raw_3",
    ]  # fmt: skip
    assert plan.workflow.execution_config == {
        "sigterm_lead_seconds": 20,
        "job_stdio_overrides": {"collect": {"mode": "combined"}},
    }
    assert plan.workflow.env == {"OMP_NUM_THREADS": "4"}
    assert plan.jobs[0].requirement == 1
    assert plan.requirements[1].memory_bytes == 8 * 1024**3
    assert plan.requirements[1].runtime_s == 1800


def test_the_same_document_in_kdl_gives_an_equal_plan(planned, formats):
    from torc_core.spec.load import load

    plan = load("spec.kdl", formats, text=WHOLE_KDL).plan

    assert plan == planned(WHOLE)
