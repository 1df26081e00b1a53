"""Episodes as tokens: the returns of playing with a run of ``recipes/gato.yaml``, by the return that was asked for.

``python benchmarks/gato.py --runs runs`` prints JSON: mean returns and their standard errors, actions drawn by their
scores, beside the returns of the episodes that it learned from.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from seedstock import weights
from seedstock.evaluation.play_tokens import play
from seedstock.inputs.episode_tokens import Episodes
from seedstock.runs import Run


def mean(returns: Any) -> dict[str, float]:
    """Of returns, with its standard error."""
    found = np.asarray(returns, np.float64)
    return {"return": float(found.mean()), "error": float(found.std() / len(found) ** 0.5), "of": len(found)}


def measure(run: Run, episodes: int, asked: list[float], greedy: bool = False) -> dict[str, Any]:
    """What the module says, as one record."""
    writer, network = Episodes(run.recipe.input.episodes, run.tokenizer.specials), weights.load(run)[0]
    world = next(one.world for one in run.recipe.sources if one.kind == "gymnasium")
    options = {"episodes": episodes, "greedy": greedy}
    found = {f"asked for {one:g}": mean(play(network, writer, world, target=one, **options)) for one in asked}
    rows = (
        json.loads(meta) for batch in run.corpus.texts("train", more=("meta",)) for meta in batch["meta"].to_pylist()
    )
    return found | {"episodes": mean([one["return"] for one in rows])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--run", default="gato")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--asked", type=float, nargs="+", default=[15, 50, 100, 200, 350, 500])
    parser.add_argument("--greedy", action="store_true")
    given = parser.parse_args()
    run = Run.open(given.runs, given.run)
    print(json.dumps(measure(run, given.episodes, given.asked, given.greedy), indent=2))


if __name__ == "__main__":
    main()
