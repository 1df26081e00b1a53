"""What a model that looks both ways knows: pseudo-log-likelihood of texts, and how many hidden tokens it finds.

The pseudo-log-likelihood of a text is the sum over its tokens of log P(token | all the others), each hidden in its turn
(Salazar et al. 2020, Masked language model scoring, arXiv 1910.14659). It is no probability of the text, and lengths
count: of use is the comparison of two texts that hardly differ, as in minimal pairs (Warstadt et al. 2020, BLiMP).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from seedstock.evaluation.tally import ratio
from seedstock.inputs.keys import Keys
from seedstock.models.mask import Mask

BATCH_TOKENS = 8192


@torch.inference_mode()
def pseudo_log_likelihood(
    network: Any,
    texts: Sequence[Sequence[int]],
    *,
    mask: int,
    before: Sequence[int] = (),
    after: Sequence[int] = (),
    batch_tokens: int = BATCH_TOKENS,
) -> list[float]:
    """Nats, negative, of each text of token ids between ``before`` and ``after`` (BOS and EOS), which stay in sight.

    A text that is longer than the context is cut at its end. An empty one has 0.
    """
    room = network.config.context - len(before) - len(after)
    device, found = network.head.matrix.device, np.zeros(len(texts))
    rows = [(number, place) for number, text in enumerate(texts) for place in range(min(len(text), room))]
    rows.sort(key=lambda row: len(texts[row[0]]))  # alike lengths, little padding
    training = network.training
    network.eval()
    first = 0
    while first < len(rows):
        # The last row of a batch is its longest, so its length is not known before the batch is cut.
        last, longest = first, 0
        while last < len(rows):
            size = min(len(texts[rows[last][0]]), room) + len(before) + len(after)
            if last > first and (last + 1 - first) * max(longest, size) > batch_tokens:
                break
            longest, last = max(longest, size), last + 1
        tokens = np.full((last - first, longest), mask, np.int64)
        documents = np.full(tokens.shape, -1, np.int64)
        wanted, places = np.empty(len(tokens), np.int64), np.empty(len(tokens), np.int64)
        for row, (number, place) in enumerate(rows[first:last]):
            whole = [*before, *texts[number][:room], *after]
            tokens[row, : len(whole)], documents[row, : len(whole)] = whole, 0
            places[row], wanted[row] = place + len(before), texts[number][place]
            tokens[row, places[row]] = mask
        given, seen = torch.from_numpy(tokens).to(device), torch.from_numpy(documents).to(device)
        positions = torch.arange(longest, device=device)[None].expand(len(tokens), -1)
        x = network.embed(given, positions)
        hidden = network.backbone(x, positions, Mask.over(seen, "full")).hidden
        own = hidden[torch.arange(len(tokens)), torch.from_numpy(places).to(device)]
        logits = network.head(own[:, None])[:, 0].float()
        nats = torch.log_softmax(logits, -1).gather(1, torch.from_numpy(wanted).to(device)[:, None])[:, 0].cpu().numpy()
        np.add.at(found, [number for number, _ in rows[first:last]], nats.astype(np.float64))
        first = last
    network.train(training)
    return found.tolist()


def minimal_pairs(
    score: Callable[[list[str]], Sequence[float]], pairs: Iterable[tuple[str, str, str]]
) -> dict[str, Any]:
    """How often ``score`` puts the good sentence of (group, good, bad) above the bad one; a tie is half.

    Returns ``accuracy``, its binomial ``standard_error``, ``pairs``, and ``by`` group the accuracy.
    """
    rows = list(pairs)
    values = np.asarray(score([text for _, good, bad in rows for text in (good, bad)]), float).reshape(-1, 2)
    right = (values[:, 0] > values[:, 1]) + 0.5 * (values[:, 0] == values[:, 1])
    groups: dict[str, list[float]] = defaultdict(list)
    for (group, _, _), one in zip(rows, right, strict=True):
        groups[group].append(float(one))
    accuracy = float(right.mean()) if rows else float("nan")
    return {
        "accuracy": accuracy,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / len(rows)) if rows else None,
        "pairs": len(rows),
        "by": {group: float(np.mean(found)) for group, found in sorted(groups.items())},
    }


@torch.inference_mode()
def masked_accuracy(nets: Any, objective: Any, windows: Any, *, batch: int) -> dict[str, Any]:
    """The share of tokens behind the mask that the model's first choice finds, on held-out ``windows``
    (``inputs.held_out``), for an objective whose batches have ``given`` and ``targets``, or ``hidden``.

    Returns ``accuracy``, its ``standard_error`` over batches, and ``tokens``.
    """
    network, rows = nets["network"], []
    device, mask = network.head.matrix.device, objective.spec.specials["mask"]
    training = nets.training
    nets.eval()
    for arrays in windows.batches(batch):
        given = {
            name: torch.from_numpy(array).to(device)
            for name, array in arrays.items()
            if isinstance(array, np.ndarray) and name != "digests"
        }
        made = objective.corrupt(given, Keys(windows.seed, arrays["examples"]))
        hidden = made["hidden"] if "hidden" in made else (made["targets"] >= 0) & (made["given"] == mask)
        states = network.backbone(**objective.inputs(nets, made)).hidden[hidden]
        right = network.head(states[None])[0].argmax(-1) == made["tokens"][hidden]
        rows.append((float(right.sum()), float(hidden.sum())))
    nets.train(training)
    totals, counts = np.array(rows, np.float64).reshape(-1, 2).T
    value, error = ratio(totals, counts)
    return {"accuracy": value, "standard_error": error, "tokens": int(counts.sum())}
