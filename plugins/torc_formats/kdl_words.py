"""How the objects of a workflow are spelled in KDL (`workflow-spec.md` §16): which nodes are lists, rows and blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the children of a node mean. A child that is not listed is a single value under its own name.

    Parameters
    ----------
    named
        The first argument of the node is its `name`.
    lists
        Node name to the list field its arguments go to.
    rows
        Node name to the list field it is one object of, and the shape of that object.
    objects
        Fields that hold one object.
    blocks
        Fields that hold a map with free keys and values.
    free
        The same, where any JSON may stand.
    text
        Fields where one string is the JSON text of the value.
    """

    named: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, tuple[str, Shape]] = field(default_factory=dict)
    objects: Mapping[str, Shape] = field(default_factory=dict)
    blocks: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    text: frozenset[str] = frozenset()


PLAIN = Shape()
COPIES = {"use_parameters": "use_parameters", "use_parameter": "use_parameters"}

JOB = Shape(
    named=True,
    lists={
        **COPIES,
        "depends_on": "depends_on",
        "depends_on_job": "depends_on",
        "depends_on_regexes": "depends_on_regexes",
        "depends_on_regex": "depends_on_regexes",
        "input_files": "input_files",
        "input_file": "input_files",
        "output_files": "output_files",
        "output_file": "output_files",
        "input_user_data": "input_user_data",
        "output_user_data": "output_user_data",
        "input_file_regexes": "input_file_regexes",
        "input_file_regex": "input_file_regexes",
        "output_file_regexes": "output_file_regexes",
        "output_file_regex": "output_file_regexes",
        "input_user_data_regexes": "input_user_data_regexes",
        "input_user_data_regex": "input_user_data_regexes",
        "output_user_data_regexes": "output_user_data_regexes",
        "output_user_data_regex": "output_user_data_regexes",
    },
    objects={"stdio": PLAIN},
    blocks=frozenset(("env", "parameters")),
)
FILE = Shape(named=True, lists=COPIES, blocks=frozenset(("parameters",)))
USER_DATA = Shape(named=True, lists=COPIES, blocks=frozenset(("parameters",)), text=frozenset(("data",)))
NAMED = Shape(named=True)
HANDLER = Shape(named=True, rows={"rule": ("rules", Shape(lists={"exit_codes": "exit_codes"}))})
ACTION = Shape(
    lists={
        "job": "jobs",
        "jobs": "jobs",
        "job_name_regex": "job_name_regexes",
        "job_name_regexes": "job_name_regexes",
        "command": "commands",
        "commands": "commands",
    }
)
NOTIFY = Shape(lists={"on": "on"})
MONITOR = Shape(objects={"jobs": PLAIN, "compute_node": PLAIN})
EXECUTION = Shape(objects={"stdio": PLAIN}, free=frozenset(("job_stdio_overrides",)))

WORKFLOW = Shape(
    lists={"access_groups": "access_groups"},
    rows={
        "job": ("jobs", JOB),
        "file": ("files", FILE),
        "user_data": ("user_data", USER_DATA),
        "resource_requirements": ("resource_requirements", NAMED),
        "failure_handler": ("failure_handlers", HANDLER),
        "slurm_scheduler": ("slurm_schedulers", NAMED),
        "action": ("actions", ACTION),
        "notify": ("notify", NOTIFY),
    },
    objects={
        "resource_monitor": MONITOR,
        "resource_monitor_config": MONITOR,
        "execution_config": EXECUTION,
        "dynamic_jobs": PLAIN,
    },
    blocks=frozenset(("parameters", "variables", "env", "slurm_defaults")),
    free=frozenset(("metadata",)),
)
"""The whole document."""
