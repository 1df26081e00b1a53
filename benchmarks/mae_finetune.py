"""A masked autoencoder fine-tuned with few labels, beside the same network from random weights.

``python benchmarks/mae_finetune.py RUNS [--labels 100 1000] [--draws 2] [--steps 600]``: RUNS is a folder of runs with
``mae`` (``seedstock run recipes/mae.yaml``). Every draw takes its labels from the training items, balanced over
classes; both sides learn from the same ones for the same number of steps, each with the optimizer and rate that is best
for itself of a grid (``SETTINGS``) in half as many steps, by items among the labels of another draw that it did not
learn from, and are judged once, on all held-out items. That a side had steps enough is told by the same with half of
them. Floors: probes of pixels, which see the same labels.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from seedstock import weights
from seedstock.evaluation.classification import classes
from seedstock.evaluation.probes import knn, linear
from seedstock.inputs.items.loader import HeldOutItems, gather
from seedstock.inputs.keys import Keys
from seedstock.objectives.base import assemble
from seedstock.objectives.configs.classify_pictures import ClassifyPicturesConfig
from seedstock.runs import Run
from seedstock.training import batches, settle
from seedstock.training.configs.optimizers import AdamWConfig, MuonConfig
from seedstock.training.gradients import accumulate
from seedstock.training.optimizers.groups import trained

BATCH, CROP, WARM = 32, 2, 0.1
SIDES = {"from the base": True, "from random weights": False}


@dataclass(frozen=True)
class Setting:
    """An optimizer at a rate, which for AdamW falls by ``layer_decay`` from layer to layer below the last, and the
    deviation of random weights where it is not the model's own."""

    kind: str
    rate: float
    layer_decay: float = 1.0
    init: float | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.rate:g}" + (f", weights of {self.init:g}" if self.init else "")

    def build(self, nets: torch.nn.ModuleDict) -> list[torch.optim.Optimizer]:
        """Over everything that learns."""
        if self.kind == "muon":
            rest = AdamWConfig(learning_rate=self.rate / 5, betas=(0.9, 0.999), weight_decay=0.0)
            return MuonConfig(learning_rate=self.rate, weight_decay=0.05, rest=rest).build(*trained(nets))
        own = {"learning_rate": self.rate, "layer_decay": self.layer_decay}
        return AdamWConfig(betas=(0.9, 0.999), weight_decay=0.05, **own).build(*trained(nets))


SETTINGS = {
    True: [Setting("adamw", 3e-3, 0.75), *(Setting("muon", rate) for rate in (2e-3, 6e-3, 2e-2))],
    False: [
        *(Setting("muon", 6e-2), Setting("adamw", 3e-3, init=0.08)),
        *(Setting("muon", rate, init=0.08) for rate in (2e-2, 6e-2)),
    ],
}


