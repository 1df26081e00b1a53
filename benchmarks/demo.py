"""The demo in an empty folder: seconds, peak memory, bits per byte beside the count models. Takes a few minutes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        command = [sys.executable, "-m", "seedstock"]
        done = subprocess.run([*command, "demo", "--json"], cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
        result = json.loads(done.stdout)
        again = time.monotonic()
        subprocess.run([*command, "run", "quickstart", "--json"], cwd=folder, capture_output=True, check=True)
        again = time.monotonic() - again
        floors = json.loads(Path(folder, "runs/quickstart/evaluation/scores.json").read_text())["floors"]
    found = {
        "seconds": round(seconds, 1),
        "peak_memory_gib": round(result["peak_memory_bytes"] / 2**30, 2),
        "bits_per_byte": round(result["held_out"]["bits_per_byte"], 3),
        "orders": {order: round(bits, 3) for order, bits in floors["orders"].items()},
        "xz": floors["xz"],
        "tokens_per_second": result["training"]["tokens_per_second"],
        "second_run_seconds": round(again, 2),
    }
    print(json.dumps(found) if options.json else "\n".join(f"{key:20} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
