"""The OpenAPI document is valid, and says of every published operation what the published contracts say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from torc_http.openapi import document
from torc_http.routes import all_routes

CONTRACTS = Path(__file__).parents[3] / "clients" / "contracts"
VERSIONS = ("0.22.2", "0.35.0")
JSON_FIELDS = {
    ("WorkflowModel", "metadata"), ("WorkflowModel", "execution_config"), ("WorkflowModel", "resource_monitor_config"),
    ("WorkflowModel", "slurm_defaults"), ("RoCrateEntityModel", "metadata"),
}  # fmt: skip
"""Text or object, by the generation of the client (`wire.md` T14)."""
FREE = {"ComputeNodeModel.scheduler", "WorkflowActionModel.action_config"}
"""Any JSON in the contract; we want an object, which clients send."""
LENIENT = {"DynamicJobsConfig.max_iterations"}
UNIONS = {
    "WorkflowStatusModel": "WorkflowStatusResponse",
}
"""Two published models that are one body here."""
NEVER_SENT_ALONE = {
    "ExecutionConfig", "ExecutionMode", "StdioConfig", "StdioMode", "ResourceMonitorConfig", "JobMonitorConfig",
    "ComputeNodeMonitorConfig", "MonitorGranularity", "JobStatus", "TaskStatus",
}  # fmt: skip
"""Parts of free JSON objects, and enumerations that stand where they are used."""


@pytest.fixture(scope="module")
def spec() -> Mapping[str, Any]:
    return json.loads(json.dumps(document(all_routes())))


@pytest.fixture(scope="module", params=VERSIONS)
def contract(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    return json.loads((CONTRACTS / f"{request.param}.json").read_text())


def test_the_document_is_valid_openapi(spec: Mapping[str, Any]) -> None:
    validate(spec)


def test_every_published_operation_is_there_under_its_id(spec, contract) -> None:
    for place, published in contract["operations"].items():
        method, path = place.split(" ")
        ours = spec["paths"][path][method.lower()]
        assert ours["operationId"] == published["operation_id"]


def test_parameters_have_the_published_names_and_types(spec, contract) -> None:
    for place, published in contract["operations"].items():
        method, path = place.split(" ")
        ours = {one["name"]: one for one in spec["paths"][path][method.lower()]["parameters"]}
        for name, told in published["query"].items():
            assert ours[name]["in"] == "query", (place, name)
            assert ours[name]["required"] == told["required"], (place, name)
            assert fits(told["type"], ours[name]["schema"], spec), (place, name)
        assert {name for name, one in ours.items() if one["in"] == "path"} == set(published["path_params"])


def test_bodies_and_answers_have_the_published_models(spec, contract) -> None:
    for place, published in contract["operations"].items():
        method, path = place.split(" ")
        ours = spec["paths"][path][method.lower()]
        if published["body"] is None:
            assert "requestBody" not in ours, place
        else:
            sent = ours["requestBody"]["content"]["application/json"]["schema"]
            assert fits(published["body"]["type"], sent, spec), place
        for status, told in published["responses"].items():
            answer = ours["responses"][status]["content"]["application/json"]["schema"]
            assert fits(told, answer, spec), (place, status)


def test_models_have_the_published_fields(spec, contract) -> None:
    models = spec["components"]["schemas"]
    sent = {one["body"]["type"] for one in contract["operations"].values() if one["body"]}
    for name, published in contract["models"].items():
        if name in NEVER_SENT_ALONE:
            continue
        ours = models[name] if name in models else models[UNIONS[name]]
        for field, told in published["fields"].items():
            if (name, field) in JSON_FIELDS:
                continue
            described = ours["properties"][field]
            place = f"{name}.{field}"
            assert fits(told["type"], described, spec) or place in FREE, place
            assert (field in ours.get("required", ())) >= told["required"] or place in LENIENT, place
            if name in sent and not told["required"]:
                assert field not in ours.get("required", ()), place


def fits(type_: str, schema: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether a schema is what the contract calls so."""
    if "anyOf" in schema:
        return any(fits(type_, one, spec) for one in schema["anyOf"])
    kinds = schema.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if type_ in ("integer", "string", "boolean", "number"):
        return (type_ in kinds and "enum" not in schema) or (type_ == "string" and "enum" in schema)
    if type_ == "any":
        return not kinds
    if type_ == "object":
        return "object" in kinds or "$ref" in schema
    if type_.startswith("array<"):
        return "array" in kinds and fits(type_[6:-1], schema["items"], spec)
    if type_.startswith("map<"):
        return "object" in kinds and "additionalProperties" in schema
    if "enum" in schema:
        return type_ in ("JobStatus", "TaskStatus", "ExecutionMode")
    names = (type_, UNIONS.get(type_))
    return schema.get("$ref", "").rpartition("/")[2] in names or type_ == "ErrorResponse"
