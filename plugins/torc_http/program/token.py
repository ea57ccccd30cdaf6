"""`torc-server token`: make, list and end credentials for programs that cannot prove a key (`security.md` §4)."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Literal
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from torc_core.errors import Conflict, NotFound, UsageError
from torc_core.given import Given
from torc_core.model import AuditEntry, Query, Token, Workflow, WorkflowId
from torc_core.protocols import Store
from torc_core.session import Session
from torc_http.auth import keyfile
from torc_http.auth.capability import LONGEST_DAYS, WorkflowCapability, written
from torc_http.auth.tokens import new_token
from torc_http.program.backups import seconds_of
from torc_http.program.opening import path_of, store_of
from torc_http.program.owner import owner_of
from torc_http.routes import BASE
from torc_terminal.output.answer import Listing
from torc_terminal.output.cells import Column, instant

app = App(
    name="token",
    help="Credentials for programs that cannot prove a key: scripts, browsers, published clients.",
)

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Class = Literal["read", "edit", "run", "operate", "own"]
DAY_S = 86_400
COLUMNS = (
    Column(title="ID", key="id", right=True),
    Column(title="User", key="user"),
    Column(title="Class", key="class"),
    Column(title="Workflows", key="workflows"),
    Column(title="Created", key="created_at"),
    Column(title="Expires", key="expires_at"),
    Column(title="Revoked", key="revoked_at"),
)


@app.command
def new(
    *,
    workflow: Annotated[tuple[int, ...], Parameter(negative=(), show_default=False)] = (),
    all_workflows: Flag = False,
    access_class: Annotated[Class, Parameter(name="--class")] = "edit",
    user: str | None = None,
    expires: str = "30d",
    derived: Flag = False,
    print_: Annotated[Flag, Parameter(name="--print")] = False,
    database: str | None = None,
    session: Given,
) -> str:
    """Make a token, and print the address that carries it; it is shown this once.

    torc-server token new --workflow 42

    Parameters
    ----------
    workflow
        For this workflow; may be given several times.
    all_workflows
        For all workflows of the user.
    access_class
        The most it may do.
    user
        In whose name; normally yours.
    expires
        When it ends: 30d, 12h.
    derived
        Kept in no table; ended only by ending all derived tokens of the workflow.
    print_
        Print it although nobody looks: to a file or a pipe.
    database
        The database; normally that of the configuration.
    """
    if not session.tty and not print_:
        raise UsageError("a token is shown on a terminal only; add --print to write it elsewhere")
    if bool(workflow) == all_workflows:
        raise UsageError("name the workflows with --workflow, or say --all-workflows")
    seconds = round(seconds_of(expires, "--expires"))
    now = session.clock.now()
    place = _place(session, database)
    with closing(store_of(session, database)) as store:
        for id in workflow:
            store.get(Workflow, id)
        if derived:
            text = _derived(session, store, workflow, access_class, now // 1000 + seconds)
        else:
            made = new_token(
                user or session.user(), now, access_class=access_class, lasts_ms=seconds * 1000,
                workflows=None if all_workflows else tuple(WorkflowId(id) for id in workflow),
            )  # fmt: skip
            store.add([made.kept, _noted(session, "token_new", f"token {made.kept.key}", access_class)])
            text = made.text
    return f"{place}/t/{text}{BASE}"


def _noted(session: Session, operation: str, object: str, detail: str) -> AuditEntry:
    """What is written down of it (`security.md` §11)."""
    return AuditEntry(
        operation=operation, principal=f"owner:{session.user()}", established="command line", peer="", object=object,
        detail=detail,
    )  # fmt: skip


def _derived(
    session: Session, store: Store, workflows: tuple[int, ...], access_class: Class, expires: int
) -> str:
    if len(workflows) != 1:
        raise UsageError("a derived token is for one workflow; name it with --workflow")
    if expires - session.clock.now() // 1000 > LONGEST_DAYS * DAY_S:
        raise UsageError(
            f"a derived token is good for {LONGEST_DAYS} days at most; leave --derived out for more"
        )
    key = keyfile.read(keyfile.servers(session.config.environ) / f"{store.server_id}.json")
    workflow = store.get(Workflow, workflows[0])
    claim = WorkflowCapability(
        workflow=workflow.id,
        access_class=access_class,
        expires=expires,
        generation=workflow.capability_generation,
    )
    return written(key.key, claim)


def _place(session: Session, database: str | None) -> str:
    """Scheme, host and port of the server.

    Raises
    ------
    Conflict
        If nobody serves the database, so that there is no address.
    """
    path = path_of(session, database)
    owner = owner_of(path)
    if owner is None or owner.url is None:
        raise Conflict(f"nobody serves '{path}', so a token has no address; start torc-server first")
    url = urlsplit(owner.url)
    return f"{url.scheme}://{url.netloc}"


@app.command(name="list")
def list_(*, database: str | None = None, session: Given) -> Listing:
    """List the tokens, without their secrets.

    Parameters
    ----------
    database
        The database; normally that of the configuration.
    """
    with closing(store_of(session, database)) as store:
        found = store.find(Token, Query()).items
    return Listing(
        schema="torc.server.token.list/1",
        noun="tokens",
        items=[
            {
                "id": one.id, "key": one.key, "user": one.user, "class": one.access_class,
                "workflows": None if one.workflows is None else list(one.workflows),
                "created_at": instant(one.created_at), "expires_at": instant(one.expires_at),
                "revoked_at": instant(one.revoked_at),
            }
            for one in found
        ],
        columns=COLUMNS,
    )  # fmt: skip


@app.command
def revoke(
    *ids: int,
    workflow: int | None = None,
    all_: Annotated[Flag, Parameter(name="--all")] = False,
    database: str | None = None,
    session: Given,
) -> str:
    """End tokens at once.

    Parameters
    ----------
    ids
        Their numbers, as `torc-server token list` shows them.
    workflow
        All tokens of this workflow, the derived ones and those of its jobs too.
    all_
        All tokens of this server.
    database
        The database; normally that of the configuration.
    """
    if sum((bool(ids), workflow is not None, all_)) != 1:
        raise UsageError("name tokens, or one of --workflow and --all")
    now = session.clock.now()
    with closing(store_of(session, database)) as store:
        found = [one for one in store.find(Token, Query()).items if one.revoked_at is None]
        if ids:
            known = {one.id for one in found}
            if missing := [id for id in ids if id not in known]:
                raise NotFound(
                    f"no token {missing[0]} that is still good; list them with 'torc-server token list'"
                )
            ended = [one for one in found if one.id in ids]
        elif workflow is not None:
            ended = [one for one in found if one.workflows is not None and workflow in one.workflows]
            before = store.get(Workflow, workflow).capability_generation
            store.change(Workflow, workflow, {"capability_generation": before + 1})
        else:
            ended = found
        for one in ended:
            store.change(Token, one.id, {"revoked_at": now})
        if workflow is not None:
            store.add(
                [_noted(session, "capability_revoked", f"workflow {workflow}", f"generation {before + 1}")]
            )
        for one in ended:
            store.add([_noted(session, "token_revoked", f"token {one.key}", one.access_class)])
    return f"{len(ended)} token{'' if len(ended) == 1 else 's'} ended"
