"""Accounts of process trees where there is no /proc to read them from: by psutil, with the face of `proc.Table`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import psutil

from torc_core.model import JobId
from torc_psutil.proc import Account


class Table:
    """Knows the main process of each job, and adds up its descendants. Used by one thread."""

    def __init__(self) -> None:
        self._roots: dict[JobId, psutil.Process] = {}

    def add(self, job: JobId, pid: int, mark: str) -> float | None:
        """A job and its main process; its age in seconds, None: it is gone."""
        try:
            root = psutil.Process(pid)
            age = time.time() - root.create_time()
        except psutil.Error:
            return None
        self._roots[job] = root
        return max(0.0, age)

    def drop(self, job: JobId) -> None:
        """Forget a job."""
        self._roots.pop(job, None)

    def look(self, jobs: Collection[JobId], *, io: bool) -> Mapping[JobId, Account]:
        """The accounts of these jobs; none of one that has no process."""
        accounts = {}
        for job in jobs:
            root = self._roots.get(job)
            try:
                family = [root, *root.children(recursive=True)] if root else []
            except psutil.Error:
                continue
            account = Account()
            for one in family:
                try:
                    self._add(account, one, io=io)
                except psutil.Error:
                    continue
            if account.pids:
                accounts[job] = account
        return accounts

    def close(self) -> None:
        """Let go of nothing: no file is kept open."""

    def _add(self, account: Account, one: psutil.Process, *, io: bool) -> None:
        with one.oneshot():
            times, memory = one.cpu_times(), one.memory_info().rss
            moved = one.io_counters() if io and hasattr(one, "io_counters") else None
        account.spent += times.user + times.system
        account.spent += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        account.memory += memory
        account.pids.append(one.pid)
        if moved is not None:
            account.read += moved.read_bytes
            account.written += moved.write_bytes
