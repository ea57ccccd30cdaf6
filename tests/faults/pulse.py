"""A job that says all the time that it lives: `pulse.py FILE HOW [SECONDS]`.

HOW is `obeys` or `ignores`: what it does about SIGTERM. It ends by itself after so many seconds, if any are given.
"""

from __future__ import annotations

import os
import signal
import sys
import time

EVERY = 0.05

if __name__ == "__main__":
    if sys.argv[2] == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    until = time.monotonic() + float(sys.argv[3]) if len(sys.argv) > 3 else None
    file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    job, attempt, runner = (os.environ[f"TORC_{one}"] for one in ("JOB_ID", "ATTEMPT_ID", "RUNNER"))
    name = f"{job} {attempt} {runner.partition('.')[0]}"
    while until is None or time.monotonic() < until:
        # One write, so lines are whole.
        os.write(file, f"{name} {time.time_ns()}\n".encode())
        time.sleep(EVERY)
