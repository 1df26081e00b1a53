"""Whether the best learning rate stays where it is as a decoder gets wider: with µP and without.

``python benchmarks/transfer.py OUT.jsonl`` trains every width at every rate, a line each, with ``model.base_width`` and
without; it passes over what OUT.jsonl has already: stop it and start it again at will. ``--table`` prints what is
there, ``--picture PNG`` draws it (matplotlib).

Decoders of two layers with heads of 16 (shape ``qwen3``) on the bytes of tiny shakespeare, 64 bytes of context, 16
windows a step drawn by (seed, step); a tenth of the steps rises, then the rate falls to nothing in a line; no weight
decay. The loss is that of 256 windows of the last tenth of the text. Where the best rate lies is read off the parabola
through the lowest point and its neighbours, over the logarithm of the rate. Needs SEEDSTOCK_DATA.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import optimizers
import torch
from torch import nn

from seedstock.inputs.keys import derive
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.batches import tensors
from seedstock.training.configs.schedule import ScheduleConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.gradients import accumulate
from seedstock.training.optimizers.groups import build, trained
from seedstock.training.schedule import factor

BASE, WIDTHS, LAYERS, CONTEXT, BATCH, STEPS, WINDOWS = 64, (64, 128, 256), 2, 64, 16, 300, 256
REST = {"kind": "adamw", "learning_rate": 4e-3, "weight_decay": 0.0}
GRID: dict[str, tuple[dict[str, Any], list[float]]] = {
    "adamw": ({"weight_decay": 0.0}, [1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2]),
    "muon": ({"precision": "fp32", "rest": REST}, [5e-3, 1e-2, 2e-2, 4e-2, 8e-2]),
}
START = 0.1
"""Of the first weights at the base: 0.02, which is usual for large models, is far too narrow at a width of 64."""
NAMES = {True: "µP", False: "standard"}


def loss(data: np.ndarray, optimizer: dict[str, Any], width: int, mup: bool, seed: int) -> float:
    """Held-out nats a byte at the end; what is not finite is infinite."""
    cut = len(data) * 9 // 10
    sizes: dict[str, Any] = {"layers": LAYERS, "heads": width // 16, "context": CONTEXT, "init_std": START}
    network = DecoderConfig(width=width, base_width=BASE if mup else None, **sizes).build(256, seed=seed)
    objective = CausalConfig().build(Spec(vocab_size=256, context=CONTEXT, model=network.config))
    nets = assemble(network, objective)
    config = TrainingConfig(optimizer=optimizer, steps=STEPS)
    schedule = ScheduleConfig(kind="linear", warmup=0.1)
    parameters, roles = trained(nets)
    built = build(config, parameters, roles, network.config)
    peaks = [[group["lr"] for group in one.param_groups] for one in built]
    for step in range(STEPS):
        numbers = derive(seed, "windows", step, count=BATCH)
        arrays = optimizers.batch(data, (numbers % np.uint64(cut - CONTEXT - 1)).astype(np.int64))
        accumulate(nets, objective, tensors(arrays, torch.device("cpu")), arrays["examples"], size=BATCH, seed=seed)
        nn.utils.clip_grad_norm_(parameters.values(), config.clip)
        for one, own in zip(built, peaks, strict=True):
            for group, peak in zip(one.param_groups, own, strict=True):
                group["lr"] = peak * factor(schedule, step, STEPS)
            one.step()
            one.zero_grad(set_to_none=True)
    nets.eval()
    held = optimizers.batch(data, np.linspace(cut, len(data) - CONTEXT - 2, WINDOWS).astype(np.int64))
    given = torch.from_numpy(held["tokens"])
    with torch.no_grad():
        found = nn.functional.cross_entropy(network(given[:, :-1]).flatten(0, 1), given[:, 1:].flatten()).item()
    return found if math.isfinite(found) else math.inf


Found = dict[tuple[str, bool, int], dict[float, list[float]]]
"""Losses (a seed each) by rate, of an optimizer, parametrisation and width."""


def read(out: Path) -> list[dict[str, Any]]:
    """What OUT.jsonl has."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def gathered(rows: list[dict[str, Any]]) -> Found:
    """By line of the table; at the base width both parametrisations are one."""
    found: Found = {}
    for row in rows:
        for mup in (True, False) if row["width"] == BASE else (row["mup"],):
            rates = found.setdefault((row["optimizer"], mup, row["width"]), {})
            rates.setdefault(row["rate"], []).append(row["loss"])
    return found


