"""What a fine-tuned network says of texts: classes by its head, or answers that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Said:
    """Of every text, in order: its class (-1: none), what was said (-1: no class), the confidence in that."""

    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray


@torch.inference_mode()
def classes(nets: Any, objective: Any, items: Any, *, batch: int) -> Said:
    """The likeliest class of every text of ``items`` (``HeldOutItems`` or the like), and its probability."""
    device = next(nets["network"].parameters()).device
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    training = nets.training
    nets.eval()
    try:
        for arrays in items.batches(batch):
            given = tensors(arrays, device)
            output = nets["network"].backbone(**objective.inputs(nets, given))
            shares = objective.logits(nets, output, given).softmax(-1)
            sure, said = shares.max(-1)
            found.append((arrays["label"], said.cpu().numpy(), sure.float().cpu().numpy()))
    finally:
        nets.train(training)
    return Said(*(np.concatenate(one) for one in zip(*found, strict=True)))


@torch.inference_mode()
def answers(nets: Any, objective: Any, items: Any, *, batch: int, tokens: int) -> list[list[int]]:
    """What is written for every text, the likeliest token each time, up to ``eos`` or to ``tokens`` tokens."""
    network: Any = nets["network"]
    device = next(network.parameters()).device
    specials, written = objective.spec.specials, []
    training = nets.training
    nets.eval()
    try:
        for arrays in items.batches(batch):
            given = tensors(arrays, device)
            if objective.cross:
                source = objective._source(network, given)
                start = torch.full((len(given["tokens"]), 1), specials[network.config.start], device=device)
                written += _greedy(network, start, specials["eos"], tokens, source)
                continue
            # Texts of one length are written for together: there is no padding between a text and its answer.
            sizes = ((given["documents"] >= 0) & (given["targets"] < 0)).cumprod(1).sum(1) + 1
            rows: dict[int, list[int]] = {}
            for size in sizes.unique().tolist():
                own = torch.nonzero(sizes == size).flatten()
                made = _greedy(network, given["tokens"][own, :size], specials["eos"], tokens, None)
                rows |= dict(zip(own.tolist(), made, strict=True))
            written += [rows[row] for row in range(len(sizes))]
    finally:
        nets.train(training)
    return written


def _greedy(network: Any, begun: Tensor, eos: int, tokens: int, source: Any) -> list[list[int]]:
    """``begun`` ``[B, T]`` goes on, all rows at once; each is cut off at its first ``eos``."""
    cache = network.new_cache(len(begun), begun.shape[1] + tokens)
    reads = {} if source is None else {"source": source}
    given, found = begun, []
    for _ in range(min(tokens, network.config.context - begun.shape[1])):
        given = network(given, cache=cache, **reads)[:, -1:].argmax(-1)
        reads = {}
        found.append(given)
        if len(found) > 1 and bool((torch.cat(found, 1) == eos).any(1).all()):
            break
    rows = torch.cat(found, 1).tolist() if found else [[] for _ in range(len(begun))]
    return [row[: row.index(eos)] if eos in row else row for row in rows]


def tensors(arrays: dict[str, Any], device: torch.device) -> dict[str, Tensor]:
    """Arrays of a batch on the device; what is only for the record stays behind."""
    return {
        name: torch.from_numpy(array).to(device)
        for name, array in arrays.items()
        if isinstance(array, np.ndarray) and name != "digests"
    }
