"""Does fill-in-the-middle cost anything left to right, and does it fill?

Trains ``recipes/fim.yaml`` with the objectives ``fim`` and ``causal`` on the same tokens (runs that are there are taken
as they are) and prints as JSON: bits per byte from left to right with the difference over the same documents, and how
likely and how often to the letter a line that was taken out of a held-out file comes back: by the marks (PSM, SPM), and
from what comes before alone. Needs SEEDSTOCK_DATA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent.parent


def train(kind: str, folder: Path, seed: int, overrides: list[str]) -> Path:
    """The run's folder."""
    name = f"{kind}-{seed}"
    if not (folder / name / "evaluation/scores.json").exists():
        sets = [f"objective.kind={kind}", f"seed={seed}", *overrides]
        command = [sys.executable, "-m", "seedstock", "run", str(HERE / "recipes/fim.yaml"), "--name", name]
        extra = [part for one in sets for part in ("--set", one)]
        subprocess.run([*command, "--runs", str(folder), *extra], check=True, stdout=subprocess.DEVNULL)
    return folder / name


def documents(run: Path) -> Any:
    """Nats and bytes of each held-out document, by id."""
    rows = np.load(run / "evaluation/documents.npy")
    return rows[np.argsort(rows["id"].view("V16").ravel(), kind="stable")]


def difference(fim: Path, causal: Path) -> dict[str, float]:
    """Bits per byte of the first less those of the second, with the standard error over the documents of both."""
    from seedstock.evaluation.tally import LN2, ratio

    one, other = documents(fim), documents(causal)
    assert np.array_equal(one["id"], other["id"])
    value, error = ratio(one["nats"] - other["nats"], one["bytes"].astype(np.float64))
    assert value is not None and error is not None
    return {"bits_per_byte": value / LN2, "standard_error": error / LN2}


def infilling(run: Path, lines: int, write: bool) -> dict[str, Any]:
    """Bits a byte of the missing lines by one run's model, and exact matches where it is to write."""
    from seedstock import weights
    from seedstock.evaluation.infill import bits_per_byte, continuer, exact_match, gaps, infiller, marked, plain
    from seedstock.runs import Run

    opened = Run.open(run.parent, run.name)
    network, _ = weights.load(opened)
    texts = [text for batch in opened.corpus.texts("held_out") for text in batch.column("text").to_pylist()]
    asked = list(gaps(texts, lines=lines))
    tokenizer, before = opened.tokenizer, "what comes before alone"
    room = network.config.context // 2
    prompts = {
        "PSM": marked(tokenizer, room),
        "SPM": marked(tokenizer, room, spm=True),
        before: plain(tokenizer, room // 2),
        f"{before}, twice as much": plain(tokenizer, room),
    }
    likely = {name: bits_per_byte(network, tokenizer, prompt, asked) for name, prompt in prompts.items()}
    if not write:
        return {"bits_per_byte": likely}
    writers = {
        "PSM": infiller(network, tokenizer),
        "SPM": infiller(network, tokenizer, spm=True),
        before: continuer(network, tokenizer),
    }
    found = {name: exact_match(writer, asked) for name, writer in writers.items()}
    for one in found.values():
        del one["written"]
    return {"bits_per_byte": likely, "exact_match": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("infill"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=15, help="lines taken out of each held-out file")
    parser.add_argument("--no-writing", action="store_true", help="leave exact matches out, which take minutes")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    runs = {kind: train(kind, options.folder, options.seed, options.overrides) for kind in ("fim", "causal")}
    found: dict[str, Any] = {}
    for kind, run in runs.items():
        scores = json.loads((run / "evaluation/scores.json").read_text())["held_out"]
        found[kind] = {
            "bits_per_byte": scores["bits_per_byte"],
            "infilling": infilling(run, options.lines, not options.no_writing),
        }
    print(json.dumps({**found, "fim less causal": difference(runs["fim"], runs["causal"])}, indent=1))


if __name__ == "__main__":
    main()
