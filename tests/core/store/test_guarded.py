"""A guarded store does for each principal what the table of rights says, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from torc_core.errors import Forbidden, Invalid, NotFound, TorcError
from torc_core.model import (
    AccessGroup,
    AuditEntry,
    Event,
    File,
    GroupLink,
    Initialize,
    Job,
    Membership,
    NewJob,
    NewNode,
    Node,
    Query,
    Reset,
    Resources,
    Result,
    Spawn,
    Token,
    Turn,
    Usage,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.store.fields import FIELDS
from torc_core.store.guarded import Guarded, guarded
from torc_core.store.principal import EVERYTHING, ORDER, Principal, Right, up_to
from torc_core.store.rights import FREE, KINDS, NEVER, OF_NO_WORKFLOW, VERBS
from torc_core.testing import plans
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene

USER = frozenset({Right.PUBLIC, Right.USER, *ORDER})


def user(name: str) -> Principal:
    return Principal(kind="user", name=name, rights=USER)


@pytest.fixture
def store(clock: SetClock) -> Store:
    return MemoryStore(clock)


@pytest.fixture
def scene(store: Store, clock: SetClock) -> Scene:
    return Scene(store, clock)


@pytest.fixture
def ours(scene: Scene) -> WorkflowId:
    """A workflow of ann, which group `team` may use and group `readers` may read."""
    return scene.started(plans.fan(2))


@pytest.fixture
def theirs(scene: Scene) -> WorkflowId:
    """A workflow of eve."""
    created = scene.created(plans.fan(2), user="eve")
    scene.store.initialize(created.id, Initialize())
    return created.id


@pytest.fixture
def groups(store: Store, ours: WorkflowId) -> tuple[Any, Any]:
    """`team` with bob as member and carl as admin; `readers` with dora."""
    team, readers = store.add([AccessGroup(name="team"), AccessGroup(name="readers")])
    store.add(
        [
            Membership(group_id=team.id, user_name="bob"),
            Membership(group_id=team.id, user_name="carl", role="admin"),
            Membership(group_id=readers.id, user_name="dora"),
        ]
    )
    store.add(
        [
            GroupLink(workflow_id=ours, group_id=team.id),
            GroupLink(workflow_id=ours, group_id=readers.id, level="read"),
        ]
    )
    return team, readers


def job_of(store: Store, workflow: WorkflowId) -> Job:
    return store.find(Job, Query(workflow=workflow)).items[0]


# The table is complete


def test_every_verb_of_a_store_is_in_the_table() -> None:
    verbs = {name for name in dir(Store) if not name.startswith("_")}
    methods = {name for name in vars(Guarded) if not name.startswith("_")} - {"admit", "rights"}

    assert verbs - {*VERBS, *FREE, *NEVER, *methods} == set()
    assert {*VERBS} & methods == set()
    assert {*VERBS} - verbs <= {"try_turn"}


def test_every_kind_of_record_is_in_the_table() -> None:
    assert {*FIELDS} == {*KINDS, *OF_NO_WORKFLOW}


class Anything:
    """Has every attribute, and is an empty list."""

    def __getattr__(self, name: str) -> Anything:
        return self

    def __call__(self) -> Anything:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("name", sorted({*VERBS} - {"try_turn"}))
def test_the_table_reads_the_arguments_of_each_verb(name: str) -> None:
    parameters = [
        one for one in inspect.signature(getattr(Store, name)).parameters.values() if one.name != "self"
    ]
    places = [Anything() for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {one.name: Anything() for one in parameters if one.kind is one.KEYWORD_ONLY}

    kind, _ = VERBS[name].about(*places, **named)

    assert kind in FIELDS
    assert all(one in FIELDS for one, _ in VERBS[name].inside(*places, **named))


def test_rights_add_up_in_their_order() -> None:
    assert [len(up_to(str(right))) for right in ORDER] == [1, 2, 3, 4, 5]
    assert up_to("admin") == up_to("user") == up_to("x") == frozenset()


# What the owner of the server gets


def test_who_may_do_everything_gets_the_store_itself(store: Store) -> None:
    assert guarded(store, Principal(kind="owner", name="ann", rights=EVERYTHING)) is store


# What others get

CALLS = {
    "read": lambda store, workflow: store.totals([workflow]),
    "edit": lambda store, workflow: store.add([File(workflow_id=workflow, name="f", path="f")]),
    "run": lambda store, workflow: store.resume(workflow, []),
    "operate": lambda store, workflow: store.cancel(workflow),
    "own": lambda store, workflow: store.delete(workflow, force=True),
}


def allowed(store: Store, principal: Principal, workflow: WorkflowId) -> list[str]:
    """Which calls work; for a principal that may not read, every one has to look as if nothing were there."""
    worked = []
    for name, call in CALLS.items():
        try:
            call(guarded(store, principal), workflow)
            worked.append(name)
        except Forbidden as error:
            assert "ask the owner" in str(error) or "this needs" in str(error)
            assert "read" in worked, "403 tells that the workflow is there"
        except NotFound as error:
            assert str(error) == f"no workflow {workflow}"
            assert worked == []
    return worked


ALL = ["read", "edit", "run", "operate", "own"]

TABLE = [
    ("the owner", user("ann"), ALL),
    ("a member", user("bob"), ALL[:4]),
    ("an admin of the group", user("carl"), ALL[:4]),
    ("a reader", user("dora"), ALL[:1]),
    ("somebody else", user("eve"), []),
    ("a runner", Principal(kind="runner", name="ann", rights=frozenset({Right.READ, Right.RUN}), workflows=frozenset({WorkflowId(1)})), ["read", "run"]),
    ("a job", Principal(kind="job", name="ann", rights=up_to("edit"), workflows=frozenset({WorkflowId(1)})), ["read", "edit"]),
    ("a job that may only read", Principal(kind="job", name="ann", rights=up_to("read"), workflows=frozenset({WorkflowId(1)})), ["read"]),
    ("a foreign job", Principal(kind="job", name="ann", rights=up_to("edit"), workflows=frozenset({WorkflowId(2)})), []),
    ("a foreign runner", Principal(kind="runner", name="ann", rights=up_to("run"), workflows=frozenset({WorkflowId(2)})), []),
    *[(f"a workflow capability to {name}", Principal(kind="workflow", name="ann", rights=up_to(name), workflows=frozenset({WorkflowId(1)})), ALL[:at + 1]) for at, name in enumerate(ALL)],
    *[(f"a token of the owner to {name}", Principal(kind="token", name="ann", rights=up_to(name), workflows=frozenset({WorkflowId(1)})), ALL[:at + 1]) for at, name in enumerate(ALL)],
    ("a token of a member", Principal(kind="token", name="bob", rights=up_to("own"), workflows=frozenset({WorkflowId(1)})), ALL[:4]),
    ("a token of a reader", Principal(kind="token", name="dora", rights=up_to("own")), ALL[:1]),
    ("a token of somebody else", Principal(kind="token", name="eve", rights=up_to("own"), workflows=frozenset({WorkflowId(1)})), []),
    ("a token for another workflow", Principal(kind="token", name="ann", rights=up_to("own"), workflows=frozenset({WorkflowId(2)})), []),
    ("a token of an admin", Principal(kind="token", name="root", rights=up_to("run"), everywhere=True), ALL[:3]),
    ("nobody", Principal(kind="nobody", name=""), []),
]  # fmt: skip


@pytest.mark.parametrize(("who", "principal", "expected"), TABLE, ids=[who for who, _, _ in TABLE])
def test_each_principal_may_do_what_the_table_says(
    store: Store,
    ours: WorkflowId,
    theirs: WorkflowId,
    groups: object,
    who: str,
    principal: Principal,
    expected: list[str],
) -> None:
    assert (ours, theirs) == (1, 2)

    assert allowed(store, principal, ours) == expected


# Foreign objects look as if they were not there


def test_what_may_not_be_read_looks_exactly_like_what_is_not_there(
    store: Store, scene: Scene, theirs: WorkflowId
) -> None:
    mine, job, gone = guarded(store, user("ann")), job_of(store, theirs).id, 10**6
    node = scene.node(theirs).id

    for kind, id in ((Workflow, theirs), (Job, job), (Node, node)):
        texts = []
        for asked in (id, gone):
            with pytest.raises(NotFound) as caught:
                mine.get(kind, asked)
            texts.append(str(caught.value).replace(str(asked), "ID"))
        assert texts[0] == texts[1]


def test_ids_in_the_arguments_have_to_be_of_the_same_workflow(
    store: Store, scene: Scene, ours: WorkflowId, theirs: WorkflowId
) -> None:
    mine, foreign, node = guarded(store, user("ann")), job_of(store, theirs).id, scene.node(theirs)
    own_node = scene.node(ours)
    turn = Turn(node=node.id, epoch=node.epoch)
    calls = [
        lambda: mine.stop([job_of(store, ours).id, foreign]),
        lambda: mine.relations([foreign]),
        lambda: mine.reset(ours, Reset(jobs=[foreign])),
        lambda: mine.start(job_of(store, ours).id, 1, node.id),
        lambda: mine.resume(ours, [node.id]),
        lambda: mine.turn(turn),
        lambda: mine.leave(node.id, Usage()),
        lambda: mine.retry(foreign, 1),
        lambda: mine.spawn(foreign, Spawn()),
        lambda: mine.totals([ours, theirs]),
        lambda: mine.change(Job, foreign, {"priority": 1}),
        lambda: mine.remove(Job, [foreign]),
        lambda: mine.add_jobs([NewJob(workflow_id=theirs, name="x", command="x")]),
        lambda: mine.add([UserData(workflow_id=theirs, name="x")]),
        lambda: mine.find(Job, Query(workflow=theirs)),
        lambda: mine.find(Job, Query(where={"id": foreign})),
        lambda: mine.owner_of(Job, [foreign]),
        lambda: mine.access("ann", theirs),
    ]

    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert mine.turn(Turn(node=own_node.id, epoch=own_node.epoch)).complete is False


def test_a_node_joins_only_workflows_it_may_run(store: Store, theirs: WorkflowId) -> None:
    node = NewNode(
        workflow_id=theirs, epoch="e", hostname="h", pid=1, boot_id="b", process_start=1,
        capacity=Resources(cpus=1, memory=1),
    )  # fmt: skip

    with pytest.raises(NotFound, match=r"^no workflow 2$|^no workflow \d+$"):
        guarded(store, user("ann")).join(node)


def test_lists_show_only_what_may_be_read(
    store: Store, ours: WorkflowId, theirs: WorkflowId, groups: object
) -> None:
    seen = {
        name: [one.id for one in guarded(store, user(name)).find(Workflow, Query()).items]
        for name in ("ann", "bob", "dora", "eve", "zoe")
    }
    asked = guarded(store, user("ann")).find(Workflow, Query(where={"user": "eve"}))

    assert seen == {"ann": [ours], "bob": [ours], "dora": [ours], "eve": [theirs], "zoe": []}
    assert (list(asked.items), asked.total) == ([], 0)


def test_without_a_workflow_lists_are_refused(store: Store, ours: WorkflowId) -> None:
    with pytest.raises(Invalid, match="by workflow"):
        guarded(store, user("ann")).find(Job, Query())


def test_a_workflow_belongs_to_who_creates_it(store: Store) -> None:
    assert guarded(store, user("ann")).create(plans.fan(1), "eve").user == "ann"


def test_only_admins_give_a_workflow_to_somebody_else(store: Store, ours: WorkflowId) -> None:
    mine = guarded(store, user("ann"))

    with pytest.raises(Forbidden, match="admin of the server"):
        mine.change(Workflow, ours, {"user": "eve"})
    assert mine.change(Workflow, ours, {"user": "ann", "name": "new"}).name == "new"


def test_only_the_owner_revokes_capabilities(store: Store, ours: WorkflowId, groups: object) -> None:
    with pytest.raises(Forbidden):
        guarded(store, user("bob")).change(Workflow, ours, {"capability_generation": 1})

    assert guarded(store, user("ann")).change(Workflow, ours, {"capability_generation": 1})


def test_tokens_create_nothing_and_list_nothing(store: Store, ours: WorkflowId) -> None:
    token = guarded(
        store, Principal(kind="token", name="ann", rights=up_to("own"), workflows=frozenset({ours}))
    )

    with pytest.raises(Forbidden):
        token.create(plans.fan(1), "ann")
    with pytest.raises(Forbidden):
        token.find(Workflow, Query())


def test_a_job_adds_jobs_in_its_own_name_only(store: Store, ours: WorkflowId) -> None:
    one, other = store.find(Job, Query(workflow=ours)).items
    job = guarded(
        store,
        Principal(kind="job", name="ann", rights=up_to("edit"), workflows=frozenset({ours}), job=one.id),
    )

    with pytest.raises(
        Forbidden, match=f"the capability of job {one.id} adds jobs in the name of that job only"
    ):
        job.spawn(other.id, Spawn())


def test_results_are_changed_by_owners_only(
    store: Store, scene: Scene, ours: WorkflowId, groups: object
) -> None:
    scene.end(ours, "job0")
    result = store.find(Result, Query(workflow=ours)).items[0].id

    with pytest.raises(Forbidden):
        guarded(store, user("bob")).change(Result, result, {"return_code": 1})
    with pytest.raises(Forbidden):
        guarded(store, user("bob")).remove(Result, [result])


def test_events_may_be_added_by_editors(store: Store, ours: WorkflowId, groups: object) -> None:
    event = Event(workflow_id=ours, timestamp=0, category="note", data={})

    assert guarded(store, user("bob")).add([event])
    with pytest.raises(Forbidden):
        guarded(store, user("dora")).add([event])


# Groups, tokens, audit


def test_groups_are_made_and_removed_by_admins(store: Store, groups: tuple[Any, Any]) -> None:
    carl = guarded(store, user("carl"))

    with pytest.raises(Forbidden, match="admin of the server"):
        carl.add([AccessGroup(name="mine")])
    with pytest.raises(Forbidden):
        carl.remove(AccessGroup, [groups[0].id])


def test_members_are_managed_by_admins_of_the_group(store: Store, groups: tuple[Any, Any]) -> None:
    team = groups[0]
    new = Membership(group_id=team.id, user_name="fred")

    added = guarded(store, user("carl")).add([new])[0]
    with pytest.raises(Forbidden, match=f"only admins of group {team.id}"):
        guarded(store, user("bob")).remove(Membership, [added.id])
    with pytest.raises(NotFound):
        guarded(store, user("dora")).add([Membership(group_id=team.id, user_name="dora")])
    assert guarded(store, user("carl")).remove(Membership, [added.id]) == 1


def test_nobody_makes_himself_an_admin_of_the_server(store: Store) -> None:
    store.set_admins(["root"])
    system = store.find(AccessGroup, Query(where={"is_system": True})).items[0]
    own = guarded(store, user("root2"))

    for call in (
        lambda: own.add([Membership(group_id=system.id, user_name="root2", role="admin")]),
        lambda: own.set_admins(["root2"]),
        lambda: own.change(AccessGroup, system.id, {"name": "x"}),
    ):
        with pytest.raises((Forbidden, NotFound)):
            call()


def test_groups_are_seen_by_their_members(store: Store, groups: tuple[Any, Any]) -> None:
    def names(user_name: str) -> list[str]:
        return [one.name for one in guarded(store, user(user_name)).find(AccessGroup, Query()).items]

    assert (names("bob"), names("dora"), names("eve")) == (["team"], ["readers"], [])
    with pytest.raises(NotFound):
        guarded(store, user("eve")).get(AccessGroup, groups[0].id)
    members = guarded(store, user("bob")).find(Membership, Query())
    assert sorted(one.user_name for one in members.items) == ["bob", "carl"]


def test_a_group_is_linked_by_the_owner(store: Store, ours: WorkflowId, groups: tuple[Any, Any]) -> None:
    other = store.add([AccessGroup(name="others")])[0]
    link = GroupLink(workflow_id=ours, group_id=other.id)

    with pytest.raises(Forbidden):
        guarded(store, user("bob")).add([link])
    assert guarded(store, user("ann")).add([link])


def test_tokens_and_audit_are_not_for_others(store: Store) -> None:
    token = Token(key="k", digest="d", user="ann")
    store.add([token])

    assert [one.user for one in guarded(store, user("ann")).find(Token, Query()).items] == ["ann"]
    assert list(guarded(store, user("bob")).find(Token, Query()).items) == []
    for call in (
        lambda: guarded(store, user("ann")).find(AuditEntry, Query()),
        lambda: guarded(store, user("ann")).add([token]),
        lambda: guarded(store, user("ann")).add(
            [AuditEntry(operation="x", principal="x", established="", peer="")]
        ),
    ):
        with pytest.raises(Forbidden):
            call()


def test_others_are_asked_about_by_owners_only(store: Store, ours: WorkflowId, groups: object) -> None:
    assert guarded(store, user("bob")).access("bob", ours).level == "full"
    assert guarded(store, user("ann")).access("bob", ours).level == "full"
    with pytest.raises(Forbidden):
        guarded(store, user("bob")).access("ann", ours)


JUNK: list[Any] = [
    None,
    "",
    "x",
    1.5,
    -1,
    10**30,
    [],
    ["x"],
    [None],
    {},
    {"a": 1},
    Query(),
    Job,
    [1, "x"],
    [[1]],
    True,
]


@pytest.mark.parametrize(
    "name", sorted(({name for name in dir(Store) if not name.startswith("_")}) - {"close", "server_id"})
)
def test_nonsense_is_refused_with_a_sentence(
    store: Store, ours: WorkflowId, theirs: WorkflowId, name: str
) -> None:
    """What comes over the wire may be anything; none of it may be a bug, or get past the table."""
    before = store.find(Job, Query(workflow=theirs)).items

    for one in JUNK:
        for other in JUNK:
            for args in ((), (one,), (one, other), (one, other, other), (Job, one), (Job, one, other)):
                with pytest.raises((TorcError, TypeError)):
                    getattr(guarded(store, user("zoe")), name)(*args)
                    raise Invalid("an empty answer is fine")

    assert store.find(Job, Query(workflow=theirs)).items == before
