"""`torc ro-crate`: what a workflow says about itself to the outside."""

from __future__ import annotations

import os
from errno import EISDIR
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from torc_cli.crates import CRATE, Crate, crate, inside, pack, problems, text
from torc_cli.datasets import HashMode, measured
from torc_cli.provenance import ALL, automatic
from torc_cli.transfers import replaced, write_file
from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import CLEAR, File, FileId, Json, Query, RoCrateEntity
from torc_core.model.resources import memory_text
from torc_terminal.given_text import json_object
from torc_terminal.noun import Noun, sure
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Listing, Outcome, Record, Report, Text, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import found
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import amount

app = App(name="ro-crate", help="What a workflow says about itself to the outside.")


def entity_item(entity: RoCrateEntity) -> Item:
    """An entity as `RoCrateEntityModel`."""
    return {
        "id": entity.id, "workflow_id": entity.workflow_id, "entity_id": entity.entity_id,
        "entity_type": entity.entity_type, "file_id": entity.file_id, "metadata": entity.metadata,
    }  # fmt: skip


NOUN = Noun(
    record=RoCrateEntity,
    group="ro-crate",
    one="RO-Crate entity",
    many="RO-Crate entities",
    item=entity_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Entity", key="entity_id"),
        Column(title="Type", key="entity_type"),
        Column(title="File", key="file_id", right=True),
    ),
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    entity_id: str,
    type: str,
    metadata: str | None = None,
    file_id: int | None = None,
    session: Given,
) -> Record:
    """Add an entity to a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    entity_id
        Its `@id`: a path, a URL or `#name`; unique in the workflow.
    type
        Its `@type`, such as `File`, `Dataset` or `Person`.
    metadata
        Its properties: a JSON object, `@FILE` with one in it, or `-` for standard input.
    file_id
        Id of the file of the workflow that it describes.
    """
    refuse_csv(session)
    properties = {} if metadata is None else json_object(metadata, "--metadata")
    entity = RoCrateEntity(
        workflow_id=selected(session, workflow), entity_id=entity_id, entity_type=type, metadata=properties,
        file_id=None if file_id is None else FileId(file_id),
    )  # fmt: skip
    return NOUN.told(session.store().add([entity])[0])


@app.command
def add_dataset(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    path: Path,
    hash_mode: HashMode = "manifest",
    threads: int = 0,
    description: Annotated[str | None, Parameter(name=["--description", "-d"])] = None,
    encoding_format: str | None = None,
    metadata: str | None = None,
    session: Given,
) -> Record:
    """Add a directory as a dataset: how many files, how large, and a hash.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        What the dataset is called.
    path
        The directory.
    hash_mode
        `manifest`: over paths, sizes and times; `content`: over what is in the files; `none`.
    threads
        Threads that read contents; 0: as many as there are CPUs.
    description
        What is in it.
    encoding_format
        A media type, such as `text/csv`.
    metadata
        Further properties: a JSON object, or `@FILE` with one in it.
    """
    refuse_csv(session)
    if threads < 0:
        raise UsageError(f"--threads '{threads}' is negative")
    wf = selected(session, workflow)
    more = {} if metadata is None else json_object(metadata, "--metadata")
    session.close()  # nobody has to wait while a large directory is read
    dataset = measured(path, hash_mode, threads or os.cpu_count() or 1)
    properties: dict[str, Json] = {"name": name, "contentSize": dataset.size, "fileCount": dataset.files}
    if dataset.sha256 is not None:
        properties |= {"sha256": dataset.sha256, "hashMode": hash_mode}
    if description is not None:
        properties["description"] = description
    if encoding_format is not None:
        properties["encodingFormat"] = encoding_format
    entity = RoCrateEntity(
        workflow_id=wf,
        entity_id=f"{path.as_posix().rstrip('/')}/",
        entity_type="Dataset",
        metadata=properties | more,
    )
    added = session.store().add([entity])[0]
    size = memory_text(dataset.size)
    return NOUN.told(added, hint=f"{amount(dataset.files, 'file')}, {size}, {dataset.sha256 or 'no hash'}")


