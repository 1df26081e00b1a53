"""What the cache of compiled code saves a run that goes on: seconds of the first step in a new process.

``python benchmarks/compile_cache.py`` prints a line each for plain, compiled anew and taken from the cache; it needs
the repository.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = """
import json, sys, time
from pathlib import Path
import torch
from small_run import small_config, small_fit, small_network
from seedstock.training.callbacks.base import Callback

class Times(Callback):
    name = "times"
    def start(self, run):
        self.at = [time.perf_counter()]
    def after_step(self, run):
        self.at.append(time.perf_counter())

times = Times()
config = small_config(steps=2, compile=sys.argv[2] == "compiled", precision="bf16", threads=2)
small_fit(Path(sys.argv[1]), config, small_network(width=256, layers=4, heads=4), callbacks=[times])
print(json.dumps([b - a for a, b in zip(times.at, times.at[1:])]))
"""


def seconds(home: Path, run: Path, how: str) -> float:
    """Of the first step of a process of its own."""
    paths = os.pathsep.join([str(ROOT / "tests" / "training"), str(ROOT / "src")])
    environment = os.environ | {"SEEDSTOCK_HOME": str(home), "PYTHONPATH": paths}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(run), how], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])[0]


def main() -> None:
    """Prints the lines."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        for number, (what, how) in enumerate(
            [("plain", "plain"), ("compiled anew", "compiled"), ("from the cache", "compiled")]
        ):
            print(f"| {what} | {seconds(home, Path(folder, str(number)), how):.1f} |", flush=True)
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        print(f"{size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
