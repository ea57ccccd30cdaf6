"""A store that speaks the JSON forms of `wire.md` §7 where there are some: runners through X1 to X7, plans through `/x/plans`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.plugins.http.x.plan_form import NotExpressible, plan_body
from torc_core.model import (
    Assignment,
    Ending,
    Fingerprint,
    Held,
    Job,
    JobId,
    NewNode,
    Node,
    NodeId,
    Offer,
    Orders,
    Output,
    Plan,
    Query,
    Recovery,
    SchedulerId,
    Shape,
    Turn,
    Usage,
    Verdict,
    Workflow,
)
from torc_core.model.resources import GIB
from torc_http.client.store import HttpStore
from torc_http.wire.durations import iso_duration
from torc_http.wire.fields import shown_instant

ENDINGS = {"ok": Verdict.DONE, "same": Verdict.SAME, "different": Verdict.DIFFERENT, "stale": Verdict.STALE}
STARTS = {"ok": Verdict.DONE, "already": Verdict.SAME, "canceled": Verdict.CANCELED, "lost": Verdict.STALE}


def given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class XStore:
    """Behaves as the store behind it; only the way differs."""

    def __init__(self, store: HttpStore) -> None:
        self._store: Any = store
        self.by_plan = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return json.loads(self._store.ask("POST", path, json.dumps(body).encode(), patience=60).body)

    def create(self, plan: Plan, user: str) -> Workflow:
        """Through `/x/plans` where a plan can be said so; `by_plan` counts them."""
        try:
            body = plan_body(plan, uuid.uuid4().hex)
        except NotExpressible:
            return self._store.create(plan, user)
        body["workflow"]["user"] = plan.workflow.user or user
        self.by_plan += 1
        return self._store.get(Workflow, self.post("/x/plans", body)["workflow_id"])

    def join(self, node: NewNode) -> Node:
        answer = self.post("/x/nodes", joining(node))
        return self._store.get(Node, answer["node_id"])

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        epoch = self._store.get(Node, node).epoch
        body: dict[str, Any] = {"epoch": epoch, "reason": "done"}
        if usage is not None:
            body["usage"] = {name: getattr(usage, name) for name in Usage.__dataclass_fields__}
        self.post(f"/x/nodes/{node}/leave", body)

    def turn(self, turn: Turn) -> Orders:
        return self.orders(turn, self.post(f"/x/nodes/{turn.node}/turn", turning(turn)))

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        body = {
            "epoch": epoch,
            "job_id": held.job,
            "attempt_id": held.attempt_id,
            "lease": held.lease,
            "ok": ok,
        }
        answer = self.post(f"/x/nodes/{node}/recovered", body)["answer"]
        return {**ENDINGS, "retry": Verdict.RETRY, "canceled": Verdict.CANCELED}[answer]

    def orders(self, turn: Turn, told: Mapping[str, Any]) -> Orders:
        """What the answer to a turn says."""
        orders, claim = told["orders"], told.get("claim", {})
        workflow = self._store.get(Node, turn.node).workflow_id
        return Orders(
            endings=[
                Verdict.RETRY if "retry" in one else ENDINGS[one["answer"]] for one in told.get("results", ())
            ],
            starts=[STARTS[one["answer"]] for one in told.get("starts", ())],
            jobs=self.assignments(workflow, claim.get("jobs", ())),
            cancel=[JobId(one["job_id"]) for one in orders["cancel"]],
            terminate=[JobId(one["job_id"]) for one in orders["cancel"] if one["stop"] == "terminate"],
            unknown=[JobId(one[0]) for one in orders["unknown"]],
            recall=[JobId(one[0]) for one in orders["recall"]],
            recover=[
                Recovery(
                    job=JobId(one["job_id"]), attempt_id=one["attempt_id"], lease=one["lease"], script=one["script"],
                    return_code=one["return_code"],
                )
                for one in orders["recover"]
            ],
            due=orders["due_actions"],
            retry_ms=orders.get("retry_ms"),
            drain=orders["drain"],
            reason=claim.get("reason"),
            never=claim.get("never", False),
            pause_ms=claim.get("pause_ms", 0),
            remaining=told["workflow"]["left"],
            complete=told["workflow"]["is_complete"],
            canceled=told["workflow"]["is_canceled"],
        )  # fmt: skip

    def assignments(self, workflow: Any, jobs: Sequence[Mapping[str, Any]]) -> list[Assignment]:
        if not jobs:
            return []
        query = Query(workflow=workflow, where={"id": tuple(one["id"] for one in jobs)})
        records = {one.id: one for one in self._store.find(Job, query).items}
        return [
            Assignment(
                job=records[one["id"]],
                shape=shape_of(one["requirements"]),
                outputs=[Output(file=file["id"], name=file["name"], path=file["path"]) for file in one["output_files"]],
                started=one["started"],
                ahead=one["ahead"],
                node_index=one["node_index"],
                stated=one["requirements"]["memory_stated"],
            )
            for one in jobs
        ]  # fmt: skip


def joining(node: NewNode) -> dict[str, Any]:
    return given(
        epoch=node.epoch, workflow_id=node.workflow_id, hostname=node.hostname, boot_id=node.boot_id, pid=node.pid,
        process_start=node.process_start, num_cpus=node.capacity.cpus, memory_gb=node.capacity.memory / GIB,
        num_gpus=node.capacity.gpus, gpu_ids=list(node.gpus), num_nodes=node.num_nodes,
        time_limit=None if node.time_limit is None else iso_duration(node.time_limit),
        scheduler_config_id=node.scheduler_id, compute_node_type=node.type,
        scheduler=None if node.scheduler is None else dict(node.scheduler), submission_key=node.submission_key,
        restart_count=node.restart_count, label=node.label, output_dir=node.output_dir, fences=node.fences, version="1",
    )  # fmt: skip


def turning(turn: Turn) -> dict[str, Any]:
    beat = turn.beat
    return {
        "epoch": turn.epoch,
        **given(
            results=[ending(one) for one in turn.endings] or None,
            starts=[{"job_id": one.job, "attempt_id": one.attempt_id, "lease": one.lease} for one in turn.starts] or None,
            give_back=[triple(one) for one in turn.give_back] or None,
            beat=None
            if beat is None
            else {
                "held": [triple(one) for one in beat.held], "running": [triple(one) for one in beat.running],
                "number": beat.number,
            },
            claim=None if turn.offer is None else claiming(turn.offer),
        ),
    }  # fmt: skip


def triple(one: Held) -> list[Any]:
    return [one.job, one.attempt_id, one.lease]


def ending(one: Ending) -> dict[str, Any]:
    return given(
        job_id=one.job, run_id=one.run_id, attempt_id=one.attempt_id, status=one.status.label,
        return_code=one.return_code, exec_time_minutes=one.exec_minutes, completion_time=shown_instant(one.completed_at),
        reason=one.reason, peak_memory_bytes=one.usage.peak_memory_bytes, avg_memory_bytes=one.usage.avg_memory_bytes,
        peak_cpu_percent=one.usage.peak_cpu_percent, avg_cpu_percent=one.usage.avg_cpu_percent,
        leftover_processes=one.leftovers, outputs=[seen(file) for file in one.outputs],
    ) | {"lease": one.lease}  # fmt: skip


def seen(one: Fingerprint) -> dict[str, Any]:
    there = one.st_mtime is not None or one.size is not None
    return given(
        id=one.file, exists=there, st_mtime=one.st_mtime, size=one.size, content_hash=one.content_hash
    )


def claiming(offer: Offer) -> dict[str, Any]:
    nodes = [{"cpus": one.cpus, "memory_bytes": one.memory, "gpus": one.gpus} for one in offer.free]
    whole = nodes[0] if nodes else {"cpus": 0, "memory_bytes": 0, "gpus": 0}
    return given(
        claim_id=offer.claim_id, limit=offer.limit, start=offer.start, free={**whole, "nodes": nodes},
        time_left_s=offer.time_limit, ahead=offer.ahead, start_ahead=offer.start_ahead,
        busy=[written(one) for one in offer.busy], by_count=offer.by_count, wait_ms=offer.wait_ms, strict_scheduler_match=offer.strict_scheduler_match,
    )  # fmt: skip


def written(one: Shape) -> dict[str, Any]:
    return given(
        cpus=one.cpus, memory_bytes=one.memory, gpus=one.gpus, nodes=one.nodes, runtime_s=one.runtime,
        scheduler_config_id=one.scheduler, label=one.label,
    )  # fmt: skip


def shape_of(needs: Mapping[str, Any]) -> Shape:
    scheduler = needs.get("scheduler_config_id")
    return Shape(
        cpus=needs["num_cpus"], memory=needs["memory_bytes"], gpus=needs["num_gpus"], nodes=needs["num_nodes"],
        runtime=needs["runtime_s"], scheduler=None if scheduler is None else SchedulerId(scheduler),
        label=needs.get("label"),
    )  # fmt: skip
