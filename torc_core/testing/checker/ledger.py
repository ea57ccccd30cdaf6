"""What a job calls to leave a trace: one line when it starts, one when it ends, in one file that all jobs share.

    python -I -S ledger.py FILE 0.2             # notes the start, sleeps, notes the end
    python -I -S ledger.py FILE sh -c 'make'    # the same around a command
    python -I -S ledger.py FILE --effect KEY    # notes that something with this key was done

Nothing but the standard library is loaded, and as little of that as possible: a job starts it twice a second and more.
A lock that all processes of the job inherit tells whether another attempt of it is alive: `alone` says that none was.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

NAMES = {
    "workflow": "TORC_WORKFLOW_ID", "job": "TORC_JOB_ID", "run": "TORC_RUN_ID", "attempt": "TORC_ATTEMPT_ID",
}  # fmt: skip


def write(path: str, what: str, **more: object) -> None:
    """Append one line, all of it or nothing."""
    line = {name: int(os.environ.get(variable, "0")) for name, variable in NAMES.items()}
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    said = {"what": what, **line, "host": os.uname().nodename, "pid": os.getpid(), "ns": instant(), **more}
    if gpus:
        said["gpus"] = gpus.split(",")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (json.dumps(said) + "\n").encode())
    finally:
        os.close(file)


def instant() -> int:
    """Nanoseconds since boot."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def alone(path: str) -> bool:
    """Whether no other attempt of this job lives; from now on this one does, to its last process."""
    workflow, job = os.environ.get("TORC_WORKFLOW_ID", "0"), os.environ.get("TORC_JOB_ID", "0")
    lock = os.open(f"{path}.lock.{workflow}.{job}", os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(path: str, words: list[str]) -> int:
    """Note the start, do what is asked, note the end."""
    if words[0] == "--effect":
        write(path, "effect", key=words[1])
        return 0
    write(path, "start", alone=alone(path))
    code = 0
    if len(words) == 1:
        time.sleep(float(words[0]))
    else:
        code = os.spawnvp(os.P_WAIT, words[0], words)
    write(path, "end", code=code)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
