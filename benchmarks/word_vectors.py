"""Vectors of words from recipes/skip-gram.yaml beside gensim's Word2Vec and beside counts, over the same words.

Needs SEEDSTOCK_DATA and an environment with gensim (which brings scipy), whose Python is ``--gensim``. gensim gets the
training documents in the words of our tokenizer (others left out), the same window, negatives, subsampling, dimensions,
passes and threads. The count model is PPMI with a singular value decomposition (Levy and Goldberg 2014). Judged by rank
correlation with people (WordSim-353, SimLex-999), by analogies, and by eye. Times are of training alone, after the
vocabulary is known.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent


def documents(run: Any) -> list[np.ndarray]:
    """The ids of each training document, without special tokens."""
    shards, special = run.shards, np.array(list(run.tokenizer.specials.values()))
    found = []
    for stratum in shards.strata("train"):
        _, starts = shards.documents("train", stratum.stratum)
        stream = shards.read("train", stratum.stratum, np.array([0]), stratum.tokens)[0]
        found += [part[~np.isin(part, special)] for part in np.split(stream, starts[1:-1])]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gensim", required=True, metavar="PYTHON", help="the Python that has gensim")
    parser.add_argument("--folder", type=Path, default=Path("word-vectors"), help="where the run and the files lie")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides of the recipe")
    parser.add_argument("--parts", nargs="+", default=["ours", "gensim", "counts", "judge"], help="which to do")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from seedstock.runs import Run

    folder, runs = options.folder, options.folder / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    if "ours" in options.parts:
        sets = [part for one in [f"training.threads={options.threads}", *options.set] for part in ("--set", one)]
        command = [sys.executable, "-m", "seedstock", "run", str(HERE.parent / "recipes/skip-gram.yaml")]
        subprocess.run([*command, "--runs", str(runs), *sets], check=True, stdout=subprocess.DEVNULL)
    run = Run.open(runs, "skip-gram")
    tokenizer, objective, trained = run.tokenizer, run.recipe.objective, run.chain.last("trained")
    scores = json.loads((run.folder / "evaluation/scores.json").read_text())
    words = sum(stratum.tokens - 2 * stratum.documents for stratum in run.shards.strata("train"))
    passes = round(trained["tokens"] / words)
    found["ours"] = {"seconds": trained["seconds"], "words": trained["tokens"], "held out": scores["losses"]["pairs"]}
    found["ours"] |= {"floor": scores["expected"]["collapse_at"]["pairs"], "passes": trained["tokens"] / words}
    texts = documents(run)
    names = tokenizer.bytes_of(range(tokenizer.vocab_size))
    peer = [options.gensim, str(HERE / "peers/word2vec_gensim.py")]
    lines, theirs, counts = folder / "lines.txt", folder / "gensim.txt", folder / "counts.txt"
    if not lines.exists():
        with lines.open("wb") as out:
            for text in texts:
                for start in range(0, len(text), 8000):  # gensim cuts longer sentences off
                    out.write(b" ".join(names[number] for number in text[start : start + 8000].tolist()) + b"\n")
    asked = {"window": objective.window, "negative": objective.negatives, "sample": objective.subsample}
    asked |= {"vector_size": run.recipe.model.width}
    if "gensim" in options.parts:
        more = {"sg": 1, "hs": 0, "min_count": 1, "workers": options.threads, "epochs": passes, "seed": 1}
        command = [*peer, "train", str(lines), str(theirs), json.dumps(asked | more)]
        found["gensim"] = json.loads(subprocess.check_output(command))
    if "counts" in options.parts:
        command = [*peer, "count", str(lines), str(counts), json.dumps(asked)]
        found["counts"] = json.loads(subprocess.check_output(command))
    if "judge" in options.parts:
        files = {"ours": run.folder / "release/model/vectors.txt", "gensim": theirs, "counts": counts}
        files = {name: file for name, file in files.items() if file.exists()}
        judged = json.loads(subprocess.check_output([*peer, "judge", *map(str, files.values())]))
        for name, file in files.items():
            found.setdefault(name, {})["judged"] = judged[str(file)]
    results.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
