"""`torc workflows execution-plan`, `simulate` and `graph`: of a document and of a workflow in the store alike."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

SPEC = """
name: fan
files: [{name: made, path: made.txt}]
resource_requirements: [{name: hour, num_cpus: 2, memory: 1g, runtime: PT1H}]
jobs:
  - {name: first, command: "true", output_files: [made], resource_requirements: hour}
  - {name: "work_{i}", command: "true", parameters: {i: "1:5"}, input_files: [made]}
  - {name: last, command: "true", depends_on_regexes: ["work_.*"]}
"""


@pytest.fixture
def spec(home):
    (home / "fan.yaml").write_text(SPEC)
    return "fan.yaml"


def test_a_plan_tells_what_becomes_ready_when(torc, spec):
    lines = torc("workflows", "execution-plan", spec, "--critical-path").out.splitlines()

    assert lines[:2] == ["Workflow: fan", "Total Jobs: 7"]
    assert "▶ Stage 1: Workflow Start" in lines
    assert "→ Stage 2: When job 'first' completes" in lines
    assert "→ Stage 3: When jobs 'work_{1..5}' complete" in lines
    assert "    • work_{1..5}" in lines
    assert "Total Stages: 3" in lines
    assert "Critical Path: first → work_1 → last (1h 2m)" in lines


def test_jobs_that_wait_for_the_same_others_become_ready_together(torc, home):
    (home / "w.yaml").write_text(
        "name: w\nfiles: [{name: f, path: f}]\njobs:\n- {name: a, command: x}\n"
        "- {name: b, command: x, output_files: [f]}\n- {name: c, command: x, depends_on: [a, b]}\n"
        "- {name: d, command: x, depends_on: [a], input_files: [f]}\n- {name: e, command: x, depends_on: [c, d]}\n"
    )

    events = torc("workflows", "execution-plan", "w.yaml", "--json").json["events"]

    assert [one["jobs_becoming_ready"] for one in events] == [["a", "b"], ["c", "d"], ["e"]]
    assert [one["depends_on_events"] for one in events] == [[], ["stage_1"], ["stage_2"]]


def test_a_document_and_its_workflow_have_the_same_plan(torc, spec):
    torc("create", spec)

    of_spec = torc("workflows", "execution-plan", spec, "--json").json
    of_store = torc("workflows", "execution-plan", "last", "--json").json

    assert (of_spec.pop("source"), of_store.pop("source")) == ("spec_file", "database")
    assert (of_spec.pop("workflow_id"), of_store.pop("workflow_id")) == (None, 1)
    assert of_spec == of_store
    assert (of_spec["width_by_stage"], of_spec["critical_path_seconds"]) == ([1, 5, 1], 3720)
    assert of_spec["root_events"] == ["stage_1"]


def test_what_has_run_counts_as_long_as_it_took(torc, diamond):
    assert (
        torc("workflows", "execution-plan", diamond, "--json").json["critical_path_seconds"] == 90 + 1800 + 60
    )


def test_more_nodes_are_faster_up_to_a_point(torc, spec):
    choices = torc("workflows", "simulate", spec, "--nodes", "1,5,50", "--cpus", "2", "--json").json[
        "choices"
    ]

    assert [one["finish_seconds"] for one in choices] == [3600 + 3 * 60 + 60, 3600 + 60 + 60, 3600 + 60 + 60]
    assert torc("workflows", "simulate", spec, "--nodes", "1", "--cpus", "1", "--json").json["choices"][0][
        "jobs_that_never_run"
    ] == 7  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["execution-plan", "fan.yaml", "--stages", "0"],
        ["execution-plan", "fan.yaml", "--cpus", "4"],
        ["execution-plan", "missing.yaml"],
        ["simulate", "fan.yaml", "--nodes", "0"],
        ["simulate", "fan.yaml", "--walltime", "soon"],
        ["graph", "fan.yaml", "--view", "nothing"],
    ],
)
def test_what_makes_no_sense_is_wrong_usage(torc, spec, words):
    ran = torc("workflows", *words)

    assert (ran.code, ran.out) == (2, "")


def test_a_graph_comes_in_four_languages(torc, spec):
    assert 'label="first"' in torc("workflows", "graph", spec).out
    assert torc("workflows", "graph", spec, "--format", "mermaid", "--view", "files").out.startswith(
        "flowchart LR\n"
    )
    tree = ET.fromstring(torc("workflows", "graph", spec, "-f", "svg").out)
    assert sum(one.tag.endswith("rect") for one in tree.iter()) == 7
    document = torc("workflows", "graph", spec, "--format", "json", "--view", "files").json
    assert [one["kind"] for one in document["nodes"]].count("file") == 1


def test_names_cannot_break_out_of_a_picture(torc, home):
    torc("workflows", "new", "-n", '"; } <script>')
    torc("jobs", "create", "last", "-n", '</text><script>"]-->', "-c", "true")

    for language in ("svg", "mermaid", "dot"):
        out = torc("workflows", "graph", "last", "--format", language).out
        assert "<script>" not in out or language == "dot"
        if language == "svg":
            ET.fromstring(out)
