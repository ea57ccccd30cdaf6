"""`torc` with minutes of seconds: what a lease demands can be seen within a test.

A minute of W has `TORC_TEST_MINUTE` seconds, the store waits `TORC_TEST_BEYOND` milliseconds longer than W, and says
`unreachable` after `TORC_TEST_FLAG` milliseconds, if that is given.
"""

from __future__ import annotations

import os
import sys

from torc_core.engine import liveness
from torc_core.main import main

liveness.MINUTE = int(os.environ["TORC_TEST_MINUTE"])
liveness.BEYOND_MS = int(os.environ["TORC_TEST_BEYOND"])
liveness.FLAG_MS = int(os.environ.get("TORC_TEST_FLAG", liveness.FLAG_MS))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