def place(rates: dict[float, list[float]]) -> float | None:
    """The rate with the least loss by the parabola through three points; None where that is an end of the grid."""
    points = [(math.log2(rate), statistics.mean(losses)) for rate, losses in sorted(rates.items())]
    lowest = min(range(len(points)), key=lambda number: points[number][1])
    if lowest in (0, len(points) - 1):
        return None
    (a, left), (b, middle), (_, right) = points[lowest - 1 : lowest + 2]
    return float(2 ** (b + (b - a) * (left - right) / (2 * (left - 2 * middle + right))))


def table(found: Found) -> None:
    """Markdown: the loss at every rate, and where the best one lies."""
    for name, (_, rates) in GRID.items():
        lines = {key[1:]: one for key, one in sorted(found.items(), key=lambda item: item[0][2]) if key[0] == name}
        if not lines:
            continue
        print(f"\n| {name} | width | {' | '.join(f'{rate:g}' for rate in rates)} | best | times the base's |")
        print(f"|---|---|{'---|' * (len(rates) + 2)}")
        for mup in (True, False):
            base = place(lines.get((mup, BASE), {rates[0]: [0.0]}))
            for (own, width), losses in lines.items():
                if own != mup:
                    continue
                cells = [f"{statistics.mean(losses[rate]):.3f}" if rate in losses else "" for rate in rates]
                best = place(losses)
                moved = f"{best / base:.2f}" if best and base else "–"
                shown = f"{best:.4f}" if best else "beyond the grid"
                print(f"| {NAMES[mup]} | {width} | {' | '.join(cells)} | {shown} | {moved} |")


def draw(found: Found, picture: Path) -> None:
    """A panel for each optimizer and parametrisation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in GRID if any(key[0] == name for key in found)]
    figure, axes = pyplot.subplots(len(names), 2, figsize=(9, 3.4 * len(names)), sharey="row", squeeze=False)
    for row, name in zip(axes, names, strict=True):
        for axis, mup in zip(row, (True, False), strict=True):
            for number, width in enumerate(WIDTHS):
                rates = found.get((name, mup, width), {})
                line = [(rate, statistics.mean(losses)) for rate, losses in sorted(rates.items())]
                colour = pyplot.colormaps["viridis"](number / len(WIDTHS))
                if line:
                    axis.semilogx(*zip(*line, strict=True), marker=".", base=2, color=colour, label=f"width {width}")
                    axis.plot(*min(line, key=lambda point: point[1]), marker="o", color=colour)
            axis.set_xticks(GRID[name][1], [f"{rate:g}" for rate in GRID[name][1]], fontsize=7)
            axis.set_title(f"{name}, {NAMES[mup]}", fontsize=9)
            axis.set_xlabel("learning rate")
        means = [statistics.mean(one) for key, rates in found.items() if key[0] == name for one in rates.values()]
        row[0].set_ylim(min(means) - 0.05, min(max(means), min(means) + 1) + 0.05)
        row[0].set_ylabel("nats a byte")
    axes[0][1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only", nargs="+", choices=GRID, default=list(GRID))
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    options = parser.parse_args()
    if options.picture:
        draw(gathered(read(options.out)), options.picture)
    if options.table or options.picture:
        table(gathered(read(options.out)))
        return
    torch.set_num_threads(1)
    data = optimizers.text()
    done = {(row["optimizer"], row["width"], row["mup"], row["rate"], row["seed"]) for row in read(options.out)}
    for seed in options.seeds:
        for name in options.only:
            fixed, rates = GRID[name]
            for width in options.widths:
                for mup in (True, False) if width != BASE else (True,):
                    for rate in rates:
                        if (name, width, mup, rate, seed) in done:
                            continue
                        began = time.process_time()
                        last = loss(data, {"kind": name, "learning_rate": rate, **fixed}, width, mup, seed)
                        row = {"optimizer": name, "width": width, "mup": mup, "rate": rate, "seed": seed, "loss": last}
                        row["seconds"] = round(time.process_time() - began, 1)
                        with options.out.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
