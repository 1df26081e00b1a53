"""Pictures, pairs or clips a second of a recipe beside a peer's loop on the same network, in turn; prints JSON lines.

``python benchmarks/picture_speed.py --peers PYTHON --what WHAT``, PYTHON with torch and the peer:

* ``views``: SimCLR (``recipes/simclr.yaml``) beside lightly over timm. Views included on both sides: ours are drawn
  over the whole batch in the step, lightly's one by one, in the loop or in one process beside it.
* ``pairs``: CLIP (``recipes/image-text.yaml``) beside open_clip, likewise.
* ``clips``: VideoMAE (``recipes/videomae.yaml``, of three channels, since the peer's loss wants these) beside
  transformers' class, whose clips lie in memory as it reads them.

All train by AdamW in ``--precision``, whatever the recipe's optimizer is.
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

from moving_digits import make

HERE = Path(__file__).resolve().parent
OPTIMIZER = "{kind: adamw, learning_rate: 0.001, weight_decay: 0.05}"
RECIPES = {"views": "simclr", "pairs": "image-text", "clips": "videomae"}
UNITS = {"views": "pictures", "pairs": "pairs", "clips": "clips"}
CLIPS = 400


def ours(what: str, steps: int, warmup: int, threads: int, precision: str) -> dict[str, float | str]:
    """From the events of a short run."""
    recipe = HERE.parent / "recipes" / f"{RECIPES[what]}.yaml"
    with tempfile.TemporaryDirectory() as folder:
        environment, more = dict(os.environ), list[str]()
        if what == "clips":
            make(Path(folder) / "clips", CLIPS, 1)
            environment["MOVING_DIGITS"] = f"{folder}/clips"
            more = ["input.channels=3", "model.channels=3"]
        sets = [f"training.steps={warmup + steps}", f"training.threads={threads}", "training.validate_every=null"]
        sets += ["training.sample_every=null", f"training.precision={precision}", f"training.optimizer={OPTIMIZER}"]
        overrides = [part for one in [*sets, *more] for part in ("--set", one)]
        command = [sys.executable, "-m", "seedstock", "train", str(recipe), "--name", "speed", "--runs", folder]
        subprocess.run([*command, *overrides], check=True, stdout=subprocess.DEVNULL, env=environment)
        events = map(json.loads, (Path(folder) / "speed" / "events.jsonl").read_text().splitlines())
        done = [one for one in events if one["event"] == "step"]
    batch = done[0]["examples"]
    taken = [one["seconds"] + one["waited"] for one in done if one["step"] > warmup]
    said: dict[str, float | str] = {"trainer": "seedstock", "threads": threads, "precision": precision}
    return said | {f"{UNITS[what]}_per_second": batch / statistics.median(taken)}


def peers(what: str, precision: str) -> list[list[str]]:
    """The peer's script with its options, one for each way that it loads."""
    data = os.environ["SEEDSTOCK_DATA"]
    if what == "clips":
        return [["videomae_transformers.py", "--precision", precision]]
    script, path = {
        "views": ("simclr_lightly.py", "images/cifar10-train.tar"),
        "pairs": ("clip_openclip.py", "image-text/emoji.tar"),
    }[what]
    return [[script, "--pictures", str(Path(data, path)), "--workers", workers] for workers in ("0", "1")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", choices=RECIPES, default="views")
    parser.add_argument("--peers", help="a Python with torch, timm and lightly, open_clip, or transformers")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    given = parser.parse_args()
    print(json.dumps(ours(given.what, given.steps, given.warmup, given.threads, given.precision)), flush=True)
    for script, *more in peers(given.what, given.precision) if given.peers else ():
        options = {"steps": given.steps, "warmup": given.warmup, "threads": given.threads}
        parts = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        subprocess.run([given.peers, str(HERE / "peers" / script), *more, *parts], check=True)


if __name__ == "__main__":
    main()
