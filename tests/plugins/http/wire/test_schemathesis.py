"""Requests drawn from the OpenAPI document: no answer is a 500, and every answer is as the document says."""

from __future__ import annotations

import os

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_http.app import create_app
from torc_http.call import Service

EXAMPLES = int(os.environ.get("TORC_TEST_REQUESTS", "800"))
"""Requests in all, about; promises ask for 50,000, and then for each boundary of each field besides."""

app = create_app(Service(store=MemoryStore(SystemClock())))
config = schemathesis.Config()
config.projects.default.phases.coverage.enabled = "TORC_TEST_REQUESTS" in os.environ
schema = schemathesis.openapi.from_wsgi("/torc-service/v1/openapi.json", app, config=config).exclude(tag="x")


@schema.parametrize()
@settings(
    max_examples=max(2, EXAMPLES // 130), deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck), derandomize=True, database=None,
)  # fmt: skip
def test_drawn_requests(case) -> None:
    response = case.call()

    case.validate_response(response, checks=[not_a_server_error, response_schema_conformance])
