"""One document for each check of `workflow-spec.md` §17.3: its code, path, line and first words."""

from __future__ import annotations

import pytest

HEAD = "name: w\n"
JOB = "jobs:\n- {name: a, command: x}\n"

START = "actions:\n- {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: s, scheduler_type: slurm}\n"

CASES = {
    "unknown key": ("unknown-key", "jobs[0].depend_on", 3, "unknown key 'depend_on'; did you mean 'depends_on'?",
        "name: w\njobs:\n- {name: a, command: x, depend_on: [b]}\n"),
    "unknown key at the top": ("unknown-key", "job", 2, "unknown key 'job'; did you mean 'jobs'?", HEAD + "job: []\njobs: []\n"),
    "number with quotes": ("wrong-type", "jobs[0].priority", 3, 'expected a whole number, got "4"; remove the quotes',
        "name: w\njobs:\n- {name: a, command: x, priority: '4'}\n"),
    "whole float": ("wrong-type", "jobs[0].priority", 3, "expected a whole number, got 4.0",
        "name: w\njobs:\n- {name: a, command: x, priority: 4.0}\n"),
    "no list": ("wrong-type", "jobs[0].depends_on", 3, "expected a list; write [ … ]",
        "name: w\njobs:\n- {name: a, command: x, depends_on: a}\n"),
    "bool": ("wrong-type", "report", 2, 'expected true or false, got "yes"', HEAD + "report: yes\n" + JOB),
    "missing command": ("missing", "jobs[0]", 3, "'command' is missing", "name: w\njobs:\n- {name: a}\n"),
    "missing name": ("missing", "", 1, "'name' is missing", JOB),
    "null is missing": ("missing", "", 1, "'name' is missing", "name: ~\n" + JOB),
    "range": ("out-of-range", "jobs[0].priority", 3, "priority must be at least 0, got -1",
        "name: w\njobs:\n- {name: a, command: x, priority: -1}\n"),
    "memory": ("bad-value", "resource_requirements[0].memory", 3, 'memory "10 gigs" is not a size; write e.g. "10g"',
        HEAD + "resource_requirements:\n- {name: r, num_cpus: 1, memory: 10 gigs}\n" + JOB),
    "memory float": ("wrong-type", "resource_requirements[0].memory", 3, "memory 1.5 has no unit",
        HEAD + "resource_requirements:\n- {name: r, num_cpus: 1, memory: 1.5}\n" + JOB),
    "runtime": ("bad-value", "resource_requirements[0].runtime", 3, 'runtime "30m" is not an ISO 8601 duration; write "PT30M"',
        HEAD + "resource_requirements:\n- {name: r, num_cpus: 1, memory: 1g, runtime: 30m}\n" + JOB),
    "choice": ("bad-value", "api_access", 2, 'api_access must be one of none, read, edit, got "writ"', HEAD + "api_access: writ\n" + JOB),
    "metadata": ("wrong-type", "metadata", 2, "metadata must be an object", HEAD + "metadata: '[1]'\n" + JOB),
    "two monitors": ("bad-value", "resource_monitor_config", 3, "give resource_monitor or resource_monitor_config, not both",
        HEAD + "resource_monitor: {enabled: true}\nresource_monitor_config: {enabled: true}\n" + JOB),
    "empty name": ("bad-name", "jobs[0].name", 3, "the name is empty", "name: w\njobs:\n- {name: '', command: x}\n"),
    "long name": ("bad-name", "name", 1, "the name 'xxx", f"name: {'x' * 256}\n" + JOB),
    "control name": ("bad-name", "jobs[0].name", 3, r"the name 'a\nb' holds a control character", 'name: w\njobs:\n- {name: "a\\nb", command: x}\n'),
    "empty command": ("bad-value", "jobs[0].command", 3, "the command is empty", "name: w\njobs:\n- {name: a, command: ''}\n"),
    "label": ("bad-value", "jobs[0].label", 3, 'label " a" must have', "name: w\njobs:\n- {name: a, command: x, label: ' a'}\n"),
    "duplicate job": ("duplicate-name", "jobs[1].name", 4, "duplicate job name 'a' (first at jobs[0])",
        HEAD + JOB + "- {name: a, command: x}\n"),
    "duplicate file": ("duplicate-name", "files[1].name", 4, "duplicate file name 'f' (first at files[0])",
        HEAD + "files:\n- {name: f, path: p}\n- {name: f, path: q}\n" + JOB),
    "duplicate identifier": ("duplicate-name", "files[1].identifier", 4, "duplicate identifier 'x' (first at files[0])",
        HEAD + "files:\n- {name: f, path: p, identifier: x}\n- {name: g, path: q, identifier: x}\n" + JOB),
    "duplicate requirement": ("duplicate-name", "resource_requirements[1].name", 4, "duplicate requirement name 'r'",
        HEAD + "resource_requirements:\n- {name: r, num_cpus: 1, memory: 1g}\n- {name: r, num_cpus: 1, memory: 1g}\n" + JOB),
    "copies differ": ("duplicate-name", "jobs[0].name", 3, "9 copies are all named 'a' but differ in command; put {i} into the name",
        "name: w\njobs:\n- {name: a, command: 'x {i}', parameters: {i: '1:9'}}\n"),
    "default": ("reserved", "resource_requirements[0].name", 3, "the requirement 'default' is built in",
        HEAD + "resource_requirements:\n- {name: default, num_cpus: 1, memory: 1g}\n" + JOB),
    "reserved env": ("reserved", "env.TORC_X", 2, "names that begin with TORC_ are reserved", HEAD + "env: {TORC_X: a}\n" + JOB),
    "managed default": ("reserved", "slurm_defaults.Time", 2, "'Time' is set by torc", HEAD + "slurm_defaults: {Time: 5}\n" + JOB),
    "managed extra": ("reserved", "slurm_schedulers[0].extra", 3, "extra may not hold '--mem=5'",
        HEAD + "slurm_schedulers:\n- {name: s, account: a, extra: --mem=5}\n" + JOB),
    "unknown job": ("unknown-reference", "jobs[1].depends_on[0]", 4, "no job named 'trian_3'; did you mean 'train_3'? (defined: train_3, b)",
        "name: w\njobs:\n- {name: train_3, command: x}\n- {name: b, command: x, depends_on: [trian_3]}\n"),
    "unknown handler": ("unknown-reference", "jobs[0].failure_handler", 3, "no failure handler named 'h' (no failure handler is defined)",
        "name: w\njobs:\n- {name: a, command: x, failure_handler: h}\n"),
    "unknown requirement": ("unknown-reference", "jobs[0].resource_requirements", 3, "no resource requirement named 'h' (defined: default)",
        "name: w\njobs:\n- {name: a, command: x, resource_requirements: h}\n"),
    "unknown file token": ("unknown-reference", "jobs[0].command", 3, "no file named 'f'",
        "name: w\njobs:\n- {name: a, command: 'x ${files.input.f}'}\n"),
    "unknown parameter": ("unknown-reference", "jobs[0].use_parameters[0]", 4,
        "the workflow has no parameter 'lrr'; did you mean 'lr'? (defined: lr, batch_size)",
        "name: w\nparameters: {lr: 1, batch_size: 2}\njobs:\n- {name: a, command: x, use_parameters: [lrr]}\n- {name: 'b{lr}{batch_size}', command: x, use_parameters: [lr, batch_size]}\n"),
    "bad regex": ("bad-regex", "jobs[0].depends_on_regexes[0]", 3, "regex '(?=a)' is not valid: invalid perl operator: (?= (at character 1)",
        "name: w\njobs:\n- {name: a, command: x, depends_on_regexes: ['(?=a)']}\n"),
    "no match": ("no-match", "jobs[0].depends_on_regexes[0]", 3, "regex '^step1_.*' matches no job",
        "name: w\njobs:\n- {name: a, command: x, depends_on_regexes: ['^step1_.*']}\n"),
    "only itself": ("no-match", "jobs[0].depends_on_regexes[0]", 3, "regex '^a$' matches no job but the job itself",
        "name: w\njobs:\n- {name: a, command: x, depends_on_regexes: ['^a$']}\n"),
    "bad token": ("bad-token", "jobs[0].name", 4, 'no parameter or variable \'dataset\' here; add "use_parameters: [dataset]"',
        "name: w\nparameters: {dataset: [a]}\njobs:\n- {name: 'a_{dataset}', command: x}\n- {name: 'b{dataset}', command: x, use_parameters: [dataset]}\n"),
    "bad format": ("bad-format", "jobs[0].name", 3, "format '03d' needs a whole number, but lr has the value 0.1",
        "name: w\njobs:\n- {name: 'a{lr:03d}', command: x, parameters: {lr: 0.1}}\n"),
    "unknown format": ("bad-format", "jobs[0].name", 3, "unknown format 'z'; use 03d, .2f, .2e or .3g",
        "name: w\njobs:\n- {name: 'a{lr:z}', command: x, parameters: {lr: 0.1}}\n"),
    "unequal zip": ("unequal-zip", "jobs[0]", 3, "parameter_mode zip needs equal lengths: dataset has 3 values, model has 2",
        "name: w\njobs:\n- {name: '{dataset}{model}', command: x, parameter_mode: zip, parameters: {dataset: '1:3', model: '1:2'}}\n"),
    "no values": ("empty-parameter", "jobs[0].parameters.i", 3, '"5:1" has no values; write "5:1:-1" to count down',
        "name: w\njobs:\n- {name: 'a{i}', command: x, parameters: {i: '5:1'}}\n"),
    "step zero": ("bad-value", "parameters.i", 2, 'the step of "1:5:0" is zero', HEAD + "parameters: {i: '1:5:0'}\njobs:\n- {name: 'a{i}', command: x, use_parameters: [i]}\n"),
    "too many": ("too-many", "jobs[0]", 3, "3 parameters give 1,000,000,000 copies; the limit is 1,000,000 objects in all (--max-expanded raises it)",
        "name: w\njobs:\n- {name: 'a{i}{j}{k}', command: x, parameters: {i: '1:1000', j: '1:1000', k: '1:1000'}}\n"),
    "variable clash": ("variable-clash", "variables.i", 2, "variable 'i' is also a parameter (jobs[0].parameters.i)",
        HEAD + "variables: {i: a}\njobs:\n- {name: 'a{i}', command: x, parameters: {i: [1]}}\n"),
    "variable in variable": ("variable-clash", "variables.out", 2, "variables.out refers to {base}; variables cannot refer to each other",
        HEAD + "variables: {out: '{base}/x'}\njobs:\n- {name: a, command: '{out}'}\n"),
    "cycle": ("cycle", "jobs[0]", 6, "jobs wait for each other: a → b (file 'x') → c (depends_on) → a (user data 'y')",
        ("name: w\nfiles: [{name: x, path: x}]\nuser_data:\n- {name: y}\njobs:\n"
        "- {name: a, command: x, output_files: [x], input_user_data: [y]}\n"
        "- {name: b, command: x, input_files: [x]}\n- {name: c, command: x, depends_on: [b], output_user_data: [y]}\n")),
    "self": ("self-cycle", "jobs[0].depends_on[0]", 3, "job 'a' depends on itself", "name: w\njobs:\n- {name: a, command: x, depends_on: [a]}\n"),
    "self file": ("self-cycle", "jobs[0]", 4, "job 'a' reads file 'f', which it writes",
        HEAD + "files: [{name: f, path: p}]\njobs:\n- {name: a, command: x, input_files: [f], output_files: [f]}\n"),
    "two producers": ("two-producers", "jobs[1].output_files", 5, "file 'f' is written by 'a' and by 'b'",
        HEAD + "files: [{name: f, path: p}]\njobs:\n- {name: a, command: x, output_files: [f]}\n- {name: b, command: x, output_files: [f]}\n"),
    "two producers of a path": ("two-producers", "files[1].path", 2, "files 'f' and 'g' have one path 'p'",
        HEAD + "files: [{name: f, path: p}, {name: g, path: ./p}]\njobs:\n- {name: a, command: x, output_files: [f]}\n- {name: b, command: x, output_files: [g]}\n"),
    "two producers of a path that somebody else reads": ("two-producers", "files[2].path", 2, "files 'g' and 'h' have one path 'p', but are written by 'a' and 'b'",
        HEAD + "files: [{name: f, path: p}, {name: g, path: ./p}, {name: h, path: p}]\n"
        "jobs:\n- {name: a, command: x, output_files: [g]}\n- {name: b, command: x, output_files: [h]}\n"),
    "slurm value": ("bad-value", "slurm_schedulers[0].account", 3, 'account "a b" cannot be passed to Slurm; use letters, digits and _.+-',
        HEAD + "slurm_schedulers:\n- {name: s, account: a b}\n" + JOB + START),
    "slurm size": ("bad-value", "slurm_schedulers[0].mem", 3, 'mem "10gb" cannot be passed to Slurm; write e.g. 180G',
        HEAD + "slurm_schedulers:\n- {name: s, account: a, mem: 10gb}\n" + JOB + START),
    "slurm account": ("wrong-type", "slurm_defaults.account", 2, "expected text, got true; write it in quotes",
        HEAD + "slurm_defaults: {account: true}\n" + JOB),
    "key of metadata": ("bad-value", "metadata", 2, "the text holds a NUL character", HEAD + "metadata: '{\"a\\u0000\": 1}'\n" + JOB),
    "mode": ("mode-conflict", "execution_config.enable_cpu_bind", 2,
        "execution_config.enable_cpu_bind only applies in slurm mode, but the mode is direct", HEAD + "execution_config: {enable_cpu_bind: false}\n" + JOB),
    "srun_mpi": ("mode-conflict", "execution_config.srun_mpi", 2, "srun_mpi needs an action with start_one_worker_per_node",
        HEAD + "execution_config: {srun_mpi: pmix}\n" + JOB),
    "action fields": ("action-fields", "actions[0].commands", 3, "commands does not belong to schedule_nodes",
        HEAD + "actions:\n- {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: l, scheduler_type: local, commands: [x]}\n" + JOB),
    "action jobs": ("action-fields", "actions[0]", 3, "on_jobs_ready needs jobs or job_name_regexes",
        HEAD + "actions:\n- {trigger_type: on_jobs_ready, action_type: run_commands, commands: [x]}\n" + JOB),
    "action scheduler": ("action-fields", "actions[0].scheduler", 3, "no scheduler named 'q'",
        HEAD + "actions:\n- {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: q, scheduler_type: slurm}\n" + JOB),
    "trigger mode": ("action-fields", "actions[0].trigger_mode", 3, "trigger_mode belongs to on_jobs_ready",
        HEAD + "actions:\n- {trigger_type: on_jobs_complete, jobs: [a], trigger_mode: any, action_type: run_commands, commands: [x]}\n" + JOB),
    "action template": ("unknown-reference", "actions[0].jobs[0]", 3, "no job named 'a_{i}'",
        HEAD + "actions:\n- {trigger_type: on_jobs_ready, jobs: ['a_{i}'], action_type: run_commands, commands: [x]}\n" + JOB),
    "notify": ("notify-fields", "notify[0]", 3, "notify[0] needs command or webhook", HEAD + "notify:\n- {on: [job_failed]}\n" + JOB),
    "notify both": ("notify-fields", "notify[0]", 3, "give command or webhook, not both",
        HEAD + "notify:\n- {on: [job_failed], command: x, webhook: 'https://h/x'}\n" + JOB),
    "notify event": ("notify-fields", "notify[0].on[0]", 3, "no event named 'job_faild'; did you mean 'job_failed'?",
        HEAD + "notify:\n- {on: [job_faild], command: x}\n" + JOB),
    "serialized": ("serialized-dependency", "slurm_schedulers[0].serialize_allocations", 3, "serialize_allocations and --dependency cannot be combined",
        HEAD + "slurm_schedulers:\n- {name: s, account: a, serialize_allocations: true, extra: '--dependency=singleton'}\n" + JOB),
    "scheduler nodes": ("scheduler-nodes", "slurm_schedulers[0].nodes", 3, "scheduler 's' has 4 nodes",
        HEAD + "slurm_schedulers:\n- {name: s, account: a, nodes: 4}\nactions:\n- {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: s, scheduler_type: slurm}\n"
        "jobs:\n- {name: a, command: x, scheduler: s}\n"),
    "control character": ("control-character", "slurm_schedulers[0].partition", 3, r'"p\nq" holds a control character',
        HEAD + 'slurm_schedulers:\n- {name: s, account: a, partition: "p\\nq"}\n' + JOB),
    "rule": ("bad-value", "failure_handlers[0].rules[0]", 3, "rule matches nothing", HEAD + "failure_handlers:\n- {name: h, rules: [{max_retries: 1}]}\n" + JOB),
    "no rules": ("missing", "failure_handlers[0].rules", 3, "rules is an empty list", HEAD + "failure_handlers:\n- {name: h, rules: []}\n" + JOB),
    "exit code 0": ("out-of-range", "failure_handlers[0].rules[0].exit_codes[0]", 3, "exit code 0 is success",
        HEAD + "failure_handlers:\n- {name: h, rules: [{exit_codes: [0]}]}\n" + JOB),
    "signal": ("bad-value", "execution_config.termination_signal", 2, "termination_signal must be one of SIGTERM",
        HEAD + "execution_config: {termination_signal: SIGKILL}\n" + JOB),
    "account": ("missing", "slurm_schedulers[0]", 3, "'account' is missing", HEAD + "slurm_schedulers:\n- {name: s}\n" + JOB),
    "walltime": ("bad-value", "slurm_schedulers[0].walltime", 3, 'walltime "4h" is not a time',
        HEAD + "slurm_schedulers:\n- {name: s, account: a, walltime: 4h}\n" + JOB),
    "stdio of nobody": ("unknown-reference", "execution_config.job_stdio_overrides.b", 2, "no job named 'b'",
        HEAD + "execution_config: {job_stdio_overrides: {b: {mode: none}}}\n" + JOB),
    "syntax": ("syntax", "", 3, "", "name: w\njobs: [\n"),
    "duplicate key": ("duplicate-key", "", 2, "duplicate key 'name' (first at line 1)", "name: w\nname: v\njobs: []\n"),
    "top": ("wrong-type", "", 1, "the document must be a map", "- a\n"),
}  # fmt: skip

