"""The file of samples that a runner leaves, for plots (`runner.md` §12.2)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS job_resource_samples (
    id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, timestamp REAL NOT NULL, cpu_percent REAL, memory_bytes INTEGER,
    num_processes INTEGER, run_id INTEGER, attempt_id INTEGER, gpu_percent REAL, gpu_memory_bytes INTEGER,
    read_bytes INTEGER, write_bytes INTEGER
);
CREATE INDEX IF NOT EXISTS job_resource_samples_by_job ON job_resource_samples (job_id, timestamp);
CREATE TABLE IF NOT EXISTS job_metadata (
    job_id INTEGER PRIMARY KEY, job_name TEXT, num_cpus INTEGER, memory_limit_bytes INTEGER, num_gpus INTEGER
);
CREATE TABLE IF NOT EXISTS compute_node_samples (
    id INTEGER PRIMARY KEY, timestamp REAL NOT NULL, cpu_percent REAL, memory_bytes INTEGER, gpu_percent REAL,
    gpu_memory_bytes INTEGER, load1 REAL, output_free_bytes INTEGER
);
CREATE TABLE IF NOT EXISTS monitor_info (key TEXT PRIMARY KEY, value TEXT);
"""
ADD_JOB_SAMPLE = """
INSERT INTO job_resource_samples (job_id, timestamp, cpu_percent, memory_bytes, num_processes, run_id, attempt_id,
    gpu_percent, gpu_memory_bytes, read_bytes, write_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_JOB = "INSERT OR REPLACE INTO job_metadata VALUES (?, ?, ?, ?, ?)"
ADD_NODE_SAMPLE = """
INSERT INTO compute_node_samples (timestamp, cpu_percent, memory_bytes, gpu_percent, gpu_memory_bytes, load1,
    output_free_bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
ADD_INFO = "INSERT OR REPLACE INTO monitor_info VALUES (?, ?)"
PATIENCE = 10.0
"""Seconds to wait for another runner of this host that writes to the same file."""
MOST_ROWS = 1_000_000
"""Rows that are kept while they cannot be written; the oldest are given up."""

Row = Sequence[object]


class Series:
    """A SQLite file, 0600 in a folder 0700; rows are kept until `flush`. Used by one thread.

    Each flush is a transaction: whoever dies in the middle leaves what the flush before has written.
    """

    def __init__(self, path: str, info: Mapping[str, str]) -> None:
        self.path = path
        self._info = info
        self._connection: sqlite3.Connection | None = None
        self._jobs: list[Row] = []
        self._job_samples: list[Row] = []
        self._node_samples: list[Row] = []

    def job(self, row: Row) -> None:
        """A job whose samples will follow: id, name, CPUs, bytes of memory, GPUs."""
        self._jobs.append(row)

    def samples(self, jobs: Iterable[Row], node: Iterable[Row] = ()) -> None:
        """Rows of one pass, in the order of the columns."""
        self._job_samples += jobs
        self._node_samples += node

    def flush(self) -> None:
        """Write what was kept.

        Raises
        ------
        OSError, sqlite3.Error
            If it cannot be written now; it is kept for the next time.
        """
        if not (self._jobs or self._job_samples or self._node_samples):
            return
        try:
            connection = self._connection or self._open()
            with connection:
                connection.executemany(ADD_JOB, self._jobs)
                connection.executemany(ADD_JOB_SAMPLE, self._job_samples)
                connection.executemany(ADD_NODE_SAMPLE, self._node_samples)
        except (OSError, sqlite3.Error):
            del self._job_samples[:-MOST_ROWS], self._node_samples[:-MOST_ROWS]
            raise
        self._jobs, self._job_samples, self._node_samples = [], [], []

    def close(self) -> None:
        """Let go of the file; `flush` first."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self.path, flags, 0o600))
        try:
            connection = self._prepared(nolock=False)
        except sqlite3.OperationalError:
            # Some network file systems have no locks; this runner is the file's only writer.
            connection = self._prepared(nolock=True)
        self._connection = connection
        return connection

    def _prepared(self, *, nolock: bool) -> sqlite3.Connection:
        from urllib.parse import quote

        uri = f"file:{quote(self.path)}?mode=rw{'&nolock=1' if nolock else ''}"
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE)
        try:
            connection.executescript(f"PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL; {SCHEMA}")
            with connection:
                connection.executemany(ADD_INFO, self._info.items())
        except sqlite3.Error:
            connection.close()
            raise
        return connection
