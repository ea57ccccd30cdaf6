"""The promises that hold for every command alike: schemas, formats, missing ids, confirmations."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import jsonschema
import pytest

from torc_core.model import (
    AccessGroup,
    Allocation,
    AllocationStatus,
    AuditEntry,
    Event,
    FailureHandler,
    File,
    GroupLink,
    Job,
    Membership,
    NewJob,
    Node,
    Plan,
    PlannedWorkflow,
    Query,
    Requirement,
    Resources,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    Token,
    UserData,
    WorkflowId,
)
from torc_terminal import schemas

LISTS = [
    ["workflows", "list"],
    ["workflows", "get", "1", "1-2"],
    ["workflows", "list-actions", "1"],
    ["jobs", "list", "1"],
    ["jobs", "list", "1", "--include-relationships"],
    ["jobs", "get", "1-3"],
    ["jobs", "list-resource-requirements", "1"],
    ["jobs", "list-failure-handlers", "1"],
    ["files", "list", "1"],
    ["files", "get", "1,2"],
    ["files", "list-required-existing", "1"],
    ["user-data", "list", "1"],
    ["user-data", "get", "1", "2"],
    ["user-data", "list-missing", "1"],
    ["results", "list", "1"],
    ["results", "get", "1-2"],
    ["events", "list", "1"],
    ["events", "get", "1-2"],
    ["resource-requirements", "list", "1"],
    ["resource-requirements", "get", "1-2"],
    ["failure-handlers", "list", "1"],
    ["failure-handlers", "get", "1", "2"],
    ["access-groups", "list"],
    ["access-groups", "list-members", "1"],
    ["access-groups", "list-user-groups", "bob"],
    ["access-groups", "list-workflow-groups", "1"],
    ["compute-nodes", "list", "1"],
    ["compute-nodes", "get", "1-2"],
    ["scheduled-compute-nodes", "list", "1"],
    ["scheduled-compute-nodes", "get", "1", "2"],
    ["scheduled-compute-nodes", "list-jobs", "1"],
    ["slurm", "list", "1"],
    ["slurm", "get", "1-2"],
    ["slurm", "rpc"],
    ["ro-crate", "list", "1"],
    ["ro-crate", "get", "1", "2"],
    ["admin", "audit", "list"],
    ["admin", "tokens", "list"],
    ["job-dependencies", "job-job", "1"],
    ["job-dependencies", "job-file", "1"],
    ["job-dependencies", "job-user-data", "1"],
    ["config", "paths"],
    ["plugins", "list"],
]
REPORTS = [
    ["reports", "check-resource-utilization", "1", "--all"],
    ["reports", "check-resource-utilization", "1", "--include-failed"],
    ["reports", "check-resource-utilization", "2"],
    ["reports", "results", "1"],
    ["reports", "results", "1", "--all-runs", "--all-attempts"],
    ["reports", "results", "2"],
    ["reports", "summary", "2"],
    ["workflows", "check-resources", "1"],
    ["workflows", "sync-status", "2"],
    ["workflows", "simulate", "1", "--nodes", "1,2", "--cpus", "4", "--walltime", "1h"],
    ["workflows", "graph", "1"],
    ["workflows", "graph", "1", "--view", "files"],
    ["workflows", "graph", "2", "--view", "user-data"],
]
EMPTY = [
    [*words[:2], "2"]
    for words in LISTS
    if words[0] not in ("workflows", "config", "plugins", "access-groups", "admin")
    and words[1] not in ("get", "rpc")
]
RECORDS = [
    ["workflows", "get", "1"],
    ["workflows", "update", "1", "-d", "x"],
    ["workflows", "is-complete", "1"],
    ["workflows", "initialize", "1", "--dry-run"],
    ["workflows", "initialize", "2"],
    ["workflows", "initialize", "2", "--wait-timeout", "5"],
    ["workflows", "reinitialize", "1", "--dry-run"],
    ["workflows", "reinitialize", "2"],
    ["workflows", "reset-status", "2", "--yes"],
    ["workflows", "reset-status", "2", "--dry-run", "-r"],
    ["workflows", "archive", "2"],
    ["workflows", "unarchive", "2"],
    ["workflows", "new", "-n", "x"],
    ["jobs", "get", "1"],
    ["jobs", "get", "4"],
    ["jobs", "create", "2", "-n", "x", "-c", "true"],
    ["jobs", "update", "1", "--priority", "3"],
    ["jobs", "logs", "2", "--path"],
    ["jobs", "cancel", "3"],
    ["jobs", "reset-status", "1", "--dry-run"],
    ["jobs", "reset-status", "2", "--yes"],
    ["jobs", "retry", "2"],
    ["jobs", "delete", "1", "--yes"],
    ["jobs", "delete-all", "2", "--yes"],
    ["files", "get", "1"],
    ["files", "create", "1", "-n", "x", "-p", "x"],
    ["files", "update", "1", "-n", "x"],
    ["files", "delete", "4", "--yes"],
    ["user-data", "get", "1"],
    ["user-data", "create", "1", "-n", "x"],
    ["user-data", "update", "1", "-d", "1"],
    ["user-data", "delete", "1", "--yes"],
    ["user-data", "delete-all", "1", "--yes"],
    ["results", "get", "1"],
    ["results", "delete", "1", "--yes"],
    ["events", "get", "1"],
    ["events", "create", "1", "-d", "{}"],
    ["events", "get-latest-event", "1"],
    ["resource-requirements", "get", "1"],
    ["resource-requirements", "create", "1", "-n", "x"],
    ["resource-requirements", "update", "2", "-m", "1g"],
    ["failure-handlers", "get", "1"],
    ["failure-handlers", "create", "1", "-n", "x", "--rules", '[{"exit_codes": [1]}]'],
    ["failure-handlers", "delete", "1", "--yes"],
    ["compute-nodes", "get", "1"],
    ["scheduled-compute-nodes", "get", "1"],
    ["slurm", "get", "1"],
    ["slurm", "create", "1", "-n", "x", "-a", "physics", "--serialize-allocations"],
    ["slurm", "update", "1", "--nodes", "2", "--qos", "", "--no-auto-top-up"],
    ["slurm", "delete", "2", "--yes"],
    ["slurm", "prune", "2"],
    ["access-groups", "get", "1"],
    ["access-groups", "create", "other"],
    ["access-groups", "add-user", "1", "eve"],
    ["access-groups", "add-workflow", "2", "1", "--yes"],
    ["access-groups", "check", "1", "bob"],
    ["ro-crate", "get", "1"],
    ["ro-crate", "create", "1", "--entity-id", "x", "--type", "File"],
    ["ro-crate", "add-dataset", "1", "--name", "d", "--path", "."],
    ["ro-crate", "export", "1", "--validate"],
    ["workflows", "export", "1", "-o", "w.json"],
    ["tasks", "wait", "1"],
    ["ping"],
    ["reports", "summary", "1"],
    ["workflows", "execution-plan", "1"],
    ["workflows", "execution-plan", "2", "--nodes", "2", "--cpus", "2", "--stages", "1"],
    ["workflows", "correct-resources", "1"],
    ["workflows", "correct-resources", "1", "--dry-run", "--job-ids", "1,2"],
    ["config", "show"],
    ["config", "get", "client.format"],
    ["config", "set", "client.run.num_cpus", "2"],
    ["config", "validate"],
    ["plugins", "show", "sqlite"],
]  # fmt: skip
NEED_A_WORKFLOW = [
    ["workflows", "get"],
    ["workflows", "update", "-d", "x"],
    ["workflows", "is-complete"],
    ["workflows", "initialize"],
    ["workflows", "reinitialize"],
    ["workflows", "reset-status"],
    ["workflows", "archive", "true"],
    ["workflows", "unarchive"],
    ["workflows", "list-actions"],
    ["workflows", "sync-status"],
    ["slurm", "list"],
    ["slurm", "create", "-n", "x", "-a", "physics"],
    ["slurm", "schedule-nodes"],
    ["slurm", "prune"],
    ["jobs", "list"],
    ["jobs", "create", "-n", "x", "-c", "true"],
    ["jobs", "delete-all", "--yes"],
    ["jobs", "list-resource-requirements"],
    ["jobs", "list-failure-handlers"],
    ["files", "list"],
    ["files", "create", "-n", "x", "-p", "x"],
    ["files", "list-required-existing"],
    ["user-data", "list"],
    ["user-data", "create", "-n", "x"],
    ["user-data", "delete-all", "--yes"],
    ["user-data", "list-missing"],
    ["results", "list"],
    ["events", "list"],
    ["events", "create", "-d", "{}"],
    ["events", "monitor"],
    ["events", "get-latest-event"],
    ["resource-requirements", "list"],
    ["resource-requirements", "create", "-n", "x"],
    ["failure-handlers", "list"],
    ["failure-handlers", "create", "-n", "x", "--rules", '[{"exit_codes": [1]}]'],
    ["job-dependencies", "job-job"],
    ["job-dependencies", "job-file"],
    ["job-dependencies", "job-user-data"],
    ["compute-nodes", "list"],
    ["scheduled-compute-nodes", "list"],
    ["reports", "check-resource-utilization"],
    ["reports", "results"],
    ["reports", "summary"],
    ["workflows", "correct-resources"],
    ["workflows", "check-resources"],
    ["workflows", "execution-plan"],
    ["workflows", "simulate"],
    ["workflows", "graph"],
]
NEED_AN_ID = [
    ["jobs", "get"],
    ["jobs", "update", "--priority", "1"],
    ["jobs", "delete", "--yes"],
    ["jobs", "cancel"],
    ["jobs", "terminate"],
    ["jobs", "logs"],
    ["jobs", "create-from-file"],
    ["files", "get"],
    ["files", "update", "-n", "x"],
    ["files", "delete", "--yes"],
    ["user-data", "get"],
    ["user-data", "update", "-n", "x"],
    ["user-data", "delete", "--yes"],
    ["results", "get"],
    ["results", "delete", "--yes"],
    ["events", "get"],
    ["events", "delete", "--yes"],
    ["resource-requirements", "get"],
    ["resource-requirements", "update", "-n", "x"],
    ["resource-requirements", "delete", "--yes"],
    ["failure-handlers", "get"],
    ["failure-handlers", "delete", "--yes"],
    ["slurm", "get"],
    ["slurm", "update", "--nodes", "2"],
    ["slurm", "delete", "--yes"],
    ["tasks", "wait"],
    ["compute-nodes", "get"],
    ["scheduled-compute-nodes", "get"],
    ["config", "get"],
    ["config", "set"],
    ["config", "unset"],
    ["plugins", "show"],
    ["completions"],
]
DESTRUCTIVE = [
    ["jobs", "delete", "1"],
    ["jobs", "delete-all", "1"],
    ["files", "delete", "1"],
    ["user-data", "delete", "1"],
    ["user-data", "delete-all", "1"],
    ["results", "delete", "1"],
    ["events", "delete", "USER_EVENT"],
    ["resource-requirements", "delete", "2"],
    ["failure-handlers", "delete", "1"],
    ["slurm", "delete", "1"],
    ["workflows", "initialize", "1", "--force"],
]
KINDS = [Job, File, UserData, Result, Event, Requirement, FailureHandler, SlurmScheduler]
COUNTED = ["jobs", "files", "user-data", "results", "events", "resource-requirements"]


@pytest.fixture
def stores(diamond, store_of_the_user):
    """Workflow 1 in the middle of its run, workflow 2 with one job, workflow 3 about to be initialised."""
    with store_of_the_user() as store:
        second = store.create(Plan(workflow=PlannedWorkflow(name="second")), "ana")
        store.add_jobs([NewJob(workflow_id=second.id, name="only", command="true")])
        store.add([FailureHandler(workflow_id=WorkflowId(1), name="b", rules=[{"exit_codes": [9]}])])
        third = store.create(Plan(workflow=PlannedWorkflow(name="third")), "ana")
        store.begin(third.id, "initialize_jobs", {})
        group = store.add([AccessGroup(name="lab")])[0].id
        first = WorkflowId(1)
        store.add([
            File(workflow_id=second.id, name="spare", path="s"), Membership(group_id=group, user_name="bob"), GroupLink(workflow_id=first, group_id=group),
            SlurmScheduler(workflow_id=first, name="a", fields={"account": "physics"}), SlurmScheduler(workflow_id=first, name="b", fields={"account": "physics"}),
            RoCrateEntity(workflow_id=first, entity_id="a", entity_type="File", metadata={"name": "x"}),
            RoCrateEntity(workflow_id=first, entity_id="b", entity_type="File", metadata={}),
            Allocation(workflow_id=first, scheduler_id="77"), Allocation(workflow_id=second.id, scheduler_id="78", status=AllocationStatus.COMPLETE),
            Node(id=0, workflow_id=first, epoch="", hostname="n2", pid=5, boot_id="", process_start=0, capacity=Resources()),
            Token(key="k", digest="d", user="ana", workflows=[first]),
            AuditEntry(operation="denied", principal="eve", established="password", peer="10.0.0.1"),
        ])  # fmt: skip


@pytest.fixture
def all_records(store_of_the_user):
    """Everything that is stored of workflow 1."""

    def records():
        with store_of_the_user() as store:
            return {kind: store.find(kind, Query(workflow=WorkflowId(1))).items for kind in KINDS}

    return records


def spoken(words):
    return " ".join(words) if isinstance(words, list) else str(words)


def closed(schema):
    """The same schema, but for the keys that it names nothing may be there."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if "properties" in inner:
        inner.setdefault("additionalProperties", False)
    return inner


