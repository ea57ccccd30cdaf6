"""Every object of a document: defaults, null, strictness, and what arrives in the plan (§3 to §12, §18)."""

from __future__ import annotations

import pytest

from torc_core.model import with_user_data_ids
from torc_core.spec.load import load

JOBS = [{"name": "a", "command": "true"}]


def one(**fields):
    return {"name": "w", "jobs": JOBS, **fields}


def test_the_settings_of_a_bare_document_are_the_defaults(planned):
    workflow = planned(one()).workflow

    assert (workflow.report, workflow.api_access, workflow.use_pending_failed) == (False, "edit", False)
    assert workflow.compute_node_wait_for_new_jobs_seconds == 90
    assert workflow.compute_node_wait_for_healthy_database_minutes == 20
    assert workflow.compute_node_min_time_for_new_jobs_seconds == 300
    assert workflow.compute_node_expiration_buffer_seconds is None
    assert workflow.execution_config is None
    assert workflow.resource_monitor_config == {
        "enabled": True,
        "granularity": "summary",
        "sample_interval_seconds": 10,
    }


def test_no_monitor_is_added_when_it_is_not_wanted_or_one_is_given(planned):
    assert planned(one(), no_resource_monitoring=True).workflow.resource_monitor_config is None
    assert planned(one(resource_monitor={"enabled": False})).workflow.resource_monitor_config == {
        "enabled": False
    }


def test_every_setting_arrives(planned):
    settings = {
        "description": "d",
        "project": "p",
        "metadata": {"a": [1, None]},
        "env": {"A": "1"},
        "slurm_defaults": {"account": "x", "exclusive": True, "time-min": 5},
        "use_pending_failed": True,
        "retry_on_node_loss": 2,
        "compute_node_wait_for_new_jobs_seconds": 0,
        "compute_node_ignore_workflow_completion": True,
        "compute_node_wait_for_healthy_database_minutes": 1,
        "compute_node_min_time_for_new_jobs_seconds": 3,
        "compute_node_expiration_buffer_seconds": 4,
        "enable_ro_crate": True,
        "report": True,
        "api_access": "none",
        "dynamic_jobs": {},
    }

    workflow = planned(one(**settings)).workflow

    expected = {**settings, "dynamic_jobs": {"max_iterations": 1000}}
    assert {key: getattr(workflow, key) for key in settings} == expected


def test_options_replace_what_the_document_says_and_obey_the_same_rules(planned, validated):
    workflow = planned(
        one(description="old"),
        name="new",
        description="d",
        project="p",
        metadata='{"a": 1}',
        access_groups=["g"],
        submission_directory="/s",
    ).workflow

    assert (workflow.name, workflow.description, workflow.project) == ("new", "d", "p")
    assert workflow.metadata == {"a": 1}
    assert workflow.access_groups == ["g"]
    assert workflow.submission_directory == "/s"
    assert [complaint.code for complaint in validated(one(), name="").errors] == ["bad-name"]


def test_null_means_not_given_for_every_field(planned):
    fields = (
        "priority",
        "env",
        "depends_on",
        "stdio",
        "label",
        "parameters",
        "use_parameters",
        "invocation_script",
    )
    top = ("files", "metadata", "variables", "execution_config", "notify", "report", "resource_monitor")

    plan = planned(
        {
            **one(),
            **dict.fromkeys(top),
            "jobs": [{"name": "a", "command": "true", **dict.fromkeys(fields)}],
        }
    )

    assert plan == planned(one())


