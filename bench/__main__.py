"""`make bench`: run every measurement one after the other and write `var/bench.json`.

Each module below `bench/` prints JSON lines `{"name", "value", "unit", "ratio_to", "ratio"}` and may be run by itself.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

MODULES = (
    "decode_book",
    "ingest",
    "bus_hops",
    "features",
    "inference",
    "matching",
    "history",
    "venue_frames",
    "venue_load",
    "tick_to_order",
)


def main() -> int:
    """Run all; exit 1 when one of them fails."""
    rows, failed = [], []
    for name in MODULES:
        command = f"python -m bench.{name}"
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False, capture_output=True, text=True)
        if done.returncode:
            failed.append(name)
            sys.stderr.write(f"bench.{name} failed: {done.stderr.strip().splitlines()[-1:]}\n")
            continue
        for line in done.stdout.splitlines():
            row = {"ratio_to": None, "ratio": None} | json.loads(line) | {"command": command}
            rows.append(row)
            ratio = f"  {row['ratio']:.2f} × {row['ratio_to']}" if row["ratio"] is not None else ""
            print(f"{row['name']:<62} {row['value']:>14,.3f} {row['unit']:<12}{ratio}")
    path = Path("var/bench.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{path}: {len(rows)} rows on {platform.machine()}, Python {platform.python_version()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
