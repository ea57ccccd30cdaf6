"""Collect the points of a sweep and write them as CSV, the smallest error first."""

import json
import sys
from pathlib import Path

target, points = Path(sys.argv[1]), [json.loads(Path(name).read_text()) for name in sys.argv[2:]]
points.sort(key=lambda point: (point["error"], point["rule"]))
lines = ["rule,n,error", *(f"{p['rule']},{p['n']},{p['error']:.3e}" for p in points)]
target.write_text("\n".join(lines) + "\n")
print(lines[1])
