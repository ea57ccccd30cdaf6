"""`torc-server export`: workflows of a database as documents that another server takes in."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import NotFound, UsageError, did_you_mean
from torc_core.given import Given
from torc_core.model import AccessGroup, GroupLink, Query, Workflow
from torc_http.program.opening import store_of

Texts = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


def export(
    *workflows: int,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    user: Texts = (),
    access_group: Texts = (),
    database: str | None = None,
    session: Given,
) -> str:
    """Write workflows with their results and events into one file, for `torc workflows import`.

    Parameters
    ----------
    workflows
        Which; none: all, or those that the other options choose.
    output
        The file: a JSON document for one workflow, else one a line.
    user
        Those of this user.
    access_group
        Those that are linked to this group.
    database
        The database; normally that of the configuration.
    """
    if workflows and (user or access_group):
        raise UsageError("name workflows, or choose them by --user and --access-group")
    with closing(store_of(session, database)) as store:
        found = {one.id: one for one in store.find(Workflow, Query()).items}
        if missing := [id for id in workflows if id not in found]:
            raise NotFound(f"no workflow {missing[0]}")
        chosen = [one for one in found.values() if not workflows or one.id in workflows]
        if user:
            chosen = [one for one in chosen if one.user in user]
        if access_group:
            named = {one.name: one.id for one in store.find(AccessGroup, Query()).items}
            if unknown := next((name for name in access_group if name not in named), None):
                raise NotFound(
                    f"no access group '{unknown}'{did_you_mean(unknown, named)} (list them with 'torc access-groups list')"
                )
            groups = {named[name] for name in access_group}
            chosen = [
                one for one in chosen
                if any(link.group_id in groups for link in store.find(GroupLink, Query(workflow=one.id)).items)
            ]  # fmt: skip
        target = Path(output).expanduser()
        part = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                for one in chosen:
                    file.write(json.dumps(store.export_workflow(one.id, results=True, events=True)) + "\n")
            part.replace(target)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise UsageError(f"cannot write '{target}': {(error.strerror or 'error').lower()}") from error
    return f"wrote {len(chosen)} workflow{'' if len(chosen) == 1 else 's'} to '{target}'"
