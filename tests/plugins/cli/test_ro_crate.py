"""`torc ro-crate`: entities, datasets, and the document that others read."""

from __future__ import annotations

import json
import os
import zipfile

import pytest


@pytest.fixture
def crate(torc, home):
    """A workflow with a file that an entity describes, and a person."""
    torc("workflows", "new", "-n", "study", "-d", "about it", "--metadata", '{"license": "MIT"}')
    torc("files", "create", "1", "-n", "data", "-p", "data.csv")
    (home / "data.csv").write_text("1,2\n")
    torc("ro-crate", "create", "1", "--entity-id", "data.csv", "--type", "File", "--file-id", "1",
         "--metadata", '{"name": "numbers", "author": {"@id": "#ana"}}')  # fmt: skip
    torc(
        "ro-crate", "create", "1", "--entity-id", "#ana", "--type", "Person", "--metadata", '{"name": "Ana"}'
    )


def test_entities_are_changed_unlinked_and_deleted(torc, crate):
    changed = torc("ro-crate", "update", "1", "--metadata", '{"name": "n"}', "--file-id", "0", "--json").json

    assert (changed["metadata"], changed["file_id"]) == ({"name": "n"}, None)
    assert torc("ro-crate", "update", "1", "--entity-id", "#ana").code == 3
    assert torc("ro-crate", "update", "1").code == 2
    assert torc("ro-crate", "create", "1", "--entity-id", "x", "--type", "File", "--file-id", "9").code == 2
    assert torc("ro-crate", "delete", "1", "--yes").code == 0
    assert [one["entity_id"] for one in torc("ro-crate", "list", "1", "--json").json["items"]] == ["#ana"]
    assert torc("ro-crate", "delete-all", "1", "--yes", "--json").json["count"] == 1


def test_a_dataset_is_counted_and_hashed(torc, crate, home):
    for name, text in (("d/a", "1"), ("d/sub/b", "22")):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)

    def added(mode, name):
        words = [
            "ro-crate",
            "add-dataset",
            "1",
            "--name",
            name,
            "--path",
            name,
            "--hash-mode",
            mode,
            "--json",
        ]
        return torc(*words).json

    first = added("content", "d")
    (home / "d").rename(home / "e")
    (home / "e" / "a").touch()
    second = added("content", "e")

    assert (first["entity_id"], first["entity_type"]) == ("d/", "Dataset")
    assert (first["metadata"]["fileCount"], first["metadata"]["contentSize"]) == (2, 3)
    assert first["metadata"]["sha256"] == second["metadata"]["sha256"]
    (home / "e").rename(home / "f")
    assert added("manifest", "f")["metadata"]["sha256"] != first["metadata"]["sha256"]
    assert torc("ro-crate", "add-dataset", "1", "--name", "x", "--path", "nowhere").code == 2


def test_the_document_is_an_ro_crate(torc, crate):
    document = torc("ro-crate", "export", "1").json

    graph = {node["@id"]: node for node in document["@graph"]}
    assert document["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert (graph["./"]["name"], graph["./"]["license"], graph["./"]["hasPart"]) == (
        "study", "MIT", [{"@id": "data.csv"}],
    )  # fmt: skip
    assert graph["data.csv"]["@type"] == ["File", "prov:Entity"]
    assert graph["#ana"]["@type"] == ["Person", "prov:Person"]


def test_a_crate_is_packed_with_its_files(torc, crate, home):
    torc("files", "create", "1", "-n", "gone", "-p", "gone.csv")
    torc("ro-crate", "create", "1", "--entity-id", "gone.csv", "--type", "File", "--file-id", "2")
    torc("ro-crate", "create", "1", "--entity-id", "../../etc/passwd", "--type", "File", "--file-id", "1")

    ran = torc("ro-crate", "export", "1", "--zip", "c.zip", "--include-files", "--json")

    with zipfile.ZipFile(home / "c.zip") as archive:
        assert sorted(archive.namelist()) == ["data.csv", "ro-crate-metadata.json"]
        assert archive.read("data.csv") == b"1,2\n"
    assert ran.json["missing_files"] == ["gone.csv"]


def test_what_is_no_valid_crate_is_not_written(torc, crate, home):
    assert torc("ro-crate", "export", "1", "--validate", "-o", "good.json").code == 0
    torc(
        "ro-crate",
        "create",
        "1",
        "--entity-id",
        "x",
        "--type",
        "File",
        "--metadata",
        '{"author": {"@id": "#eve"}}',
    )

    ran = torc("ro-crate", "export", "1", "--validate", "-o", "bad.json", "--json")

    assert (ran.code, ran.json["valid"]) == (1, False)
    assert ran.json["problems"] == ["entity 'x' names '#eve' as author, which is not there"]
    assert (json.loads((home / "good.json").read_text())["@graph"] != [], (home / "bad.json").exists()) == (
        True,
        False,
    )


def test_files_of_any_age_and_name_are_packed_but_not_the_archive_itself(torc, crate, home):
    (home / "d").mkdir()
    (home / "d" / "sub").mkdir()
    (home / "d" / "old").write_text("1")
    os.utime(home / "d" / "old", (0, 0))
    os.utime(home / "data.csv", (2**33, 2**33))
    with open(os.fsencode(home / "d") + b"/\xff", "wb") as file:
        file.write(b"2")
    torc("files", "create", "1", "-n", "folder", "-p", "d")
    torc("ro-crate", "create", "1", "--entity-id", "d/", "--type", "Dataset", "--file-id", "2")

    ran = torc("ro-crate", "export", "1", "--zip", "d/c.zip", "--include-files")

    assert ran.code == 0
    with zipfile.ZipFile(home / "d" / "c.zip") as archive:
        names = archive.namelist()
    assert names == ["ro-crate-metadata.json", "data.csv", "d/", "d/old", "d/%FF"]
    assert not list(home.rglob("*.part"))


def test_a_crate_that_cannot_be_packed_leaves_the_earlier_one(torc, crate, home, monkeypatch):
    (home / "c.zip").write_text("earlier")

    def broken(*words, **named):
        raise PermissionError(13, "Permission denied", "data.csv")

    monkeypatch.setattr("zipfile.ZipFile.write", broken)

    ran = torc("ro-crate", "export", "1", "--zip", "c.zip", "--include-files")

    assert (ran.code, "cannot read" in ran.err, "data.csv" in ran.err) == (2, True, True)
    assert (home / "c.zip").read_text() == "earlier"
    assert not list(home.rglob("*.part"))
    assert "is a directory" in torc("ro-crate", "export", "1", "--zip", ".").err


@pytest.mark.parametrize(
    "told", ['{"@type": 5, "@id": 7}', '{"@type": [{}], "@id": []}', '{"@type": "", "@id": ""}']
)
def test_metadata_that_names_no_type_is_passed_over(torc, crate, told):
    torc("ro-crate", "create", "1", "--entity-id", "x", "--type", "Thing", "--metadata", told)

    graph = torc("ro-crate", "export", "1").json["@graph"]

    assert {"@id": "x", "@type": ["Thing"]} in graph