def test_yaml_scalars_stay_what_was_written_where_text_is_meant(planned):
    plan = planned(
        "name: 1.10\nenv: {A: 010, B: no, C: 1e3, D: true}\n"
        "jobs:\n- {name: no, command: true}\n- {name: 007, command: 1.10, depends_on: [no]}\n"
    )

    assert plan.workflow.name == "1.10"
    assert plan.workflow.env == {"A": "010", "B": "no", "C": "1e3", "D": "true"}
    assert [(job.name, job.command) for job in plan.jobs] == [("no", "true"), ("007", "1.10")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"description": 1.1}, "expected text, got the number 1.1; write it in quotes"),
        ({"description": True}, "expected text, got true; write it in quotes"),
        ({"env": {"A": 1.5}}, "expected text, got 1.5; write it in quotes so that it is passed on unchanged"),
        (
            {"env": {"A": False}},
            "expected text, got false; write it in quotes so that it is passed on unchanged",
        ),
        ({"report": "true"}, 'expected true or false, got "true"; remove the quotes'),
        ({"retry_on_node_loss": True}, "expected a whole number, got true"),
        ({"retry_on_node_loss": 2**63}, "retry_on_node_loss must be between 0 and 9223372036854775807, got"),
        (
            {"compute_node_wait_for_healthy_database_minutes": 2**31},
            "compute_node_wait_for_healthy_database_minutes must be between 1 and 2147483647, got 2147483648",
        ),
        ({"files": {}}, "expected a list; write [ … ]"),
        ({"metadata": '{"a": NaN}'}, "metadata is not JSON: NaN is not JSON"),
        ({"metadata": '{"a": 1, "a": 2}'}, "metadata is not JSON: a key is given twice"),
        ({"metadata": "[" * 5000}, "nested deeper than 64 levels"),
        ({"metadata": '{"a": "\\ud800"}'}, "the text holds a NUL character or half of a character pair"),
        ({"slurm_defaults": {"x": [1]}}, "expected text, a whole number or true, got a list"),
        ({"slurm_defaults": {"--x": 1}}, "'--x' is no long option of sbatch"),
        (
            {"env": {f"A{k}": "x" for k in range(1001)}},
            "the environment has 1,001 entries; the limit is 1,000",
        ),
        ({"env": {"A": "x" * 200_000}}, "the environment is 195 KiB long; the limit is 128 KiB"),
    ],
)
def test_wrong_types_are_refused_with_the_remedy(validated, fields, message):
    result = validated(one(**fields))

    assert [complaint.message[: len(message)] for complaint in result.errors] == [message]


def test_whole_numbers_are_text_in_env_and_variables_of_every_format(planned):
    plan = planned(one(env={"A": 4}, variables={"n": 5}, description="{n}"))

    assert plan.workflow.env == {"A": "4"}
    assert plan.workflow.description == "5"


def test_a_job_without_a_requirement_has_the_implicit_one(planned):
    plan = planned(one())

    default = plan.requirements[plan.jobs[0].requirement]
    assert (default.name, default.num_cpus, default.memory, default.num_gpus) == ("default", 1, "1m", 0)
    assert (default.num_nodes, default.runtime, default.runtime_s) == (1, "P0DT1M", 60)


def test_job_fields_arrive(planned):
    plan = planned(
        {
            "name": "w",
            "env": {"A": "1", "B": "2"},
            "failure_handlers": [{"name": "h{x}", "rules": [{"exit_codes": [7]}]}],
            "variables": {"x": "1"},
            "jobs": [
                {
                    "name": "a{i}",
                    "command": "c {i}",
                    "invocation_script": "s {i}",
                    "priority": 3,
                    "env": {"B": "{i}"},
                    "failure_handler": "h{i}",
                    "label": "l{i}",
                    "cancel_on_blocking_job_failure": False,
                    "supports_termination": True,
                    "parameters": {"i": [1]},
                }
            ],
        }
    )

    (job,) = plan.jobs
    assert (job.name, job.command, job.invocation_script, job.label) == ("a1", "c 1", "s 1", "l1")
    assert job.env == {"A": "1", "B": "1"}
    assert (job.priority, job.handler, job.cancel_on_blocking_job_failure) == (3, 0, False)
    assert job.supports_termination is True
    assert plan.handlers[0].rules[0] == {
        "exit_codes": [7],
        "match_all_exit_codes": False,
        "recovery_script": None,
        "max_retries": 3,
        "delay_seconds": 0,
        "backoff_multiplier": 2.0,
        "max_delay_seconds": 3600,
    }