@pytest.mark.parametrize(
    "words", [*LISTS, *REPORTS, *EMPTY, *(one for one in RECORDS if one[0] != "plugins")], ids=spoken
)
def test_json_follows_its_schema_to_the_key(torc, stores, words):
    ran = torc(*words, "-f", "json")

    document = ran.json
    schema = schemas.load(document["schema"])
    assert next(iter(document)) == "schema"
    if document["schema"] != "torc.outcome/1":
        schema = closed(schema)
    jsonschema.validate(document, schema)


@pytest.mark.parametrize("words", LISTS, ids=spoken)
def test_csv_has_as_many_rows_as_json_has_items(torc, stores, words):
    document = torc(*words, "-f", "json").json

    rows = torc(*words, "-f", "csv").rows

    assert len(rows) == document["count"]
    assert set(rows[0]) == {key for item in document["items"] for key in item} if rows else True


@pytest.mark.parametrize("words", LISTS, ids=spoken)
def test_a_table_has_a_line_for_each_item_and_quiet_changes_nothing(torc, stores, words):
    count = torc(*words, "-f", "json").json["count"]

    loud = torc(*words)
    quiet = torc(*words, "--quiet")

    assert len(loud.out.splitlines()) == (count + 1 if count else 0)
    assert quiet.out == loud.out


