"""What a decision transformer returns when it is asked for more, beside behaviour cloning.

Trains ``--recipe``, the same network without returns (behaviour cloning) and that on the best tenth of the episodes
(filtered behaviour cloning), then plays ``--episodes`` episodes with each. Needs ``seedstock[worlds]``. ``--steps`` and
``--seed`` go to the runs.
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
TARGETS = {
    "decision-transformer": (15, 50, 100, 200, 350, 500),
    "decision-minigrid": (0, 0.3, 0.6, 0.8, 0.9, 0.95),
    "decision-pendulum": (-1500, -1200, -900, -600, -300, -150),
}
"""Returns to ask for, by recipe."""


def train(folder: Path, recipe: str, name: str, *overrides: str) -> Path:
    """A run of the recipe."""
    sets = [part for override in overrides for part in ("--set", override)]
    path = HERE / f"recipes/{recipe}.yaml"
    command = [sys.executable, "-m", "seedstock", "train", str(path), "--name", name, *sets]
    subprocess.run([*command, "--runs", str(folder / "runs")], check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / name


def recipe_of(run: Path) -> Any:
    """The recipe that was run."""
    from seedstock.runs import Run

    return Run.open(run.parent, run.name).recipe


def returns(run: Path) -> np.ndarray:
    """Of the training episodes."""
    from seedstock.runs import Run

    corpus, found = Run.open(run.parent, run.name).corpus, []
    for batch in corpus.texts(split="train", media="-", more=("meta",)):
        for row in batch.to_pylist():
            meta = row["meta"]
            found.append(float((json.loads(meta) if isinstance(meta, str) else meta)["return"]))
    return np.array(found)


def told(values: np.ndarray) -> dict[str, float]:
    """Mean and standard error."""
    error = float(values.std(ddof=1) / len(values) ** 0.5)
    return {"mean": round(float(values.mean()), 2), "standard_error": round(error, 2), "episodes": len(values)}


def played(run: Path, episodes: int, **options: Any) -> dict[str, float]:
    """Returns of a run's newest checkpoint."""
    from seedstock.evaluation.play import play
    from seedstock.runs import Run
    from seedstock.weights import load_nets

    nets, objective, _ = load_nets(Run.open(run.parent, run.name))
    return told(play(nets, objective, recipe_of(run).sources[0].world, episodes=episodes, **options))


def main() -> None:
    """Trains, plays, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--recipe", choices=TARGETS, default="decision-transformer")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", type=float, nargs="+")
    parser.add_argument("--set", action="append", default=[], help="further overrides of the runs")
    given = parser.parse_args()
    more = [f"seed={given.seed}", *given.set] + ([f"training.steps={given.steps}"] if given.steps else [])
    asked = train(given.folder, given.recipe, "decision", *more)
    data = returns(asked)
    best = float(np.quantile(data, 0.9))
    cloned = train(given.folder, given.recipe, "cloning", "objective.given=nothing", *more)
    filtered = train(given.folder, given.recipe, "filtered", "objective.given=nothing", f"input.at_least={best}", *more)
    about = {"best tenth from": best, "its mean": float(data[data >= best].mean())}
    found: dict[str, Any] = {"data": told(data) | about}
    discrete, targets = recipe_of(asked).model.discrete, given.targets or TARGETS[given.recipe]
    for greedy in (False, True) if discrete else (True,):
        how = ("likeliest" if greedy else "drawn") if discrete else "done"
        options = {"episodes": given.episodes, "greedy": greedy, "seed": 7}
        found[how] = {f"asked for {one:g}": played(asked, target=one, **options) for one in targets}
        (given.folder / "decision.json").write_text(json.dumps(found, indent=1))
        found[how] |= {"cloning": played(cloned, **options), "filtered cloning": played(filtered, **options)}
    (given.folder / "decision.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