def test_scheduler_and_action_defaults_are_filled_in(planned):
    plan = planned(
        {
            "name": "w",
            "slurm_defaults": {"account": "acc"},
            "slurm_schedulers": [{"name": "s", "walltime": 90}],
            "actions": [
                {
                    "trigger_type": "on_jobs_ready",
                    "jobs": ["b"],
                    "job_name_regexes": ["^a"],
                    "action_type": "schedule_nodes",
                    "scheduler": "s",
                    "scheduler_type": "slurm",
                },
                {"trigger_type": "on_worker_start", "action_type": "run_commands", "commands": ["x {i}"]},
                {
                    "trigger_type": "on_worker_start",
                    "action_type": "run_commands",
                    "commands": ["x"],
                    "persistent": False,
                },
            ],
            "jobs": [{"name": name, "command": "x", "scheduler": "s"} for name in ("c", "b", "a1", "a2")],
        }
    )

    fields = plan.schedulers[0].fields
    assert (fields["account"], fields["walltime"], fields["nodes"], fields["auto_top_up"]) == (
        "acc",
        "90",
        1,
        True,
    )
    assert plan.actions[0].jobs == (1, 2, 3)
    assert plan.actions[0].config == {
        "scheduler": "s",
        "scheduler_type": "slurm",
        "num_allocations": 1,
        "start_one_worker_per_node": False,
        "max_parallel_jobs": None,
    }
    assert plan.actions[0].trigger_mode == "all"
    assert [action.persistent for action in plan.actions] == [False, True, False]
    assert plan.actions[1].config == {"commands": ("x {i}",)}
    assert plan.jobs[0].scheduler == 0


def test_modes_follow_the_schedulers_where_auto_is_given(validated):
    slurm = {"slurm_schedulers": [{"name": "s", "account": "a"}]}

    fine = validated(one(execution_config={"mode": "auto", "enable_cpu_bind": True}, **slurm))
    wrong = validated(one(execution_config='{"mode": "slurm", "limit_resources": false}', **slurm))

    assert fine.plan is not None
    assert [complaint.message for complaint in wrong.errors] == [
        "execution_config.limit_resources only applies in direct mode, but the mode is slurm"
    ]


def test_the_stdio_of_a_job_wins_over_the_workflows_override(planned):
    plan = planned(
        {
            "name": "w",
            "jobs": [{"name": "a", "command": "x", "stdio": {"mode": "none"}}, {"name": "b", "command": "x"}],
            "execution_config": {
                "job_stdio_overrides": {"a": {"mode": "combined"}, "b": {"mode": "no_stderr"}}
            },
        }
    )

    assert plan.workflow.execution_config["job_stdio_overrides"] == {
        "a": {"mode": "none"},
        "b": {"mode": "no_stderr"},
    }


def test_user_data_has_any_json_and_templates_inside(planned):
    plan = planned(
        {
            "name": "w",
            "variables": {"v": "V"},
            "user_data": [
                {"name": "u{i}", "data": {"x": ["{i} {v}", 1, None]}, "parameters": {"i": "1:2"}},
                {"name": "nothing", "is_ephemeral": True},
                {"name": "zero", "data": 0},
            ],
            "jobs": JOBS,
        }
    )

    assert [record.data for record in plan.user_data] == [
        {"x": ["1 V", 1, None]},
        {"x": ["2 V", 1, None]},
        None,
        0,
    ]
    assert [record.has_data for record in plan.user_data] == [True, True, False, True]
    assert plan.user_data[2].is_ephemeral is True


