"""`torc` with minutes of seconds: what a lease demands can be seen within a test.

A minute of W has `TORC_TEST_MINUTE` seconds, and the store waits `TORC_TEST_BEYOND` milliseconds longer than W.
"""

from __future__ import annotations

import os
import sys

from torc_core.engine import liveness
from torc_core.main import main

liveness.MINUTE = int(os.environ["TORC_TEST_MINUTE"])
liveness.BEYOND_MS = int(os.environ["TORC_TEST_BEYOND"])

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
