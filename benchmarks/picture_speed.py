"""Pictures a second of ``recipes/simclr.yaml`` beside lightly's loop on the same network, in turn; prints JSON lines.

``python benchmarks/picture_speed.py --peers PYTHON``; PYTHON has torch, timm and lightly. Views included on both sides:
ours are drawn over the whole batch in the step, lightly's one by one, in the loop or in one process beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def ours(steps: int, warmup: int, threads: int) -> dict[str, float]:
    """From the events of a short run."""
    recipe = HERE.parent / "recipes" / "simclr.yaml"
    with tempfile.TemporaryDirectory() as folder:
        sets = [f"training.steps={warmup + steps}", f"training.threads={threads}", "training.validate_every=null"]
        overrides = [part for one in sets for part in ("--set", one)]
        command = [sys.executable, "-m", "seedstock", "run", str(recipe), "--runs", folder, *overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        events = map(json.loads, (Path(folder) / "simclr" / "events.jsonl").read_text().splitlines())
        done = [one for one in events if one["event"] == "step"]
    batch = done[0]["examples"]
    taken = [one["seconds"] + one["waited"] for one in done if one["step"] > warmup]
    return {"trainer": "seedstock", "threads": threads, "pictures_per_second": batch / statistics.median(taken)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a Python with torch, timm and lightly")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(json.dumps(ours(given.steps, given.warmup, given.threads)), flush=True)
    pictures = str(Path(os.environ["SEEDSTOCK_DATA"], "images/cifar10-train.tar"))
    for workers in (0, 1) if given.peers else ():
        options = {"steps": given.steps, "warmup": given.warmup, "threads": given.threads, "workers": workers}
        parts = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        script = str(HERE / "peers" / "simclr_lightly.py")
        subprocess.run([given.peers, script, "--pictures", pictures, *parts], check=True)


if __name__ == "__main__":
    main()
