"""`python -m torc_core` is `torc`."""

from __future__ import annotations

import sys

from torc_core.main import main

sys.exit(main())
