"""`torc hpc generate`: the cluster at hand as configuration."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import Conflict, InvalidConfig, UsageError
from torc_core.given import Given
from torc_slurm.commands.hpc_profiles import partition_item
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, refuse_csv


def generate(
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    display_name: Annotated[str | None, Parameter(name=["--display-name", "-d"])] = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    install: Flag = False,
    skip_stdby: Flag = False,
    session: Given,
) -> Report:
    """Describe the cluster at hand as configuration, to be looked at and kept.

    Parameters
    ----------
    name
        Of the profile; normally that of the cluster.
    display_name
        For people.
    output
        File to write; normally standard output.
    install
        Add it to your configuration file.
    skip_stdby
        Leave out partitions whose names end in -stdby.
    """
    from torc_core.config import user_config
    from torc_slurm.profiles import live
    from torc_slurm.profiles.reading import cluster_name, default_account, seen
    from torc_slurm.profiles.toml_text import text_of
    from torc_slurm.scheduler.slurm import Slurm

    refuse_csv(session)
    if install and output is not None:
        raise UsageError("--install and --output exclude each other")
    environ = session.config.environ
    slurm = Slurm.of(session.config, session.clock)
    if not slurm.here("sinfo"):
        raise Conflict("Slurm is not on this host: no 'sinfo' in PATH; call it on a login node")
    found = seen(slurm, skip_standby=skip_stdby)
    _, dot, domain = socket.getfqdn().partition(".")
    one = live.profile(
        found,
        name=name or cluster_name(slurm, environ),
        display_name=display_name,
        domain=domain if dot and "." in domain else None,
        account=default_account(slurm, environ),
    )
    text = text_of(one, found)
    target = str(user_config(environ)) if install else output
    if install:
        _install(Path(str(target)), one.name, text)
    elif output is not None:
        if os.path.exists(output):
            raise Conflict(f"there is already a file '{output}'; choose another")
        _write(Path(output), text)
    return Report(
        schema="torc.hpc.generate/1",
        data={
            "name": one.name,
            "written": target,
            "partitions": [partition_item(partition) for partition in one.partitions],
            "toml": text,
        },
        text=text
        if target is None
        else f"profile '{one.name}' written to {target}; look at it with 'torc hpc show {one.name}'"
        if install
        else f"profile '{one.name}' written to {target}",
    )


def _install(path: Path, name: str, text: str) -> None:
    """Add a profile to a configuration file.

    Raises
    ------
    Conflict
        If it has one of this name.
    InvalidConfig
        If it is not valid as it is.
    """
    import tomllib

    before = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        tree = tomllib.loads(before)
        if name in tree.get("client", {}).get("hpc", {}).get("custom_profiles", {}):
            raise Conflict(
                f"'{path}' has a profile '{name}' already; take it out, or choose another name with --name"
            )
        joined = f"{before.rstrip()}\n\n{text}" if before.strip() else text
        tomllib.loads(joined)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(
            f"'{path}' cannot take the profile: {error}; write it elsewhere with --output"
        ) from error
    _write(path, joined)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".torc-", suffix=".tmp")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error
