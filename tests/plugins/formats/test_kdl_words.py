"""What the nodes of KDL mean (`workflow-spec.md` §16)."""

from __future__ import annotations

import pytest

PIPELINE = r"""
name "pipeline"
enable_ro_crate #true
compute_node_wait_for_new_jobs_seconds 5
variables { root "/scratch/p42" }
env { OMP_NUM_THREADS 4 }
parameters { i "1:3"; lr 0.1 0.2 }
slurm_defaults { account "a"; exclusive #true }
metadata { team "x"; tags "a" "b"; none; inner { deep 1 } }
file "raw_{i}" path="{root}/raw_{i:02d}.csv" { use_parameters "i" }
file "plain" { path "p"; use_parameter "i"; use_parameter "lr" }
user_data "text" { data #""hello""# }
user_data "object" { data #"{"a": [1, null]}"# }
user_data "block" is_ephemeral=#true { data { a 1; b { - 1; - 2 }; c { - { d #null } } } }
user_data "number" data=5
resource_requirements "small" { num_cpus 4; memory "8g"; runtime "PT30M" }
failure_handler "h" { rule { exit_codes 10 11; max_retries 2 }; rule match_all_exit_codes=#true }
slurm_scheduler "s" nodes=2 walltime="01:00:00"
job "one" {
    command "run"
    priority 5
    env { A "1" }
    stdio { mode "combined" }
    use_parameters "i" "lr"
}
job "two" supports_termination=#true depends_on="zero" {
    command "run"
    depends_on_job "one"
    depends_on "three" "four"
    depends_on_regex "^o"
    depends_on_regexes "^p" "^q"
    input_file "raw"; output_file "out"; input_file_regex "r"; output_file_regex "o"
    input_user_data "u" "v"; output_user_data "w"
    input_user_data_regex "x"; output_user_data_regex "y"
    parameters { k "a"; }
}
action { trigger_type "on_jobs_ready"; action_type "run_commands"; job "one"; jobs "two"; command "x" "y"; command "z"; job_name_regex "t" }
resource_monitor { enabled #true; jobs { enabled #true }; compute_node { cpu #false } }
execution_config { mode "direct"; stdio { mode "none" }; job_stdio_overrides { one { mode "combined" } } }
dynamic_jobs { max_iterations 10 }
access_groups "a" "b"
notify { on "workflow_completed" "job_failed"; command "mail -s done me" }
notify { on "job_failed"; webhook "https://x" }
"""


def test_every_node_finds_its_place_in_the_tree(formats):
    tree = formats["kdl"].load(PIPELINE).tree

    assert tree == {
        "name": "pipeline",
        "enable_ro_crate": True,
        "compute_node_wait_for_new_jobs_seconds": 5,
        "variables": {"root": "/scratch/p42"},
        "env": {"OMP_NUM_THREADS": 4},
        "parameters": {"i": "1:3", "lr": [0.1, 0.2]},
        "slurm_defaults": {"account": "a", "exclusive": True},
        "metadata": {"team": "x", "tags": ["a", "b"], "none": [], "inner": {"deep": 1}},
        "files": [
            {"name": "raw_{i}", "path": "{root}/raw_{i:02d}.csv", "use_parameters": ["i"]},
            {"name": "plain", "path": "p", "use_parameters": ["i", "lr"]},
        ],
        "user_data": [
            {"name": "text", "data": "hello"},
            {"name": "object", "data": {"a": [1, None]}},
            {"name": "block", "is_ephemeral": True, "data": {"a": 1, "b": [1, 2], "c": [{"d": None}]}},
            {"name": "number", "data": 5},
        ],
        "resource_requirements": [{"name": "small", "num_cpus": 4, "memory": "8g", "runtime": "PT30M"}],
        "failure_handlers": [
            {"name": "h", "rules": [{"exit_codes": [10, 11], "max_retries": 2}, {"match_all_exit_codes": True}]}
        ],
        "slurm_schedulers": [{"name": "s", "nodes": 2, "walltime": "01:00:00"}],
        "jobs": [
            {
                "name": "one", "command": "run", "priority": 5, "env": {"A": "1"}, "stdio": {"mode": "combined"},
                "use_parameters": ["i", "lr"],
            },
            {
                "name": "two", "supports_termination": True, "depends_on": ["zero", "one", "three", "four"],
                "command": "run", "depends_on_regexes": ["^o", "^p", "^q"], "input_files": ["raw"],
                "output_files": ["out"], "input_file_regexes": ["r"], "output_file_regexes": ["o"],
                "input_user_data": ["u", "v"], "output_user_data": ["w"], "input_user_data_regexes": ["x"],
                "output_user_data_regexes": ["y"], "parameters": {"k": "a"},
            },
        ],
        "actions": [
            {
                "trigger_type": "on_jobs_ready", "action_type": "run_commands", "jobs": ["one", "two"],
                "commands": ["x", "y", "z"], "job_name_regexes": ["t"],
            }
        ],
        "resource_monitor": {"enabled": True, "jobs": {"enabled": True}, "compute_node": {"cpu": False}},
        "execution_config": {
            "mode": "direct", "stdio": {"mode": "none"}, "job_stdio_overrides": {"one": {"mode": "combined"}}
        },
        "dynamic_jobs": {"max_iterations": 10},
        "access_groups": ["a", "b"],
        "notify": [
            {"on": ["workflow_completed", "job_failed"], "command": "mail -s done me"},
            {"on": ["job_failed"], "webhook": "https://x"},
        ],
    }  # fmt: skip


