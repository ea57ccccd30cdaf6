"""A job that says all the time that it lives: `pulse.py FILE HOW [END]`.

HOW is `obeys` or `ignores`: what it does about SIGTERM. It ends by itself when there is a file END, if one is given.
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
    file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    job, attempt, runner = (os.environ[f"TORC_{one}"] for one in ("JOB_ID", "ATTEMPT_ID", "RUNNER"))
    name = f"{job} {attempt} {runner.partition('.')[0]}"
    while True:
        # One write, so lines are whole.
        os.write(file, f"{name} {time.time_ns()}\n".encode())
        time.sleep(EVERY)
        if len(sys.argv) > 3 and os.path.exists(sys.argv[3]):
            break
