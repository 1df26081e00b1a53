"""A masked autoencoder fine-tuned with few labels, beside the same network from random weights.

``python benchmarks/mae_finetune.py RUNS [--labels 100 1000] [--seeds 3] [--steps 300]``: RUNS is a folder of runs with
``mae`` (``seedstock run recipes/mae.yaml``). Every seed draws its labels from the training items, balanced over
classes; both sides learn from the same ones, at the rate that is best of three on a fifth of the labels (one seed), and
are judged on all held-out items.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from seedstock import weights
from seedstock.evaluation.classification import classes
from seedstock.inputs.items.loader import HeldOutItems, gather
from seedstock.inputs.keys import Keys
from seedstock.objectives.base import assemble
from seedstock.objectives.configs.classify_pictures import ClassifyPicturesConfig
from seedstock.runs import Run
from seedstock.training import batches
from seedstock.training.configs.optimizers import AdamWConfig
from seedstock.training.gradients import accumulate
from seedstock.training.optimizers.groups import trained

BATCH, RATES = 64, (3e-4, 1e-3, 3e-3)


def drawn(run: Run, count: int, seed: int) -> dict[str, np.ndarray]:
    """``count`` training items, as many of each class."""
    items = HeldOutItems(run.shards, prepare=lambda batch, keys: batch, split="train")
    labels = gather(run.shards, "train", items.strata, items.starts)["label"]
    order = np.random.default_rng(seed).permutation(len(labels))
    own = [order[labels[order] == label][: count // len(run.shards.labels)] for label in range(len(run.shards.labels))]
    chosen = np.concatenate(own)
    found = gather(run.shards, "train", items.strata[chosen], items.starts[chosen])
    return {**found, "examples": np.arange(len(chosen))}


def taught(run: Run, spec, items: dict[str, np.ndarray], base: bool, rate: float, seed: int, steps: int):
    """Nets that learned these items, and the objective."""
    objective = ClassifyPicturesConfig(pool="mean", crop=2).build(spec)
    network = weights.load(run)[0].float() if base else run.recipe.model.build(0, seed)
    network.use(torch.float32)
    nets = assemble(network, objective).train()
    decay = 0.75 if base else 1.0
    config = AdamWConfig(learning_rate=rate, betas=(0.9, 0.999), weight_decay=0.05, layer_decay=decay)
    (optimizer,) = config.build(*trained(nets))
    peaks = [group["lr"] for group in optimizer.param_groups]
    rng = np.random.default_rng(seed)
    for step in range(steps):
        rows = rng.choice(len(items["label"]), min(BATCH, len(items["label"])), replace=False)
        own = {name: value[rows] for name, value in items.items()}
        own["examples"] = own["examples"] + 1000 * step
        arrays = {**objective.prepare(own, Keys(seed, own["examples"])), "examples": own["examples"]}
        batch = batches.tensors(arrays, torch.device("cpu"))
        accumulate(nets, objective, batch, arrays["examples"], size=BATCH, seed=seed)
        share = min(1.0, (step + 1) / 20) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * share
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return nets, objective


def right(nets, objective, items) -> float:
    """The share of held-out pictures whose class is right."""
    said = classes(nets, objective, items, batch=256)
    return float((said.predicted == said.labels).mean())


class Few:
    """Items in memory, as held-out ones are read."""

    def __init__(self, items: dict[str, np.ndarray], objective) -> None:
        self.items, self.objective = items, objective

    def batches(self, size: int):
        keys = Keys(0, self.items["examples"])
        yield {**self.objective.prepare(self.items, keys), "examples": self.items["examples"]}


def best_rate(run: Run, spec, items, base: bool, steps: int) -> float:
    """On a fifth of the labels."""
    held = np.arange(len(items["label"])) % 5 == 0
    known, asked = ({name: value[rows] for name, value in items.items()} for rows in (~held, held))
    found = {}
    for rate in RATES:
        nets, objective = taught(run, spec, known, base, rate, 0, steps)
        objective.config = objective.config.model_copy(update={"crop": 0})
        found[rate] = right(nets, objective, Few(asked, objective))
    return max(found, key=lambda rate: found[rate])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    run = Run.open(options.runs, "mae")
    spec = weights.spec(run)
    for count in options.labels:
        scores: dict[str, list[float]] = {}
        for base in (True, False):
            rate = best_rate(run, spec, drawn(run, count, 0), base, options.steps)
            name = "from the base" if base else "from random weights"
            for seed in range(1, options.seeds + 1):
                nets, objective = taught(run, spec, drawn(run, count, seed), base, rate, seed, options.steps)
                objective.config = objective.config.model_copy(update={"crop": 0})
                held_out = HeldOutItems(run.shards, prepare=objective.prepare)
                scores.setdefault(name, []).append(right(nets, objective, held_out))
            print(json.dumps({"labels": count, "side": name, "rate": rate, "right": scores[name]}), flush=True)
        own, other = (np.array(one) for one in scores.values())
        difference = own - other
        error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else float("nan")
        print(
            f"{count} labels: {own.mean():.1%} and {other.mean():.1%}, {difference.mean():+.1%} ± {error:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
