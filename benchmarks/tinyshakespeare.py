"""recipes/tinyshakespeare.yaml from nothing: nats a character on the last tenth, and the time of it all.

Needs SEEDSTOCK_DATA. The score is over every character of the last tenth, in windows of the model's context that do
not overlap; ``--seeds`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            extra = [part for override in options.overrides for part in ("--set", override)]
            command = [sys.executable, "-m", "seedstock", "run", "tinyshakespeare", "--set", f"seed={seed}", *extra]
            began = time.monotonic()
            subprocess.run([*command, "--json"], cwd=folder, capture_output=True, check=True)
            seconds = time.monotonic() - began
            scores = json.loads(Path(folder, "runs/tinyshakespeare/evaluation/scores.json").read_text())
            chain = Path(folder, "runs/tinyshakespeare/ledger/chain.jsonl").read_text().splitlines()
        trained = next(json.loads(line)["body"] for line in chain if json.loads(line)["kind"] == "trained")
        print(
            json.dumps(
                {
                    "seed": seed,
                    "nats_per_character": round(scores["held_out"]["nats_per_character"], 4),
                    "seconds_in_all": round(seconds, 1),
                    "training_seconds": trained["seconds"],
                    "characters_per_second": trained["tokens_per_second"],
                    "parameters": scores["parameters"],
                }
            )
        )


if __name__ == "__main__":
    main()
