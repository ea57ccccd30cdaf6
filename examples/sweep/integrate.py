"""Integrate sin(x) from 0 to pi on `n` intervals by one rule and write the error as JSON."""

import json
import math
import sys
from pathlib import Path

rule, n, target = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
step = math.pi / n
offset = {"left": 0.0, "midpoint": 0.5, "trapezoid": 0.0}[rule]
value = step * sum(math.sin((k + offset) * step) for k in range(n))
if rule == "trapezoid":
    value += step * (math.sin(math.pi) - math.sin(0.0)) / 2
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps({"rule": rule, "n": n, "value": value, "error": abs(value - 2.0)}))
