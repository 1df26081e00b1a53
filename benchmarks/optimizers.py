"""Steps to a target loss for each optimizer, on one small decoder and the bytes of tiny shakespeare.

``python benchmarks/optimizers.py OUT.jsonl`` trains every optimizer at every rate of its grid with the first seed, and
at the best of them with the others, a line each, and passes over what OUT.jsonl has already: stop it and start it again
at will. ``--table`` prints what is there.

Two layers of width 64, 64 bytes of context, 16 windows a step drawn by (seed, step); warm-up over 20 steps, then a
constant rate, so that a step's loss does not hang on how long the run is. Every tenth step is scored on 128 windows of
the last tenth of the text; a figure is the first scored step at or below TARGET. The best rate is the one with the
lowest mean of the last five scores. Only rates are searched: all else is the project's defaults, with a weight decay of
nothing. Needs SEEDSTOCK_DATA.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
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

WIDTH, LAYERS, CONTEXT, BATCH, STEPS, EVERY, WINDOWS = 64, 2, 64, 16, 250, 10, 128
TARGET = 2.4
"""Nats a byte."""
SEEDS = (1, 2, 3)
REST = {"kind": "adamw", "learning_rate": 3e-3, "weight_decay": 0.0}
GRID: dict[str, tuple[dict[str, Any], list[float]]] = {
    "adamw": ({"weight_decay": 0.0}, [1.5e-3, 3e-3, 6e-3]),
    "muon": ({"precision": "fp32", "rest": REST}, [5e-3, 1e-2, 2e-2]),
    "soap": ({"rest": REST}, [1.5e-3, 3e-3, 6e-3]),
    "lion": ({}, [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]),
    "adafactor": ({}, [1e-2, 2e-2, 4e-2, 8e-2]),
}


def text() -> np.ndarray:
    """The bytes, int64."""
    import zstandard

    raw = Path(os.environ["SEEDSTOCK_DATA"], "text", "tinyshakespeare.txt.zst").read_bytes()
    return np.frombuffer(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read(), np.uint8).astype(np.int64)


def batch(data: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """Windows as an objective wants them."""
    tokens = data[starts[:, None] + np.arange(CONTEXT + 1)]
    positions = np.broadcast_to(np.arange(CONTEXT + 1), tokens.shape).copy()
    examples = np.arange(len(starts))
    return {"examples": examples, "tokens": tokens, "documents": np.zeros_like(tokens), "positions": positions}


def curve(data: np.ndarray, optimizer: dict[str, Any], seed: int) -> list[float]:
    """Held-out nats a byte after every tenth step; shorter where the loss is not finite any more."""
    cut = len(data) * 9 // 10
    network = DecoderConfig(width=WIDTH, layers=LAYERS, heads=4, context=CONTEXT).build(256, seed=seed)
    objective = CausalConfig().build(Spec(vocab_size=256, context=CONTEXT, model=network.config))
    nets = assemble(network, objective)
    config = TrainingConfig(optimizer=optimizer, steps=STEPS)
    schedule = ScheduleConfig(kind="constant", warmup=20)
    parameters, roles = trained(nets)
    optimizers = build(config, parameters, roles)
    peaks = [[group["lr"] for group in one.param_groups] for one in optimizers]
    held = batch(data, np.linspace(cut, len(data) - CONTEXT - 2, WINDOWS).astype(np.int64))
    found = []
    for step in range(STEPS):
        numbers = derive(seed, "windows", step, count=BATCH)
        arrays = batch(data, (numbers % np.uint64(cut - CONTEXT - 1)).astype(np.int64))
        nets.train()
        device = torch.device("cpu")
        accumulate(nets, objective, tensors(arrays, device), arrays["examples"], size=BATCH, seed=seed)
        nn.utils.clip_grad_norm_(parameters.values(), config.clip)
        for one, own in zip(optimizers, peaks, strict=True):
            for group, peak in zip(one.param_groups, own, strict=True):
                group["lr"] = peak * factor(schedule, step, STEPS)
            one.step()
            one.zero_grad(set_to_none=True)
        if (step + 1) % EVERY == 0:
            nets.eval()
            with torch.no_grad():
                given = torch.from_numpy(held["tokens"])
                logits = network(given[:, :-1])
                loss = nn.functional.cross_entropy(logits.flatten(0, 1), given[:, 1:].flatten()).item()
            if not np.isfinite(loss):
                break
            found.append(round(loss, 4))
    return found


def reached(losses: list[float], target: float) -> int | None:
    """The first scored step at or below a loss."""
    return next(((number + 1) * EVERY for number, loss in enumerate(losses) if loss <= target), None)


Found = dict[str, dict[float, dict[int, list[float]]]]
"""Losses by optimizer, rate and seed."""


def read(out: Path) -> Found:
    """What OUT.jsonl has."""
    found: Found = {}
    for line in out.read_text().splitlines() if out.exists() else ():
        one = json.loads(line)
        found.setdefault(one["optimizer"], {}).setdefault(one["rate"], {})[one["seed"]] = one["losses"]
    return found


def best(rates: dict[float, dict[int, list[float]]]) -> float:
    """The rate with the lowest last losses at the first seed; one that blew up is none."""
    whole = {rate: seeds[SEEDS[0]] for rate, seeds in rates.items() if len(seeds[SEEDS[0]]) == STEPS // EVERY}
    return min(whole, key=lambda rate: statistics.mean(whole[rate][-5:]))


def table(found: Found, target: float) -> None:
    """Markdown: of each optimizer every rate's steps at the first seed, and the best one's by seed, and last losses."""
    print(
        f"| optimizer | steps to {target:g} nats, by rate | best rate | its steps, by seed | its loss at step {STEPS} |"
    )
    print("|---|---|---|---|---|")
    for name, rates in found.items():
        first = {rate: reached(seeds[SEEDS[0]], target) for rate, seeds in sorted(rates.items())}
        shown = ", ".join(f"{rate:g}: {steps or '–'}" for rate, steps in first.items())
        own = rates[best(rates)]
        steps = ", ".join(str(reached(losses, target) or "–") for losses in own.values())
        last = ", ".join(f"{losses[-1]:.3f}" for losses in own.values())
        print(f"| {name} | {shown} | {best(rates):g} | {steps} | {last} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--target", type=float, default=TARGET)
    parser.add_argument("--only", nargs="+", choices=GRID, default=list(GRID))
    options = parser.parse_args()
    if options.table:
        table(read(options.out), options.target)
        return
    torch.set_num_threads(1)
    data = text()
    for seed in SEEDS:
        for name in options.only:
            fixed, rates = GRID[name]
            known = read(options.out).get(name, {})
            for rate in rates if seed == SEEDS[0] else [best(known)]:
                if seed in known.get(rate, {}):
                    continue
                began = time.process_time()
                losses = curve(data, {"kind": name, "learning_rate": rate, **fixed}, seed)
                line = {"optimizer": name, "rate": rate, "seed": seed, "losses": losses}
                line["seconds"] = round(time.process_time() - began, 1)
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(name, rate, seed, losses[-1:], reached(losses, TARGET), line["seconds"], flush=True)


if __name__ == "__main__":
    main()
