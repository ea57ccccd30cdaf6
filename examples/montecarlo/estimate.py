"""Add up the darts of all seeds: pi is four times the share of hits."""

import json
import math
import sys
from pathlib import Path

settings, target = json.loads(sys.argv[1]), Path(sys.argv[2])
throws = [json.loads(Path(name).read_text()) for name in sys.argv[3:]]
darts, hits = sum(t["darts"] for t in throws), sum(t["hits"] for t in throws)
share = hits / darts
answer = {
    "pi": round(4 * share, settings["digits"]),
    "standard_error": round(4 * math.sqrt(share * (1 - share) / darts), settings["digits"]),
    "darts": darts,
}
target.write_text(json.dumps(answer))
print(answer)