def test_kdl_1_spellings_are_read(formats):
    tree = formats["kdl"].load('name "x"\nuse_pending_failed true\njob "a" { command r#"echo "x\\y""# }').tree

    assert tree == {
        "name": "x",
        "use_pending_failed": True,
        "jobs": [{"name": "a", "command": 'echo "x\\y"'}],
    }


def test_a_workflow_without_jobs_has_an_empty_list_of_them(formats):
    assert formats["kdl"].load('name "x"').tree == {"name": "x", "jobs": []}


def test_an_empty_list_field_is_a_node_without_arguments(formats):
    assert formats["kdl"].load('job "a" { depends_on }').tree["jobs"] == [{"name": "a", "depends_on": []}]


def test_unknown_nodes_reach_the_validator_under_their_own_names(formats):
    tree = formats["kdl"].load('name "x"\ncolour "red"\njob "a" shape="round" { depend_on "b" }').tree

    assert tree["colour"] == "red"
    assert tree["jobs"] == [{"name": "a", "shape": "round", "depend_on": "b"}]


@pytest.mark.parametrize(
    ("text", "code", "line", "path", "message"),
    [
        ('name "a"\nname "b"', "duplicate-key", 2, ("name",), "duplicate key 'name' (first at line 1)"),
        ('job "a" priority=1 {\npriority 2 }', "duplicate-key", 2, ("jobs", 0, "priority"), "duplicate key 'priority' (first at line 1)"),
        ('job "a" {\nname "b" }', "duplicate-key", 2, ("jobs", 0, "name"), "duplicate key 'name' (first at line 1)"),
        ("env {\nA 1\nA 2 }", "duplicate-key", 3, ("env", "A"), "duplicate key 'A' (first at line 2)"),
        ("env { A }", "missing", 1, ("env", "A"), "'A' has no value"),
        ("priority", "missing", 1, ("priority",), "'priority' has no value"),
        ('\njob "a" "b"', "bad-value", 2, ("jobs", 0), "job takes one argument, its name; 'b' is one too many"),
        ('jobs "a"', "unknown-key", 1, (), "unknown node 'jobs'; write one 'job' for each"),
        ('jobb "a" { command "x" }', "unknown-key", 1, ("jobb",), "unknown node 'jobb'; did you mean 'job'?"),
        ('job "a" { command "x" shell="y" }', "unknown-key", 1, ("jobs", 0, "command"), "unknown property 'shell' of command"),
        ('job "a" { command "x" { y } }', "wrong-type", 1, ("jobs", 0, "command"), "command has both a value and a block"),
        ('job "a" { depends_on { b 1 } }', "unknown-key", 1, ("jobs", 0, "depends_on"), "unknown node 'b' in the list depends_on"),
        ('user_data "a" data="x"', "bad-value", 1, ("user_data", 0, "data"), "this text is not JSON: expected a value, not 'x'"),
        ('user_data "a" data="{\\"b\\":1,\\"b\\":2}"', "duplicate-key", 1, ("user_data", 0, "data"), "this text is not JSON: duplicate key"),
    ],
)  # fmt: skip
def test_what_a_node_cannot_mean_is_said(complaints, text, code, line, path, message):
    complaint = complaints("kdl", text)[0]

    assert (complaint.code, complaint.line, complaint.path) == (code, line, path)
    assert complaint.message.startswith(message)


def test_all_wrong_nodes_are_told_at_once(complaints):
    assert len(complaints("kdl", 'name "a"\nname "b"\nenv { A }\njob "a" "b"\njobs "x"')) == 4
