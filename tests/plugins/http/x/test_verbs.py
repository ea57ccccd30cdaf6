"""The verbs of the store over HTTP take what the protocol says, and nothing else gets as far as a store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.http.x.conftest import Api
from torc_core.store.calls import CALLS

KIND = {"#": "File"}
WORKFLOW = {"#": "Workflow"}
MANY = {"{}": [[1, 2]]}


def say(api: Api, verb: str, *args: Any, **named: Any) -> Any:
    return api.ask("POST", f"/x/store/{verb}", {"args": list(args), "named": named})


@pytest.mark.parametrize(
    ("verb", "args", "sentence"),
    [
        ("turn", (), "turn cannot be called so: missing a required argument: 'turn'"),
        ("turn", ("x",), "turn: turn has to be a Turn, got 'x'"),
        ("turn", ({"@": "Turn", "node": [1], "epoch": "e"},), "turn: turn.node has to be int, got 'list'"),
        ("turn", ({"@": "Turn", "node": 1, "epoch": "e", "beat": 5},), "turn: turn.beat has to be Beat or null, got 5"),
        ("claim", (True, {"@": "Offer", "claim_id": "c", "free": []}), "claim: workflow has to be int, got True"),
        ("claim", (1, {"@": "Offer", "claim_id": "c", "free": [7]}), "claim: offer.free[0] has to be a Resources, got 7"),
        ("totals", ([1, "a"],), "totals: workflows[1] has to be int, got 'a'"),
        ("get", ("File", 1), "get: kind has to be a kind of records, got 'File'"),
        ("cancel", (1, 5), "cancel: reason has to be str or null, got 5"),
        ("cancel", ("\ud800",), "cancel: workflow has to be int, got '?'"),
        ("archive", (1, "yes"), "archive: archived has to be bool, got 'yes'"),
        ("change", (KIND, 1, {"st_mtime": "abc"}), "change: fields.st_mtime has to be float or null, got 'abc'"),
        ("change", (KIND, 1, {"size": 1.5}), "change: fields.size has to be int or null, got 1.5"),
        ("change", ({"#": "Job"}, 1, {"priority": True}), "change: fields.priority has to be int, got True"),
        ("change", ({"#": "Job"}, 1, {"input_files": ["x"]}), "change: fields.input_files[0] has to be int, got 'x'"),
        ("change", ({"#": "Job"}, 1, {"status": "x"}), "change: fields.status has to be a JobStatus, got 'x'"),
        ("change", (WORKFLOW, 1, {"metadata": [1]}), "change: fields.metadata has to be an object, got 'list'"),
        ("change", (WORKFLOW, 1, {"metadata": {"a": MANY}}), "change: fields.metadata.a has to be null or bool or int"),
        ("change", (WORKFLOW, 1, {"submit_options": 5}), "change: fields.submit_options has to be Mapping or null, got 5"),
        ("add", ([{"@": "File", "workflow_id": 1, "name": "f", "path": 7}],), "add: records[0].path has to be str, got 7"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_verb_is_refused_by_its_place(
    api: Api, verb: str, args: Any, sentence: str
) -> None:
    api.plan({"name": "a", "command": "true"})

    said = say(api, verb, *args)

    assert said.status == 422, said
    assert said.body["error"]["message"].startswith(sentence)


@pytest.mark.parametrize("verb", sorted(CALLS - {"server_id", "sweep", "renew_leases"}))
def test_no_verb_fails_by_what_it_is_called_with(api: Api, verb: str) -> None:
    values = [None, "a", 1.5, [1], {"a": 1}, {"()": [{"()": []}]}, KIND, "\ud800"]

    said = [say(api, verb, *[value] * count) for value in values for count in range(4)]

    assert [one for one in said if one.status >= 500] == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"execution_config": {"mode": 5}}, "execution_config.mode: expected text"),
        ({"resource_monitor_config": {"enabled": 5}}, "resource_monitor_config.enabled: expected true or false"),
    ],
)  # fmt: skip
def test_settings_that_clients_cannot_read_come_in_by_no_way(api: Api, settings: Any, sentence: str) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
    document = api("GET", f"/x/workflows/{workflow}/export")
    document.pop("checksum")
    document["workflow"] |= settings
    plan = {"@": "Plan", "workflow": {"@": "PlannedWorkflow", "name": "w", **settings}}

    for said in (
        say(api, "change", WORKFLOW, workflow, settings),
        say(api, "create", plan, "ann"),
        say(api, "import_workflow", document, "ann"),
        api.ask("POST", "/x/imports", {"document": document}),
    ):
        assert said.status == 422, said
        assert said.body["error"]["message"].startswith(sentence)
    assert len(api("GET", "/workflows")["items"]) == 1
