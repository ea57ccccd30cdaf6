"""`torc workflows export` and `import`: workflows as documents (`observability.md` §7)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter

from torc_cli.imported_ids import warning
from torc_core.engine.exporting import check_whole
from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Workflow
from torc_terminal.given_text import json_of
from torc_terminal.noun import Noun
from torc_terminal.options import Flag
from torc_terminal.output.answer import Outcome, Record, Text, refuse_csv
from torc_terminal.output.records import workflow_item
from torc_terminal.selector import found

NOUN = Noun(
    record=Workflow, group="workflows", one="workflow", many="workflows", item=workflow_item, columns=()
)


def export(
    workflow: str | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    include_results: Flag = False,
    include_events: Flag = False,
    include_logs: Flag = False,
    compact: Flag = False,
    session: Given,
) -> Outcome | Text:
    """Write a workflow as a JSON document, to be kept or imported elsewhere.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output
        File to write; without it standard output.
    include_results
        With the results of all attempts, and the nodes they ran on.
    include_events
        With all events.
    include_logs
        With the output of all attempts, as far as its files can be read from here.
    compact
        Lists of blockers and inputs that jobs share stand once: much smaller for wide workflows.
    """
    refuse_csv(session)
    chosen = found(session, workflow)
    store = session.store()
    document = store.export_workflow(
        chosen.id, results=include_results, events=include_events, compact=compact
    )
    if include_logs:
        from torc_cli.exported_logs import with_logs

        document = with_logs(store, chosen, document, session.config.client.run.output_dir)
    text = json.dumps(document, ensure_ascii=False, indent=None if compact else 1) + "\n"
    if output is None:
        return Text(text=text)
    write_file(output, text.encode())
    return Outcome(
        message=f"Exported workflow {chosen.id} '{chosen.name}' to {output}",
        workflow_id=chosen.id,
        extra={"path": str(output), "bytes": len(text.encode())},
    )


def import_(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    skip_results: Flag = False,
    skip_events: Flag = False,
    keep_status: Flag = False,
    owner: str | None = None,
    session: Given,
) -> Record:
    """Create a workflow from an exported document; ids are new, and nothing runs by itself.

    Commands stay as they are: one that has the id of user data in it (`${user_data.output.NAME}` of a specification) is
    warned of.

    Parameters
    ----------
    file
        The document, or `-` for standard input.
    name
        Another name for the workflow.
    skip_results
        Without its results and nodes.
    skip_events
        Without its events.
    keep_status
        Jobs keep their statuses, but for pending and running ones; otherwise they all start anew.
    owner
        Whose workflow it is to be; without it yours.
    """
    refuse_csv(session)
    if name == "":
        raise UsageError("a workflow needs a name; --name is empty")
    document = read_document(file)
    changed = [
        key
        for keys, skipped in (
            (("results", "compute_nodes", "scheduled_compute_nodes"), skip_results),
            (("events",), skip_events),
        )
        for key in keys
        if skipped and key in document
    ]
    if name is not None or changed:
        # What is changed here would not have the checksum any more, so it is compared before.
        check_whole(document)
        document = {key: value for key, value in document.items() if key not in ("checksum", *changed)}
        if name is not None and isinstance(document.get("workflow"), dict):
            document["workflow"] = {**document["workflow"], "name": name}
    user = session.user() if owner is None else owner
    workflow = session.store().import_workflow(document, user, keep_status=keep_status)
    if doubt := warning(document, session.store(), workflow.id):
        session.warn(doubt)
    return NOUN.told(workflow, hint=f"start it: torc run {workflow.id}")


def read_document(file: str) -> dict[str, Any]:
    """A document in a file or on standard input.

    Raises
    ------
    UsageError
        If it cannot be read, or is no JSON object.
    """
    shown = "standard input" if file == "-" else f"'{file}'"
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {(error.strerror or 'error').lower()}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown} is not valid UTF-8 at byte {error.start}") from error
    document = json_of(text, shown)
    if not isinstance(document, dict):
        raise UsageError(f"{shown} is no exported workflow; make one with 'torc workflows export'")
    return document


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all; what is no file, such as a pipe, is written to.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        if path.exists() and not path.is_file():
            with os.fdopen(os.open(path, os.O_WRONLY), "wb") as file:
                file.write(content)
            return
        with replaced(path) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read and that takes its place once it is whole."""
    part = path.with_name(f"{path.name}.part")
    with suppress(FileNotFoundError):
        part.unlink()
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