def drawn(run: Run, count: int, seed: int) -> dict[str, np.ndarray]:
    """``count`` training items, as many of each class, mixed."""
    items = HeldOutItems(run.shards, prepare=lambda batch, keys: batch, split="train")
    labels = gather(run.shards, "train", items.strata, items.starts)["label"]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    own = [order[labels[order] == label][: count // len(run.shards.labels)] for label in range(len(run.shards.labels))]
    chosen = rng.permutation(np.concatenate(own))
    found = gather(run.shards, "train", items.strata[chosen], items.starts[chosen])
    return {**found, "examples": np.arange(len(chosen))}


def taught(run: Run, items: dict[str, np.ndarray], base: bool, setting: Setting, seed: int, steps: int):
    """Nets that learned these items, the objective, and the mean loss of the last tenth of the steps."""
    objective = ClassifyPicturesConfig(pool="mean", crop=CROP).build(weights.spec(run))
    fresh = run.recipe.model.model_copy(update={"init_std": setting.init} if setting.init else {})
    network = weights.load(run)[0].float() if base else fresh.build(0, seed)
    nets = assemble(network, objective).train()
    settle.use(nets, torch.bfloat16)
    optimizers = setting.build(nets)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    rng, order, losses = np.random.default_rng(seed), np.zeros(0, np.int64), []
    for step in range(steps):
        if len(order) < BATCH:
            order = np.concatenate([order, rng.permutation(len(items["label"]))])
        rows, order = order[:BATCH], order[BATCH:]
        own = {name: value[rows] for name, value in items.items()}
        own["examples"] = own["examples"] + len(items["label"]) * step  # crops are drawn anew
        arrays = {**objective.prepare(own, Keys(seed, own["examples"])), "examples": own["examples"]}
        batch = batches.tensors(arrays, torch.device("cpu"))
        found = accumulate(nets, objective, batch, arrays["examples"], size=BATCH, seed=seed)
        losses.append(float(found.loss))
        torch.nn.utils.clip_grad_norm_([one for one in nets.parameters() if one.grad is not None], 1.0)
        share = min(1.0, (step + 1) / (WARM * steps)) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for optimizer, own_peaks in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, own_peaks, strict=True):
                group["lr"] = peak * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    objective.config = objective.config.model_copy(update={"crop": 0})
    return nets, objective, float(np.mean(losses[-max(1, steps // 10) :]))


def right(nets, objective, items) -> float:
    """The share of items whose class is right."""
    said = classes(nets, objective, items, batch=256)
    return float((said.predicted == said.labels).mean())


class Few:
    """Items in memory, as held-out ones are read."""

    def __init__(self, items: dict[str, np.ndarray], objective) -> None:
        self.items, self.objective = items, objective

    def batches(self, size: int):
        keys = Keys(0, self.items["examples"])
        yield {**self.objective.prepare(self.items, keys), "examples": self.items["examples"]}


def chosen(run: Run, items: dict[str, np.ndarray], base: bool, steps: int, folds: int) -> Setting:
    """The setting that is best on items it did not learn from, a third of them for each of ``folds``."""
    found = {}
    for setting in SETTINGS[base]:
        scores = []
        for fold in range(folds):
            held = np.arange(len(items["label"])) % 3 == fold
            known, asked = ({name: value[rows] for name, value in items.items()} for rows in (~held, held))
            nets, objective, _ = taught(run, known, base, setting, fold, steps)
            scores.append(right(nets, objective, Few(asked, objective)))
        found[setting] = float(np.mean(scores))
        print(json.dumps({"setting": str(setting), "items left out": scores}), flush=True)
    return max(found, key=lambda one: found[one])


def of_pixels(run: Run, items: dict[str, np.ndarray]) -> dict[str, float]:
    """What probes of raw pixels that see the same labels get right."""
    rows = list(HeldOutItems(run.shards, prepare=lambda batch, keys: batch).batches(4096))
    t, truth = (np.concatenate([row[name] for row in rows]) for name in ("image", "label"))
    x, t = (torch.from_numpy(one.reshape(len(one), -1)).float() for one in (items["image"], t))
    y, truth = (torch.from_numpy(one.astype(np.int64)) for one in (items["label"], truth))
    return {probe.__name__: float(probe(x, y, t, truth).float().mean()) for probe in (linear, knn)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    run = Run.open(options.runs, "mae")
    for count in options.labels:
        scores: dict[str, list[float]] = {}
        for side, base in SIDES.items():
            began = time.process_time()
            best = chosen(run, drawn(run, count, 0), base, options.steps // 2, 2 if count < 500 else 1)
            told = {"labels": count, "side": side, "chosen": str(best), "seconds": time.process_time() - began}
            print(json.dumps(told), flush=True)
            for seed in range(1, options.draws + 1):
                items = drawn(run, count, seed)
                for steps in (options.steps, options.steps // 2) if seed == 1 else (options.steps,):
                    began = time.process_time()
                    nets, objective, loss = taught(run, items, base, best, seed, steps)
                    seconds = time.process_time() - began
                    score = right(nets, objective, HeldOutItems(run.shards, prepare=objective.prepare))
                    if steps == options.steps:
                        scores.setdefault(side, []).append(score)
                    told = {"setting": str(best), "draw": seed, "steps": steps, "right": score}
                    told |= {"loss": loss, "seconds": seconds}
                    print(json.dumps({"labels": count, "side": side, **told}), flush=True)
        floors = [of_pixels(run, drawn(run, count, seed)) for seed in range(1, options.draws + 1)]
        print(json.dumps({"labels": count, "pixels": floors}), flush=True)
        own, other = (np.array(one) for one in scores.values())
        difference = own - other
        error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else float("nan")
        print(
            f"{count} labels: {own.mean():.1%} and {other.mean():.1%}, {difference.mean():+.1%} ± {error:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
