"""Work for a moment and note when it began and ended, with the CPUs and GiB that this job asked for."""

import os
import sys
import time

ledger, name, cpus, memory = sys.argv[1:]
begin = time.monotonic()
time.sleep(0.15)
line = f"{begin:.6f},{time.monotonic():.6f},{name},{cpus},{memory}\n"
target = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.write(target, line.encode())
