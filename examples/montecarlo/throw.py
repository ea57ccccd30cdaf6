"""Throw darts at the unit square and count how many land in the quarter circle."""

import json
import random
import sys
from pathlib import Path

settings, seed, target = json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
dice = random.Random(seed)
hits = sum(dice.random() ** 2 + dice.random() ** 2 <= 1.0 for _ in range(settings["darts"]))
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps({"seed": seed, "darts": settings["darts"], "hits": hits}))
