"""Digits drawn from noise by class: how many a judge of real ones recognises, by the averaged and by the last weights.

``python benchmarks/drawn_digits.py --runs runs`` prints JSON of a run of ``recipes/dit.yaml``: of ``--each`` samples a
class the share that a small convolutional network takes for the class that was asked for; how far the samples' features
lie from those of held-out pictures (Fréchet distance, Heusel et al. 2017, in the judge's own features); and the error
of the prediction by the time, on held-out pictures. The judge learns from the run's training pictures alone; real
held-out ones go beside the samples. ``--picture PATH`` writes ten samples a class.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock import weights
from seedstock.evaluation import pictures
from seedstock.inputs.items.loader import HeldOutItems
from seedstock.inputs.keys import Keys, derive
from seedstock.models.patches import normalised
from seedstock.runs import Run
from seedstock.training.state import load_nets

BUCKETS, BATCH, EPOCHS, SEED = 5, 250, 3, 1


class Judge(nn.Module):
    """Two convolutions and two layers: a digit's class from its pixels, grey and from -1 to 1."""

    def __init__(self, classes: int, side: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 5, padding=2)
        self.inner, self.last = nn.Linear(32 * (side // 4) ** 2, 64), nn.Linear(64, classes)

    def features(self, images: Tensor) -> Tensor:
        """``[B, H, W, 1]`` → ``[B, 64]``."""
        x = F.max_pool2d(F.relu(self.first(images.movedim(-1, 1))), 2)
        return F.relu(self.inner(F.max_pool2d(F.relu(self.second(x)), 2).flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        return self.last(self.features(images))


def real(run: Run, split: str) -> tuple[Tensor, Tensor]:
    """A split's pictures from -1 to 1 ``[N, H, W, C]`` and their classes ``[N]``."""
    items = HeldOutItems(run.shards, prepare=lambda made, keys: made, split=split)
    rows = list(items.batches(1024))
    images, labels = (torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in ("image", "label"))
    return normalised(images), labels.long()


def judge_of(images: Tensor, labels: Tensor) -> Judge:
    """A judge that has seen the pictures ``EPOCHS`` times."""
    torch.manual_seed(SEED)
    judge = Judge(int(labels.max()) + 1, images.shape[1])
    steps = EPOCHS * (len(images) // 128)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3)
    slower = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    order = torch.cat([torch.randperm(len(images)) for _ in range(EPOCHS + 1)])[: steps * 128]
    for rows in order.split(128):
        optimizer.zero_grad()
        F.cross_entropy(judge(images[rows]), labels[rows]).backward()
        optimizer.step()
        slower.step()
    return judge.eval()


def shares(right: Tensor) -> dict[str, float]:
    """A share and its standard error."""
    share = float(right.float().mean())
    return {"share": share, "error": (share * (1 - share) / len(right)) ** 0.5, "of": len(right)}


def frechet(a: Tensor, b: Tensor) -> float:
    """|mean - mean|² + tr(A + B - 2 √(A B)) of two sets of features ``[N, D]``."""
    a, b = a.double(), b.double()
    one, other = a.T.cov(), b.T.cov()
    roots = torch.linalg.eigvals(one @ other).real.clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + one.trace() + other.trace() - 2 * roots)


def by_time(nets: Any, own: Any, run: Run, draws: int = 2) -> dict[str, dict[str, float]]:
    """The mean squared error by fifths of the time (0: the picture), and that of predicting nothing."""
    items = HeldOutItems(run.shards, prepare=own.prepare, seed=run.recipe.seed)
    errors, zeros, counts = (torch.zeros(BUCKETS, dtype=torch.float64) for _ in range(3))
    for arrays in items.batches(BATCH):
        given = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "digests"}
        for draw in range(draws):
            seed = int(derive(items.seed, "draw", draw)[0] >> np.uint64(1))
            made = own.corrupt(given, Keys(seed, arrays["examples"]))
            output = nets["network"].backbone(**own.inputs(nets, made))
            for bucket in range(BUCKETS):
                there = (made["time"] * BUCKETS).long().clamp(max=BUCKETS - 1) == bucket
                losses, _ = own.loss(nets, output, {**made, "present": made["present"] & there})
                errors[bucket] += losses[own.way.target]
                zeros[bucket] += made["wanted"][there].square().mean(dim=(1, 2, 3)).sum()
                counts[bucket] += there.sum()
    names = [f"{n / BUCKETS:.1f} to {(n + 1) / BUCKETS:.1f}" for n in range(BUCKETS)]
    rows = zip(names, (errors / counts).tolist(), (zeros / counts).tolist(), strict=True)
    whole = {"all": {"error": float(errors.sum() / counts.sum()), "nothing": float(zeros.sum() / counts.sum())}}
    return {name: {"error": error, "nothing": zero} for name, error, zero in rows} | whole


def drawn(nets: Any, own: Any, labels: Tensor, guidance: float) -> Tensor:
    """Samples of the classes, the same noise whoever draws; from -1 to 1."""
    parts = enumerate(labels.split(BATCH))
    return torch.cat([own.sample(nets, part, seed=SEED + number, guidance=guidance) for number, part in parts])


def measure(run: Run, each: int, picture: Path | None = None) -> dict[str, Any]:
    """What the module says, as one record."""
    judge = judge_of(*real(run, "train"))
    with torch.inference_mode():
        held, truth = real(run, "held_out")
        nets, own, step = weights.load_nets(run)
        folder = run.folder / "checkpoints" / f"step-{step:08d}"
        classes = len(run.shards.labels)
        labels = torch.arange(classes).repeat_interleave(each)
        seen = judge.features(held)
        found: dict[str, Any] = {
            "real, held out": {**shares(judge(held).argmax(1) == truth)},
            "real, by chance": max(truth.bincount().tolist()) / len(truth),
            "Fréchet, two halves of held-out": frechet(seen[: len(seen) // 2], seen[len(seen) // 2 :]),
        }
        for name, average in {"averaged": True, "last": False}.items():
            load_nets(folder, dict(nets.items()), average=average)
            found[name] = {"error by time": by_time(nets, own, run)}
            for guidance in (own.config.guidance, 1.0):
                made = drawn(nets, own, labels, guidance)
                right = judge(made).argmax(1) == labels
                each_class = right.float().unflatten(0, (classes, each)).mean(1).tolist()
                found[name][f"guidance {guidance:g}"] = {
                    **shares(right),
                    "by class": dict(zip(run.shards.labels, each_class, strict=True)),
                    "Fréchet": frechet(judge.features(made), seen),
                }
                if picture and average and guidance == own.config.guidance:
                    pixels = ((made + 1) * 127.5).round().byte().unflatten(0, (classes, each))[:, :10]
                    pictures.write(picture, pixels.transpose(0, 1).numpy())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--run", default="dit")
    parser.add_argument("--each", type=int, default=50, help="samples a class")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    print(json.dumps(measure(Run.open(given.runs, given.run), given.each, given.picture), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
