"""What families.py reads of decoders: mixtures beside dense networks, heads that look ahead, contexts made longer."""

from __future__ import annotations

import itertools
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


def by_context(path: Path, source: str, target: int = 64, batch: int = 16) -> dict[str, Any]:
    """Bits a byte of the same held-out tokens of a source, with more and more of the text before them: the last
    ``target`` tokens of every full window, after 64 tokens, 128, … and all. Differences are paired; errors are over
    documents, of a ratio estimator."""
    import torch

    from seedstock import weights
    from seedstock.evaluation.bits_per_byte import token_nats
    from seedstock.evaluation.tally import ratio
    from seedstock.runs import Run

    run = Run.open(path.parent, path.name)
    network, _ = weights.load(run)
    length, lengths = network.config.context, np.asarray(run.tokenizer.byte_lengths)
    stratum = next(one.stratum for one in run.shards.strata("held_out") if one.source == source)
    _, begins = run.shards.documents("held_out", stratum)
    rows = [
        (number, start)
        for number, (begin, end) in enumerate(itertools.pairwise(begins))
        for start in range(int(begin), int(end) - length - 1, length)
    ]
    tokens = run.shards.read("held_out", stratum, np.array([start for _, start in rows]), length + 1)
    document = np.array([number for number, _ in rows])
    size = np.bincount(document, lengths[tokens[:, -target:]].sum(1))
    before = [64 * 2**n for n in range(length.bit_length()) if 64 * 2**n < length - target] + [length - target]
    found: dict[str, Any] = {"windows": len(rows), "documents": int((size > 0).sum())}
    last = None
    for count in before:
        nats = np.zeros(len(rows))
        with torch.inference_mode():
            for some in np.array_split(np.arange(len(rows)), -(-len(rows) // batch)):
                given = torch.from_numpy(tokens[some, -(count + target) :].astype(np.int64))
                nats[some] = token_nats(network, given)[:, -target:].sum(1).double().numpy()
        bits = np.bincount(document, nats) / np.log(2)
        found[f"after {count}"] = ratio(bits[size > 0], size[size > 0])[0]
        if last is not None:
            less, error = ratio((bits - last[1])[size > 0], size[size > 0])
            found[f"{count} less {last[0]}"] = {"bits_per_byte": less, "error": error}
        last = count, bits
    return found


def far_back(path: Path, lengths: tuple[int, ...], source: str, trials: int = 32) -> dict[str, float]:
    """Copies of random tokens, and pass keys, over held-out text of a source: the mean over depths, by length."""
    from seedstock import weights
    from seedstock.evaluation.retrieval import copies, passkey
    from seedstock.runs import Run

    run = Run.open(path.parent, path.name)
    network, _ = weights.load(run)
    stratum = next(one.stratum for one in run.shards.strata("held_out") if one.source == source)
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
        found[f"worst depth at {length}"] = min(one["accuracy"] for one in table)
    return found