@pytest.mark.parametrize("words", EMPTY, ids=spoken)
def test_an_empty_list_is_no_error(torc, stores, words):
    ran = torc(*words)

    assert ran.code == 0
    if not ran.out:
        assert ran.err.startswith("No ")


@pytest.mark.parametrize("words", [one for one in RECORDS if one[:2] != ["config", "show"]], ids=spoken)
def test_csv_of_what_is_no_list_is_refused_before_anything_happens(torc, stores, all_records, words):
    before = all_records()

    ran = torc(*words, "-f", "csv")

    assert ran.code == 2
    assert "-f json" in ran.err
    assert all_records() == before


@pytest.mark.parametrize("words", NEED_A_WORKFLOW, ids=spoken)
def test_a_missing_workflow_is_never_asked_for_without_a_terminal(torc, stores, words):
    begun = time.monotonic()

    ran = torc(*words)

    assert ran.code == 2
    assert "no workflow id given and no terminal to ask on" in ran.err
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("words", NEED_AN_ID, ids=spoken)
def test_a_missing_id_is_wrong_usage(torc, words):
    ran = torc(*words)

    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("words", [one for one in NEED_AN_ID if one[0] in COUNTED], ids=spoken)
def test_an_unknown_id_is_not_found(torc, stores, words):
    extra = ["/dev/null"] if words[1] == "create-from-file" else []

    ran = torc(*words[:2], "9999", *extra, *words[2:], "--json")

    assert ran.code == (2 if extra else 5)
    assert ran.out == ""


