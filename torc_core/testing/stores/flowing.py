"""Random sequences with actions, failure handlers and added jobs, held against the memory store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from torc_core.errors import TorcError
from torc_core.model import (
    Action,
    ActionRun,
    Initialize,
    JobStatus,
    Json,
    Plan,
    PlannedAction,
    PlannedHandler,
    Query,
    Spawn,
    SpawnJob,
)
from torc_core.protocols import Embedded, Store
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import random_plan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.agreement import CASES, STEPS, Actor
from torc_core.testing.stores.scene import Scene, SceneContract, ended, held


class FlowAgreementContract(SceneContract):
    """What fires, is tried again or is added is so in every store alike."""

    @pytest.mark.parametrize("seed", range(CASES))
    def test_what_follows_from_ends_agrees_with_the_memory_store(
        self, store: Store, clock: SetClock, seed: int
    ) -> None:
        other = SetClock()
        mine, model = Flowing(Scene(store, clock)), Flowing(Scene(MemoryStore(other), other))

        answers = [(mine.begin(seed), model.begin(seed))]
        first, second = Random(seed), Random(seed)
        for _ in range(STEPS):
            answers.append((mine.step(first), model.step(second)))
            assert answers[-1][0] == answers[-1][1], [answer for answer, _ in answers]
            assert mine.state() == model.state(), f"after {answers[-1][0]}"
        assert not isinstance(store, Embedded) or list(store.repair()) == []


class Flowing(Actor):
    """Does what an actor does, and what follows from ends."""

    spawns = 0

    def begin(self, seed: int) -> Any:
        """Create a workflow whose jobs have handlers, and that acts."""
        self.workflow = self.scene.created(furnished(random_plan(seed), Random(seed))).id
        answer = self.scene.store.initialize(self.workflow, Initialize())
        self._join()
        self._join()
        return dict(answer.moved)

    def step(self, dice: Random) -> Any:
        """Do one thing; what came back, or the error."""
        verbs: list[Callable[[Random], Any]] = [
            self.claim, self.claim, self.claim, self.fail, self.fail, self.finish, self.recovered, self.act, self.act,
            self.spawn, self.wait, self.by_hand, self.stop, self.resume, self.disable, self.remove, self.initialize,
            self.give_back, self.cancel, self.reset, self.sweep,
        ]  # fmt: skip
        verb = dice.choice(verbs)
        try:
            return verb.__name__, verb(dice)
        except TorcError as refusal:
            return verb.__name__, type(refusal).__name__, str(refusal)

    def state(self) -> Any:
        """All that can be seen, with the firings of actions."""
        find, query = self.scene.store.find, Query(workflow=self.workflow)
        actions = [
            (one.id, one.trigger_count, one.required_triggers, one.executed, one.executed_at, len(one.jobs))
            for one in find(Action, query).items
        ]
        runs = [
            (one.action_id, one.run_id, one.state.value, one.claim_id, one.progress, one.error)
            for one in find(ActionRun, query).items
        ]
        jobs = [
            (one.not_before, one.losses, one.origin, one.lineage) for one in self.scene.jobs(self.workflow)
        ]
        due = [one.id for one in self.scene.store.due_actions(self.workflow)]
        return actions, runs, jobs, due, super().state()

    def fail(self, dice: Random) -> Any:
        """A node reports a bad end."""
        code, reason = dice.choice((3, 4, 5)), dice.choice((None, None, "interrupted", "runner_died"))
        if not self.given:
            return None
        at, one = dice.choice(self.given)
        end = ended(one, JobStatus.FAILED, return_code=code, reason=reason)
        orders = self.scene.turn(self.nodes[at], endings=[end])
        scripts = [(one.script, one.return_code, one.attempt_id) for one in orders.recover]
        return list(orders.endings), scripts, list(orders.due), orders.retry_ms

    def recovered(self, dice: Random) -> Any:
        """A recovery script ends, or one that was never ordered."""
        if not self.given:
            return None
        at, one = dice.choice(self.given)
        node = self.nodes[at]
        return self.scene.store.recovered(node.id, node.epoch, held(one), dice.random() < 0.6)

    def act(self, dice: Random) -> Any:
        """Somebody takes what is due, or goes on with what was taken."""
        store = self.scene.store
        action = dice.choice(list(store.find(Action, Query(workflow=self.workflow)).items))
        verb, claim = dice.randrange(6), f"a{dice.randrange(3)}"
        if verb < 2:
            node = dice.choice((None, self.nodes[0].id))
            return store.claim_action(action.id, claim, node).run.state
        if verb == 2:
            return store.step_action(action.id, claim, 1).progress
        if verb == 3:
            return store.end_action(action.id, claim, dice.random() < 0.5, "why").state
        return (store.release_action(action.id, claim) if verb == 4 else store.rearm_action(action.id)).state

    def spawn(self, dice: Random) -> Any:
        """A job adds others."""
        job = self._job(dice)
        if job is None:
            return None
        self.spawns += dice.random() < 0.8
        names = [f"s{self.spawns}_{at}" for at in range(dice.randrange(3))]
        others = [one.name for one in self.scene.jobs(self.workflow) if dice.random() < 0.2]
        added = [SpawnJob(name=name, command="true", depends_on=[one for one in others if one != name])
                 for name in names]  # fmt: skip
        return self.scene.store.spawn(job.id, Spawn(jobs=added, state=self.spawns)).iteration

    def wait(self, dice: Random) -> Any:
        """Time passes."""
        self.scene.move(dice.choice((1, 5, 30, 601)))

    def sweep(self, dice: Random) -> Any:
        """The store looks what time has brought."""
        return self.scene.store.sweep()


def furnished(plan: Plan, dice: Random) -> Plan:
    """The plan with handlers for some of its jobs, and with actions."""
    rules: list[dict[str, Json]] = [
        {"exit_codes": [3], "max_retries": 3},
        {"exit_codes": [4], "max_retries": 2, "delay_seconds": 5},
        {"exit_codes": [5], "max_retries": 2, "recovery_script": "fix"},
    ]
    watched = tuple(sorted(dice.sample(range(len(plan.jobs)), dice.randint(1, len(plan.jobs)))))
    actions = [
        PlannedAction(trigger_type=trigger, action_type="run_commands", config={"commands": ["true"]},
                      jobs=watched if "jobs" in trigger else (), trigger_mode=mode, persistent=persistent)
        for trigger, mode, persistent in (
            ("on_workflow_start", "all", False), ("on_jobs_ready", dice.choice(("all", "any")), False),
            ("on_jobs_complete", "all", dice.random() < 0.3), ("on_workflow_complete", "all", False),
            ("on_worker_start", "all", True),
        )
    ]  # fmt: skip
    jobs = [replace(job, handler=0 if dice.random() < 0.7 else None) for job in plan.jobs]
    workflow = replace(
        plan.workflow, use_pending_failed=dice.random() < 0.3, retry_on_node_loss=dice.randrange(2)
    )
    return replace(
        plan, workflow=workflow, handlers=[PlannedHandler(name="h", rules=rules)], jobs=jobs, actions=actions
    )
