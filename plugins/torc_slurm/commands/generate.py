"""`torc slurm generate`: allocations for a specification, written into it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.errors import Conflict, UsageError
from torc_core.given import Given
from torc_core.session import Session
from torc_slurm.commands.planner_options import PlannerOptions
from torc_terminal.creating import Creating
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, Text, refuse_csv
from torc_terminal.target import Stdin, named, there

if TYPE_CHECKING:
    from torc_core.providers import SpecFormat

SCHEMA = "torc.slurm.plan/1"


def generate(
    spec: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    options: PlannerOptions | None = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    in_place: Flag = False,
    no_actions: Flag = False,
    overwrite: Annotated[Flag, Parameter(alias="--force")] = False,
    dry_run: Flag = False,
    spec_format: str | None = None,
    session: Given,
) -> Report | Text:
    """Plan the allocations that a specification needs, and write them into it.

    Parameters
    ----------
    spec
        File with the specification; - is standard input.
    stdin
        Read the specification from standard input.
    output
        File to write; the suffix tells the format. Normally standard output.
    in_place
        Write into the file that was read.
    no_actions
        Write schedulers only; nothing asks for allocations by itself then.
    overwrite
        Replace schedulers and allocations that the specification has.
    dry_run
        Only show the plan, and why each partition was chosen.
    spec_format
        Format of the specification: yaml, json, json5, kdl; normally told by the suffix or found out.
    """
    from torc_slurm.generating import generated
    from torc_slurm.planning.telling import document, reasons, table

    refuse_csv(session)
    file = named(spec, stdin, "slurm generate")
    if file != "-":
        there(file)
    if in_place and (output is not None or file == "-"):
        raise UsageError("--in-place writes into the file that is read; give a file and no --output")
    made = generated(
        session, file, Creating(spec_format=spec_format), options or PlannerOptions(),
        overwrite=overwrite, with_actions=not no_actions,
    )  # fmt: skip
    for warning in made.plan.warnings:
        session.warn(warning)
    data = document(made.plan, made.account, made.names)
    target = file if in_place else output
    told = "\n".join(table(made.plan, made.names))
    if dry_run:
        text = "\n".join([told, "", *reasons(made.plan, made.names)])
        return Report(schema=SCHEMA, data=data | {"dry_run": True, "written": None}, text=text)
    writer = _format_of(session, target, made.document.format)
    text = made.written(writer)
    if target is not None:
        _save(target, text, replace_it=in_place)
    elif session.format != "json":
        session.note(told)
        return Text(text=text)
    return Report(
        schema=SCHEMA,
        data=data | {"dry_run": False, "written": target, **({} if target else {"specification": text})},
        text=f"{told}\nwritten to {target}; go on with 'torc submit {target}'",
    )


def _format_of(session: Session, target: str | None, format: str) -> SpecFormat:
    formats = session.host.formats
    if target is None:
        return formats[format]
    suffix = os.path.splitext(target)[1].lower()
    return next((one for one in formats.values() if suffix in one.suffixes), formats[format])


def _save(target: str, text: str, *, replace_it: bool) -> None:
    """Write a file as a whole or not at all.

    Raises
    ------
    Conflict
        If there is one already and it is not to be replaced.
    """
    if os.path.exists(target) and not replace_it:
        raise Conflict(
            f"there is already a file '{target}'; choose another, or write into it with --in-place"
        )
    folder = os.path.dirname(os.path.abspath(target))
    try:
        mode = os.stat(target).st_mode & 0o777 if replace_it else 0o600
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".torc-", suffix=".tmp")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"cannot write '{target}': {(error.strerror or 'error').lower()}") from error