WARNINGS = {
    "never fits": ("never-fits", "jobs[0]", 7, "runtime PT2H is longer than the walltime 01:00:00 of 's': it would never be claimed",
        HEAD + "slurm_schedulers:\n- {name: s, account: a}\nresource_requirements:\n- {name: r, num_cpus: 1, memory: 1g, runtime: PT2H}\n"
        "jobs:\n- {name: a, command: x, scheduler: s, resource_requirements: r}\n" + START),
    "no way to start": ("no-way-to-start", "slurm_schedulers", 2, "there are Slurm schedulers", HEAD + "slurm_schedulers:\n- {name: s, account: a}\n" + JOB),
    "same path": ("same-path", "files[1].path", 2, "files 'f' and 'g' have one path 'd/p'", HEAD + "files: [{name: f, path: d//p}, {name: g, path: d/e/../p}]\n" + JOB),
    "shadowed": ("shadowed-rule", "failure_handlers[0].rules[1].exit_codes", 3, "exit code 5 is taken by rules[0] already",
        HEAD + "failure_handlers:\n- {name: h, rules: [{exit_codes: [5]}, {exit_codes: [5]}]}\n" + JOB),
    "unused variable": ("unused-variable", "variables.v", 2, "nothing uses the variable 'v'", HEAD + "variables: {v: a}\n" + JOB),
    "unused parameter": ("unused-parameter", "parameters.v", 2, "no object uses the parameter 'v'", HEAD + "parameters: {v: a}\n" + JOB),
    "unresolved": ("unresolved-token", "jobs[0].command", 4, "{dataset} is left as it is",
        HEAD + "parameters: {dataset: [1]}\njobs:\n- {name: a, command: 'x {dataset}'}\n- {name: 'b{dataset}', command: x, use_parameters: [dataset]}\n"),
    "ignored": ("ignored-field", "jobs_sort_method", 2, "jobs_sort_method is ignored", HEAD + "jobs_sort_method: x\n" + JOB),
    "secret": ("secret-in-env", "env.MY_API_KEY", 2, "'MY_API_KEY' looks like a secret", HEAD + "env: {MY_API_KEY: a}\n" + JOB),
    "auto": ("auto-mode", "execution_config.mode", 2, "mode auto is decided on each node", HEAD + "execution_config: {mode: auto}\n" + JOB),
    "two producers of data": ("two-producers", "jobs[1].output_user_data", 5, "user data record 'f' is written by 'a' and by 'b'",
        HEAD + "user_data: [{name: f}]\njobs:\n- {name: a, command: x, output_user_data: [f]}\n- {name: b, command: x, output_user_data: [f]}\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_error_tells_code_path_line_and_sentence(validated, case):
    code, path, line, words, text = CASES[case]

    result = validated(text)

    assert [complaint.code for complaint in result.errors] == [code]
    assert result.plan is None
    assert str(result.errors[0]).startswith(f"spec.yaml:{line}: {path}")
    assert result.errors[0].message.startswith(words)


@pytest.mark.parametrize("case", WARNINGS)
def test_a_warning_tells_the_same_and_leaves_the_plan(validated, case):
    code, path, line, words, text = WARNINGS[case]

    result = validated(text)

    assert [complaint.code for complaint in result.warnings] == [code]
    assert result.plan is not None
    assert str(result.warnings[0]).startswith(f"spec.yaml:{line}: {path}")
    assert result.warnings[0].message.startswith(words)


def test_every_code_of_the_reference_has_a_case():
    tested = {case[0] for case in (*CASES.values(), *WARNINGS.values())}

    assert tested >= {
        "syntax", "duplicate-key", "unknown-key", "wrong-type", "missing", "out-of-range", "bad-value", "bad-name",
        "duplicate-name", "reserved", "unknown-reference", "bad-regex", "no-match", "bad-token", "bad-format",
        "unequal-zip", "empty-parameter", "too-many", "variable-clash", "cycle", "self-cycle", "two-producers",
        "mode-conflict", "action-fields", "notify-fields", "serialized-dependency", "scheduler-nodes",
        "control-character", "never-fits", "no-way-to-start", "same-path", "shadowed-rule", "unused-variable",
        "unused-parameter", "unresolved-token", "ignored-field", "secret-in-env", "auto-mode",
    }  # fmt: skip


def test_twelve_errors_give_twelve_complaints_in_one_go(validated):
    text = """\
name: w
repot: true
env: {1A: x}
parameters: {n: "5:1", ok: "1:3"}
variables: {root: "{other}/x"}
files:
- {name: f, path: "{root}/{missing}"}
- {name: f, path: q}
resource_requirements:
- {name: big, num_cpus: 0, memory: 1g}
jobs:
- {name: "a_{n}", command: x, use_parameters: [n]}
- {name: b, command: x, depends_on: [a_1, nosuch], resource_requirements: big}
- {name: c, command: x, depends_on_regexes: ["("], priority: high}
- {name: d, command: x, depends_on: [e], input_files: [f]}
- {name: e, command: x, depends_on: [d]}
actions:
- {trigger_type: on_worker_start, action_type: run_commands, commands: [x], jobs: [b]}
"""

    result = validated(text)

    assert [(complaint.line, complaint.code) for complaint in result.errors] == [
        (2, "unknown-key"),
        (3, "bad-name"),
        (4, "empty-parameter"),
        (5, "variable-clash"),
        (7, "bad-token"),
        (8, "duplicate-name"),
        (10, "out-of-range"),
        (13, "unknown-reference"),
        (14, "bad-regex"),
        (14, "wrong-type"),
        (15, "cycle"),
        (18, "action-fields"),
    ]


def test_copies_are_named_in_complaints(validated):
    result = validated(
        HEAD + "jobs:\n- {name: 'eval_{i}', command: x, depends_on: ['t_{i}'], parameters: {i: '7:8'}}\n"
    )

    assert str(result.errors[0]).startswith(
        "spec.yaml:3: jobs[0].depends_on[0] (job 'eval_7'): no job named 't_7'"
    )
    assert len(result.errors) == 2


def test_skip_checks_turns_only_the_scheduler_check_into_a_warning(validated):
    skipped = validated(CASES["scheduler nodes"][4], skip_checks=True)
    refused = validated(CASES["unknown job"][4], skip_checks=True)

    assert skipped.plan is not None
    assert [complaint.code for complaint in skipped.warnings] == ["scheduler-nodes"]
    assert refused.plan is None


def test_many_references_are_advised_against(validated):
    names = [f"j{k}" for k in range(1001)]
    tree = {
        "name": "w",
        "jobs": [
            *({"name": name, "command": "x"} for name in names),
            {"name": "w{i}", "command": "x", "depends_on": names, "parameters": {"i": "1:1000"}},
        ],
    }

    result = validated(tree)

    assert [(complaint.code, complaint.path) for complaint in result.complaints] == [("big-lists", ("jobs",))]