@pytest.mark.parametrize("words", DESTRUCTIVE, ids=spoken)
def test_what_destroys_is_refused_without_a_yes_and_a_terminal(torc, stores, all_records, words):
    made = json.loads(torc("events", "create", "1", "-d", "{}", "--json").out)["id"]
    torc("jobs", "cancel", "3")
    before = all_records()

    ran = torc(*(str(made) if word == "USER_EVENT" else word for word in words))

    assert ran.code == 3
    assert "--yes" in ran.err
    assert all_records() == before


def test_errors_in_json_are_one_object_on_stderr(torc, stores):
    ran = torc("jobs", "get", "999", "--json")

    document = json.loads(ran.err)
    jsonschema.validate(document, closed(schemas.load("torc.error/1")))
    assert (ran.out, document["code"], document["exit_code"]) == ("", "not_found", 5)


SPEC = """
name: d
jobs:
  - {name: good, command: "true"}
  - {name: bad, command: "exit 3"}
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["create", "s.yaml", "--dry-run"], 0),
        (["create", "bad.yaml", "--dry-run"], 2),
        (["create", "s.yaml"], 0),
        (["run", "s.yaml", "--dry-run"], 0),
        (["run", "s.yaml"], 1),
        (["exec", "-c", "true", "--dry-run"], 0),
        (["exec", "-c", "true"], 0),
        (["status", "last", "--by-stage"], 0),
        (["cancel", "last"], 0),
        (["delete", "last", "--yes"], 0),
    ],
    ids=spoken,
)
def test_the_life_cycle_follows_its_schemas_too(torc, home, words, code):
    (home / "s.yaml").write_text(SPEC)
    (home / "bad.yaml").write_text(SPEC.replace("command", "comand"))
    torc("create", "s.yaml")

    program = [sys.executable, "-m", "torc_core", *words, "--json"]
    ran = subprocess.run(program, cwd=home, capture_output=True, text=True, check=False, timeout=60)

    document = json.loads(ran.stdout)
    schema = schemas.load(document["schema"])
    jsonschema.validate(document, schema if document["schema"] == "torc.outcome/1" else closed(schema))
    assert ran.returncode == code


def test_every_schema_is_a_valid_schema_and_names_itself():
    for name in schemas.names():
        schema = schemas.load(name)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["properties"]["schema"]["const"] == name


def test_every_schema_is_used():
    used = {
        "torc.run/1", "torc.status/1", "torc.create.check/1", "torc.run.check/1", "torc.exec.plan/1", "torc.events.event/1", "torc.plugins.check/1", "torc.error/1", "torc.plot-resources/1",
        "torc.admin.audit.list/1", "torc.admin.tokens.list/1", "torc.access-groups.member/1", "torc.access-groups.link/1",
        "torc.ro-crate.validate/1", "torc.reconcile/1", "torc.explain/1", "torc.explain-workflow/1",
    }  # fmt: skip
    printed = {f"torc.{words[0]}.{words[1]}/1" for words in (*LISTS, *REPORTS, *RECORDS) if len(words) > 1}
    printed |= {"torc.jobs.job/1", "torc.outcome/1", "torc.workflows.initialize-check/1"}
    printed.add("torc.workflows.reinitialize-check/1")
    printed.add("torc.ping/1")
    used |= {
        name
        for name in schemas.names()
        if name.startswith(("torc.remote.", "torc.hpc.", "torc.slurm.", "torc.server."))
    }  # tests/plugins/{ssh,slurm,http}
    used |= {
        "torc.recover/1",
        "torc.watch/1",
        "torc.doctor/1",
        "torc.submit/1",
        "torc.submit.check/1",
        "torc.submit.wait/1",
    }

    assert set(schemas.names()) - used <= printed
