"""`enable_ro_crate`: what a workflow tells by itself, and the document that others read."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest

SPEC = """
name: prov
enable_ro_crate: true
metadata: {license: "https://spdx.org/licenses/MIT"}
files:
  - {name: raw, path: "in put.txt"}
  - {name: mid, path: mid.txt, identifier: "data/mid"}
  - {name: out, path: results}
jobs:
  - name: first
    command: cat "${files.input.raw}" > ${files.output.mid}
  - name: second
    command: mkdir -p ${files.output.out} && cp ${files.input.mid} ${files.output.out}/x
  - name: third
    command: exit 3
"""


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def graph(document):
    return {node["@id"]: node for node in document["@graph"]}


def references(value):
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.fixture
def study(torc, home):
    """A workflow that has run."""
    (home / "in put.txt").write_text("raw\n")
    (home / "w.yaml").write_text(SPEC)
    assert torc("run", "w.yaml").code == 1


def test_files_are_written_down_with_the_attempt_that_wrote_them(torc, study, home):
    found = {one["entity_id"]: one for one in torc("ro-crate", "list", "1", "--json").json["items"]}

    raw, mid, out = found["in%20put.txt"], found["data/mid"], found["results/"]
    assert (raw["entity_type"], raw["file_id"], raw["metadata"]["contentSize"]) == ("File", 1, 4)
    assert raw["metadata"]["sha256"] == sha256(home / "in put.txt")
    assert "prov:wasGeneratedBy" not in raw["metadata"]
    assert mid["metadata"]["sha256"] == sha256(home / "mid.txt")
    assert mid["metadata"]["prov:wasGeneratedBy"] == {"@id": "#job-1-attempt-1"}
    assert mid["metadata"]["prov:wasAttributedTo"] == {"@id": "#torc-run-1"}
    assert (out["entity_type"], "sha256" in out["metadata"]) == ("Dataset", False)


def test_the_document_tells_who_made_what_when_and_how(torc, study):
    document = torc("ro-crate", "export", "1", "--validate").json
    nodes = graph(document)

    first, third = nodes["#job-1-attempt-1"], nodes["#job-3-attempt-1"]
    assert first["@type"] == ["CreateAction", "prov:Activity"]
    assert (first["object"], first["result"]) == ([{"@id": "in%20put.txt"}], [{"@id": "data/mid"}])
    assert first["description"].startswith("cat ")
    assert first["startTime"] <= first["endTime"] <= nodes["#job-2-attempt-1"]["endTime"]
    assert nodes[first["agent"]["@id"]]["name"] == "ana"
    assert first["location"]["@id"] in nodes
    assert nodes[third["additionalProperty"]["@id"]]["value"] == 3
    assert third["actionStatus"] == {"@id": "http://schema.org/FailedActionStatus"}
    assert "result" not in third
    assert nodes["#torc-workflow"]["name"] == "prov"
    assert nodes["#torc-run-1"]["isBasedOn"] == {"@id": "#torc-workflow"}
    assert nodes["#torc"]["@type"] == ["SoftwareApplication", "prov:SoftwareAgent"]
    assert {"@id": "#job-1-attempt-1"} in nodes["./"]["mentions"]
    assert {"@id": "results/"} in nodes["./"]["hasPart"]


def test_the_document_is_an_ro_crate_by_the_letter(torc, study):
    document = torc("ro-crate", "export", "1").json
    nodes = graph(document)

    assert len(nodes) == len(document["@graph"])
    assert document["@context"] == [
        "https://w3id.org/ro/crate/1.1/context",
        {"prov": "http://www.w3.org/ns/prov#", "sha256": "http://schema.org/sha256"},
    ]
    descriptor = nodes["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert (descriptor["conformsTo"]["@id"], descriptor["about"]) == (
        "https://w3id.org/ro/crate/1.1",
        {"@id": "./"},
    )
    root = nodes["./"]
    assert root["@type"] == ["Dataset"]
    assert all(isinstance(root[key], str) for key in ("name", "description", "datePublished", "license"))
    outside = ("https://w3id.org/", "http://schema.org/")
    assert [
        id for id in references(document["@graph"]) if id not in nodes and not id.startswith(outside)
    ] == []
    data = [id for id, node in nodes.items() if {"File", "Dataset"} & set(node["@type"]) and id != "./"]
    assert sorted(data) == sorted(one["@id"] for one in root["hasPart"])
    for node in nodes.values():
        nested = [
            value
            for key, value in node.items()
            if isinstance(value, dict) and set(value) != {"@id"} and key != "@context"
        ]
        assert nested == []


def test_a_run_again_tells_of_the_new_files(torc, study, home):
    (home / "in put.txt").write_text("other\n")

    torc("workflows", "reinit", "1")
    torc("run", "1")

    nodes = graph(torc("ro-crate", "export", "1").json)
    assert nodes["in%20put.txt"]["sha256"] == sha256(home / "in put.txt")
    assert nodes["data/mid"]["sha256"] == sha256(home / "mid.txt")
    assert nodes["data/mid"]["prov:wasGeneratedBy"] == {"@id": "#job-1-attempt-1"}
    assert nodes["data/mid"]["prov:wasAttributedTo"] == {"@id": "#torc-run-2"}
    earlier, later = nodes["#job-1-run-1-attempt-1"], nodes["#job-1-attempt-1"]
    assert earlier["endTime"] < later["startTime"]
    assert (earlier["prov:wasAssociatedWith"], later["prov:wasAssociatedWith"]) == (
        {"@id": "#torc-run-1"},
        {"@id": "#torc-run-2"},
    )


def test_what_people_say_of_a_file_stays(torc, study, home):
    entity = {one["entity_id"]: one["id"] for one in torc("ro-crate", "list", "1", "--json").json["items"]}
    torc("ro-crate", "update", str(entity["in%20put.txt"]), "--metadata", '{"name": "numbers"}')
    torc("ro-crate", "create", "1", "--entity-id", "#torc-workflow", "--type", "SoftwareSourceCode",
         "--metadata", '{"name": "mine"}')  # fmt: skip
    (home / "in put.txt").write_text("four")

    torc("workflows", "reinit", "1")
    torc("run", "1")

    nodes = graph(torc("ro-crate", "export", "1").json)
    assert (nodes["in%20put.txt"]["name"], nodes["in%20put.txt"]["contentSize"]) == ("numbers", "4")
    assert nodes["#torc-workflow"]["name"] == "mine"


def test_provenance_goes_with_an_export_to_another_store(torc, study, home):
    torc("workflows", "export", "1", "-o", "w.json", "--include-results")
    torc("workflows", "import", "w.json", "--keep-status")

    nodes = graph(torc("ro-crate", "export", "2", "--validate").json)

    generated = nodes["data/mid"]["prov:wasGeneratedBy"]["@id"]
    assert nodes[generated]["name"] == "first"
    assert generated != "#job-1-attempt-1"


def test_a_crate_is_packed_under_the_names_of_its_files(torc, study, home):
    ran = torc("ro-crate", "export", "1", "--zip", "c.zip", "--include-files", "--validate", "--json")

    assert ran.code == 0
    with zipfile.ZipFile(home / "c.zip") as archive:
        assert archive.read("in put.txt") == b"raw\n"
        assert archive.read("data/mid") == b"raw\n"
        assert archive.read("results/x") == b"raw\n"
        json.loads(archive.read("ro-crate-metadata.json"))


def test_without_the_setting_nothing_is_written_down(torc, home):
    (home / "w.yaml").write_text("name: w\njobs:\n  - {name: a, command: 'true'}\n")
    torc("run", "w.yaml")

    assert torc("ro-crate", "list", "1", "--json").json["items"] == []
    assert len(torc("ro-crate", "export", "1").json["@graph"]) == 2
