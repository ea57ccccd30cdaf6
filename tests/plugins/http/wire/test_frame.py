"""What holds for every call: statuses, errors, repeated requests, generations of clients."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.waiting import SOON
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_http.app import create_app
from torc_http.call import Service
from torc_sql import deletion

OLD = {"User-Agent": "OpenAPI-Generator/0.12.0/python"}


def refused(result: Any, status: int) -> Mapping[str, Any]:
    """The body of an error, which has the one shape of all errors."""
    assert result.status_code == status, result.text
    body = result.json
    assert body["errorNum"] == body["code"] == status
    assert body["errorMessage"] == body["error"]["message"]
    assert result.headers["content-type"].startswith("application/json")
    return body["error"]


def test_an_unknown_path_is_a_404_in_json(api) -> None:
    assert "nothing at" in refused(api.send("GET", "/nothing"), 404)["message"]


def test_an_unknown_method_is_a_405_that_tells_the_others(api) -> None:
    result = api.send("PATCH", "/jobs")

    refused(result, 405)
    assert result.headers["allow"] == "DELETE, GET, POST"


def test_options_is_a_405_without_any_cors_header(api) -> None:
    result = api.send("OPTIONS", "/jobs")

    refused(result, 405)
    assert not [name for name in result.headers if name.lower().startswith("access-control")]


def test_a_body_that_is_no_json_is_a_400(api) -> None:
    refused(api.send("POST", "/workflows", raw="{"), 400)


def test_a_missing_body_is_a_400(api) -> None:
    refused(api.send("POST", "/workflows"), 400)


def test_a_form_is_a_415(api) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    refused(api.send("POST", "/workflows", raw="name=a", headers=headers), 415)


def test_a_body_that_is_too_large_is_a_413(api) -> None:
    refused(api.send("POST", "/workflows", raw=" " * (2 * 1024**2 + 1)), 413)


def test_a_body_on_a_route_that_takes_none_is_ignored(api) -> None:
    assert api("GET", "/ping", {"any": "thing"}) == {"status": "ok"}


def test_a_wrong_field_is_a_422_that_names_it(api) -> None:
    error = refused(api.send("POST", "/workflows", {"name": 7, "user": "ann"}), 422)

    assert error["field"] == "name"
    assert error["value"] == 7


def test_a_missing_record_is_a_404(api) -> None:
    refused(api.send("GET", "/jobs/7"), 404)


def test_a_wrong_id_is_a_422(api) -> None:
    assert refused(api.send("GET", "/jobs/seven"), 422)["field"] == "id"


def test_bulk_bodies_may_be_packed(api) -> None:
    id = api.workflow()
    jobs = {"jobs": [{"workflow_id": id, "name": "a", "command": "true"}]}
    headers = {"Content-Encoding": "gzip"}

    found = api("POST", "/bulk_jobs", raw=gzip.compress(json.dumps(jobs).encode()), headers=headers)

    assert [job["name"] for job in found["jobs"]] == ["a"]


def test_a_packed_body_counts_by_its_unpacked_size(clock: SetClock) -> None:
    import falcon.testing

    app = create_app(Service(store=MemoryStore(clock), clock=clock, sizes={"bulk": 1000}))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    result = falcon.testing.TestClient(app).simulate_post(
        "/torc-service/v1/bulk_jobs", body=gzip.compress(b" " * 1001), headers=headers
    )

    assert "1000 bytes" in refused(result, 413)["message"]


def test_the_same_routes_answer_below_a_capability(api) -> None:
    import falcon.testing

    client = falcon.testing.TestClient(api.app)

    assert client.simulate_get("/t/secret/torc-service/v1/ping").json == {"status": "ok"}
    assert client.simulate_get("/t/secret/ping").status_code == 404
    assert "secret" not in client.simulate_get("/t/secret/ping").text


def test_a_repeated_delete_gets_the_first_answer_for_two_minutes(api, clock: SetClock) -> None:
    id = api.workflow()
    file = api("POST", "/files", {"workflow_id": id, "name": "f", "path": "f"})["id"]
    first = api("DELETE", f"/files/{file}")

    clock.move(119)
    assert api("DELETE", f"/files/{file}") == first
    clock.move(2)
    refused(api.send("DELETE", f"/files/{file}"), 404)


@pytest.mark.parametrize("each", ["sqlite"], indirect=True)
def test_a_delete_that_is_repeated_before_the_first_is_done_is_to_be_repeated_later(
    each, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = each.workflow()
    gone, goes_on = threading.Event(), threading.Event()
    purge = deletion.purge

    def slow(*how: Any) -> bool:
        gone.set()
        goes_on.wait(SOON)
        return purge(*how)

    monkeypatch.setattr(deletion, "purge", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(each, "DELETE", f"/workflows/{id}")
        gone.wait(SOON)
        second = each.send("DELETE", f"/workflows/{id}")
        goes_on.set()

    assert (second.status_code, second.headers["retry-after"]) == (503, "2")
    assert each("DELETE", f"/workflows/{id}") == first.result()


def test_a_repeated_removal_of_all_gets_the_first_count_but_removes_what_is_new(api) -> None:
    id = api.workflow()
    api.jobs(id, "a", "b")

    assert api("DELETE", "/jobs", params={"workflow_id": id}) == {"count": 2}
    assert api("DELETE", "/jobs", params={"workflow_id": id}) == {"count": 2}
    api.jobs(id, "c")
    assert api("DELETE", "/jobs", params={"workflow_id": id}) == {"count": 1}


def test_every_answer_has_a_request_id_of_its_own(api) -> None:
    first, second = (api.send("GET", "/ping").headers["x-request-id"] for _ in range(2))

    assert first != second


CONFIG = {"mode": "direct", "limit_resources": False}


@pytest.mark.parametrize("sent", [CONFIG, json.dumps(CONFIG)])
def test_json_fields_come_as_text_for_old_clients_and_as_objects_for_all_others(api, sent: Any) -> None:
    id = api.workflow(execution_config=sent, metadata={"a": [1]})

    new, old = api("GET", f"/workflows/{id}"), api("GET", f"/workflows/{id}", headers=OLD)

    assert new["execution_config"] == CONFIG
    assert json.loads(old["execution_config"]) == CONFIG
    assert json.loads(old["metadata"]) == {"a": [1]}
    assert old["status_id"] == id


@pytest.mark.parametrize("sent", ["[]", "{", "7", [], 7])
def test_a_json_field_that_holds_no_object_is_a_422(api, sent: Any) -> None:
    error = refused(api.send("POST", "/workflows", {"name": "w", "user": "ann", "metadata": sent}), 422)

    assert error["field"] == "metadata"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("execution_config", {"mode": "slurm", "limit_resources": True}),
        ("execution_config", {"mode": "fast"}),
        ("execution_config", {"termination_signal": "SIGFUN"}),
        ("resource_monitor_config", {"sample_interval_seconds": 0}),
        ("slurm_defaults", {"partition": "x"}),
        ("submission_directory", "here"),
        ("env", {"1": "x"}),
        ("notify", [{"on": ["nothing"]}]),
        ("compute_node_wait_for_new_jobs_seconds", -1),
    ],
)
def test_settings_are_as_strict_as_in_a_spec(api, field: str, value: Any) -> None:
    error = refused(api.send("POST", "/workflows", {"name": "w", "user": "ann", field: value}), 422)

    assert error["field"].startswith(field)


def test_what_newer_clients_put_into_a_config_is_kept(api) -> None:
    id = api.workflow(execution_config={"mode": "direct", "future": 1})

    assert api("GET", f"/workflows/{id}")["execution_config"] == {"mode": "direct", "future": 1}
