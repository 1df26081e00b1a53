"""What families.py reads of decoders: mixtures beside dense networks, heads that look ahead, contexts made longer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def paired(one: Path, other: Path) -> tuple[float, float]:
    """Bits a byte of ``one`` less those of ``other`` over the same held-out documents, and its standard error."""
    first, second = (np.load(run / "evaluation/documents.npy") for run in (one, other))
    if not np.array_equal(first["id"], second["id"]):
        raise SystemExit(f"{one.name} and {other.name} were not scored on the same documents")
    difference, size = (first["nats"] - second["nats"]) / np.log(2), first["bytes"]
    mean = difference.sum() / size.sum()
    rest = difference - mean * size
    return float(mean), float(np.sqrt(len(rest) / (len(rest) - 1) * (rest**2).sum()) / size.sum())


def load_of_experts(run: Path) -> dict[str, Any]:
    """The last event ``experts``."""
    events = (json.loads(line) for line in (run / "events.jsonl").read_text().splitlines())
    last = [event for event in events if event["event"] == "experts"][-1]
    return {"entropy of load": min(last["entropy"]), "busiest expert": max(last["busiest"])}


def acceptance(path: Path, batches: int = 16) -> dict[str, float]:
    """How often the network agrees with the draft of each further head, on held-out windows."""
    import torch

    from seedstock import weights
    from seedstock.inputs.held_out import HeldOut
    from seedstock.runs import Run
    from seedstock.training.batches import tensors

    run = Run.open(path.parent, path.name)
    nets, objective, _ = weights.load_nets(run)
    window = objective.window(run.recipe.model.context)
    options = {"raw_length": objective.raw_length(window), "prepare": objective.prepare, "seed": run.recipe.seed}
    windows = HeldOut(run.shards, window=window, partners=0, **options)
    sums = np.zeros((objective.heads - 1, 2))
    for number, arrays in enumerate(windows.batches(32)):
        if number == batches:
            break
        sums += np.array(objective.acceptance(nets, tensors(arrays, torch.device("cpu"))))
    return {f"head {n + 2} accepted": float(good / max(of, 1)) for n, (good, of) in enumerate(sums)}


def by_position(run: Path) -> dict[str, float]:
    """Bits a byte by how many tokens of the window came before."""
    curve = json.loads((run / "evaluation/scores.json").read_text())["in_context"]
    return {f"{part['from']}-{part['to']}": part["bits_per_byte"] for part in curve}


def far_back(path: Path, lengths: tuple[int, ...], trials: int = 16) -> dict[str, float]:
    """Copies of random tokens, and pass keys, over held-out text: the mean over depths, by length."""
    from seedstock import weights
    from seedstock.evaluation.retrieval import copies, passkey
    from seedstock.runs import Run

    run = Run.open(path.parent, path.name)
    network, _ = weights.load(run)
    stratum = run.shards.strata("held_out")[0].stratum
    text = run.shards.read("held_out", stratum, np.array([0]), 20_000)[0]
    specials = list(run.tokenizer.specials.values())
    filler = text[~np.isin(text, specials)].tolist()
    found: dict[str, float] = {}
    for length in lengths:
        table = copies(network, filler, [length], trials=trials)
        found[f"copies at {length}"] = float(np.mean([one["accuracy"] for one in table]))
        found[f"tokens copied at {length}"] = float(np.mean([one["tokens"] for one in table]))
        table = passkey(network, run.tokenizer, filler, [length], trials=trials)
        found[f"pass keys at {length}"] = float(np.mean([one["accuracy"] for one in table]))
    return found