@app.command(name="list")
def list_(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the entities of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    return NOUN.page(session, paging.query(selected(session, workflow)))


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show entities.

    Parameters
    ----------
    ids
        Ids of entities: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def update(
    id: int,
    /,
    *,
    entity_id: str | None = None,
    type: str | None = None,
    metadata: str | None = None,
    file_id: int | None = None,
    session: Given,
) -> Record:
    """Change an entity.

    Parameters
    ----------
    id
        Id of the entity.
    entity_id
        New `@id`.
    type
        New `@type`.
    metadata
        New properties, in place of all: a JSON object, `@FILE` with one in it, or `-` for standard input.
    file_id
        Id of the file that it describes; 0: none any more.
    """
    refuse_csv(session)
    given: dict[str, object] = {
        "entity_id": entity_id,
        "entity_type": type,
        "metadata": None if metadata is None else json_object(metadata, "--metadata"),
        "file_id": CLEAR if file_id == 0 else file_id,
    }
    fields = {field: value for field, value in given.items() if value is not None}
    if not fields:
        raise UsageError("nothing to change; pass --entity-id, --type, --metadata or --file-id")
    return NOUN.told(session.store().change(RoCrateEntity, id, fields))


@app.command
def delete(*ids: str, yes: Yes = False, session: Given) -> Outcome:
    """Delete entities.

    Parameters
    ----------
    ids
        Ids of entities: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


@app.command
def delete_all(workflow: str | None = None, /, *, yes: Yes = False, session: Given) -> Outcome:
    """Delete all entities of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    yes
        Do not ask.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    there = session.store().find(RoCrateEntity, Query(workflow=wf)).items
    sure(session, f"Delete {NOUN.counted(len(there))} of workflow {wf}?", yes=yes)
    count = session.store().remove(RoCrateEntity, [one.id for one in there]) if there else 0
    return Outcome(message=f"Deleted {NOUN.counted(count)}", workflow_id=wf, extra={"count": count})


@app.command
def export(
    workflow: str | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    zip: Path | None = None,
    include_files: Flag = False,
    validate: Flag = False,
    session: Given,
) -> Outcome | Report | Text:
    """Write the RO-Crate metadata of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output
        File to write, such as `ro-crate-metadata.json`; without it standard output.
    zip
        Write a crate as a ZIP file instead.
    include_files
        With the files that the entities describe.
    validate
        Check it first, and write nothing if it is not a valid RO-Crate 1.1; exit code 1.
    """
    refuse_csv(session)
    if include_files and zip is None:
        raise UsageError("--include-files needs --zip FILE")
    chosen = found(session, workflow)
    store = session.store()
    query = Query(workflow=chosen.id, limit=ALL)
    told = Crate(entities=store.find(RoCrateEntity, query).items)
    if chosen.enable_ro_crate:
        told = automatic(store, chosen, told.entities)
    files = {one.id: one for one in store.find(File, query).items} if include_files else {}
    session.close()
    document, count = crate(chosen, told), len(told.entities) + len(told.nodes)
    wrong = problems(document) if validate else []
    if wrong:
        return Report(
            schema="torc.ro-crate.validate/1", data={"workflow_id": chosen.id, "valid": False, "problems": wrong},
            text="\n".join(wrong), exit_code=1,
        )  # fmt: skip
    if zip is not None:
        try:
            if zip.is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            with replaced(zip) as archive:
                missing = pack(archive, document, inside(chosen, told.entities, files))
        except OSError as error:
            raise UsageError(f"cannot write '{zip}': {(error.strerror or 'error').lower()}") from error
        if missing:
            session.warn(
                f"{amount(len(missing), 'file is', 'files are')} not there and left out, the first '{missing[0]}'"
            )
        return Outcome(
            message=f"Wrote {zip} with {amount(count, 'entity', 'entities')}", workflow_id=chosen.id,
            extra={"path": str(zip), "entities": count, "missing_files": missing},
        )  # fmt: skip
    if output is None:
        return Text(text=text(document))
    write_file(output / CRATE if os.path.isdir(output) else output, text(document).encode())
    return Outcome(
        message=f"Wrote {output} with {count} entities", workflow_id=chosen.id,
        extra={"path": str(output), "entities": count},
    )  # fmt: skip