def test_user_data_in_commands_is_json_where_given_and_an_id_elsewhere(planned):
    plan = planned(
        {
            "name": "w",
            "user_data": [{"name": "cfg", "data": {"a": "it's"}}, {"name": "res"}],
            "jobs": [
                {
                    "name": "a",
                    "command": "x '${user_data.input.cfg}' ${user_data.output.res} ${HOME} ${files} ${a.b}",
                },
                {"name": "b", "command": "y ${user_data.input.res}"},
            ],
        }
    )

    commands = [with_user_data_ids(job.command, [70, 71]) for job in plan.jobs]
    assert commands == ['x \'{"a":"it\\u0027s"}\' 71 ${HOME} ${files} ${a.b}', "y 71"]
    assert plan.jobs[0].output_user_data == (1,)
    assert plan.jobs[1].num_blockers == 1


def test_the_same_copies_of_a_file_are_one_and_different_ones_are_refused(planned, validated):
    same = one(files=[{"name": "f", "path": "p", "parameters": {"i": "1:3"}}])
    differ = one(files=[{"name": "f", "path": "p{i}", "parameters": {"i": "1:3"}}])

    assert len(planned(same).files) == 1
    assert (
        validated(differ).errors[0].message
        == "3 copies are all named 'f' but differ in path; put {i} into the name"
    )


def test_variables_are_replaced_in_every_string_but_not_in_keys(planned):
    plan = planned(
        {
            "name": "{v}",
            "variables": {"v": "x", "home": "${HOME}/{}"},
            "project": "{{v}} {v} ${v}",
            "env": {"A": "{{v}} {v} ${v}"},
            "metadata": {"{v}": ["{v}"]},
            "resource_requirements": [{"name": "r", "num_cpus": 1, "memory": "1g"}],
            "jobs": [{"name": "a-{v}", "command": "{home} {{v}}", "resource_requirements": "r"}],
        }
    )

    assert plan.workflow.name == "x"
    assert plan.workflow.project == "{v} x ${v}"
    assert plan.workflow.env == plan.jobs[0].env == {"A": "{v} x ${v}"}
    assert plan.workflow.metadata == {"{v}": ["x"]}
    assert (plan.jobs[0].name, plan.jobs[0].command) == ("a-x", "${HOME}/{} {v}")


def test_a_document_that_cannot_be_read_gives_complaints_too(formats, tmp_path):
    missing = load(str(tmp_path / "none.yaml"), formats)
    folder = load(str(tmp_path), formats)

    assert missing.plan is None
    assert folder.plan is None
    assert "is a directory" in str(folder.complaints[0])


def test_the_source_is_remembered_by_real_path_and_digest(formats, tmp_path):
    import hashlib

    real, link = tmp_path / "w.yaml", tmp_path / "link.yaml"
    real.write_text("name: w\njobs: [{name: a, command: x}]\n")
    link.symlink_to(real)

    workflow = load(str(link), formats).plan.workflow

    assert workflow.source_path == str(real)
    assert workflow.source_digest == hashlib.sha256(real.read_bytes()).hexdigest()


def test_the_summary_has_the_figures_of_the_reference(validated):
    result = validated(
        {
            "name": "w",
            "description": "d",
            "parameters": {"i": "1:3"},
            "files": [{"name": "f{i}", "path": "p{i}", "use_parameters": ["i"]}],
            "user_data": [{"name": "u"}],
            "resource_requirements": [{"name": "r", "num_cpus": 1, "memory": "1g"}],
            "jobs": [{"name": "a{i}", "command": "x", "use_parameters": ["i"]}],
        }
    )

    assert result.summary == {
        "workflow_name": "w",
        "workflow_description": "d",
        "job_count": 3,
        "job_count_before_expansion": 1,
        "file_count": 3,
        "file_count_before_expansion": 1,
        "user_data_count": 1,
        "resource_requirements_count": 1,
        "slurm_scheduler_count": 0,
        "action_count": 0,
        "has_schedule_nodes_action": False,
        "job_names": ["a1", "a2", "a3"],
        "scheduler_names": [],
        "dependency_count": 0,
        "levels": 1,
    }
