"""A POST that comes again with its key does nothing, and is answered as it was (`wire.md` T16)."""

from __future__ import annotations

from typing import Any

import pytest

from torc_core.testing.plugin import SetClock

KEY = {"Idempotency-Key": "once-1"}


def file(workflow: int, name: str = "f") -> dict[str, Any]:
    return {"workflow_id": workflow, "name": name, "path": name}


def count(api: Any, workflow: int) -> int:
    return api("GET", "/files", params={"workflow_id": workflow})["total_count"]


def test_the_same_key_gives_the_same_answer_and_does_nothing(each) -> None:
    id = each.workflow()

    first = each("POST", "/files", file(id), headers=KEY)
    second = each("POST", "/files", file(id), headers=KEY)

    assert second == first
    assert count(each, id) == 1


def test_the_same_key_with_another_body_is_refused(each) -> None:
    id = each.workflow()
    each("POST", "/files", file(id), headers=KEY)

    result = each.send("POST", "/files", file(id, "g"), headers=KEY)

    assert result.status_code == 422
    assert "another body" in result.json["error"]["message"]
    assert count(each, id) == 1


def test_keys_of_different_routes_have_nothing_to_do_with_each_other(each) -> None:
    id = each.workflow()
    each("POST", "/files", file(id), headers=KEY)

    assert each("POST", "/user_data", {"workflow_id": id, "name": "u"}, headers=KEY)["name"] == "u"


def test_a_refused_call_leaves_its_key_free(each) -> None:
    id = each.workflow()
    assert each.send("POST", "/files", file(99), headers=KEY).status_code == 404

    assert each("POST", "/files", file(id), headers=KEY)["name"] == "f"


def test_a_key_lives_for_a_day(each, clock: SetClock) -> None:
    id = each.workflow()
    each("POST", "/files", file(id), headers=KEY)
    clock.move(24 * 3600 + 1)

    each("POST", "/files", file(id), headers=KEY)

    assert count(each, id) == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "é"])
def test_a_key_that_is_none_is_a_400(each, key: str) -> None:
    id = each.workflow()

    assert each.send("POST", "/files", file(id), headers={"Idempotency-Key": key}).status_code == 400


def test_a_call_of_several_steps_that_fails_has_done_nothing(each) -> None:
    id, other = each.workflow(), each.workflow()
    job = each.jobs(other, "elsewhere")[0]

    result = each.send(
        "POST", "/user_data", {"workflow_id": id, "name": "u"}, params={"consumer_job_id": job}
    )

    assert result.status_code == 422
    assert each("GET", "/user_data", params={"workflow_id": id})["total_count"] == 0
