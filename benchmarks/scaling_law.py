"""The fitter of scaling laws on data that others made public: 104 models of Gadre et al. 2024 (mlfoundations/scaling).

    python benchmarks/scaling_law.py FOLDER      # FOLDER: exp_data/models of a clone of that repository

Fits the runs of each training set, and asks each fit, made without the runs of 1 B parameters and more, for those.
``--count`` says what N counts: every parameter (as Hoffmann et al. 2022), those that are multiplied (the head, not the
look-up of tokens: as Porian et al. 2024), or the body alone (as Kaplan et al. 2020).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from seedstock.errors import DataError
from seedstock.planning.scaling import NAMES, fit

LARGE = 1e9
COUNTS = {  # of every parameter and those without the embedding, whose table is as large as the head
    "all": lambda every, without: every,
    "multiplied": lambda every, without: without,
    "body": lambda every, without: 2 * without - every,
}


def main() -> None:
    """Prints a table of constants, and of what was foreseen for the large runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--on", default="openlm", help="the validation set, by a part of its name")
    parser.add_argument("--count", choices=COUNTS, default="all", help="what N counts")
    options = parser.parse_args()
    runs = defaultdict(list)
    for path in sorted(options.folder.glob("*.json")):
        record = json.loads(path.read_text())
        known = record["hyperparameters"]
        size, tokens = COUNTS[options.count](known["params"], known["params_no_embed"]), known["tokens"]
        for result in record["results"]:
            if options.on in str(result["val_data"]):
                runs[record["dataset_name"]].append((size, tokens, result["loss"]))
    print(f"| trained on | runs | {' | '.join(NAMES)} | starts that agree | slope left |")
    for name, rows in runs.items():
        law = fit(*zip(*rows, strict=True))
        between = law.intervals()
        cells = [f"{getattr(law, one):.4g} ({between[one][0]:.4g} to {between[one][1]:.4g})" for one in NAMES]
        print(f"| {name} | {len(rows)} | {' | '.join(cells)} | {law.agreeing:.0%} | {law.gradient:.1e} |")
    print("| trained on | parameters | tokens | loss | foreseen | off | inside |")
    for name, rows in runs.items():
        try:
            law = fit(*zip(*(row for row in rows if row[0] < LARGE), strict=True))
        except DataError as error:
            print(f"{name}: {error}")
            continue
        for size, tokens, loss in (row for row in rows if row[0] >= LARGE):
            said = law.predict(size, tokens)
            low, high = said["interval"]
            told = (
                f"{said['loss']:.4f} ({low:.4f} to {high:.4f}) | {said['loss'] / loss - 1:+.2%} | {low <= loss <= high}"
            )
            print(f"| {name} | {size:.3g} | {tokens:.3g} | {loss:.4f} | {told} |")


if __name__ == "__main__":
    main()
