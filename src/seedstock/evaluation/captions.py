"""What captions a model writes for held-out pictures, beside that of the training picture that looks most alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seedstock.evaluation import pairs

SHOWN = 8


def judge(nets: Any, objective: Any, train: Any, held_out: Any, tokenizer: Any, *, batch: int = 128) -> dict[str, Any]:
    """For each language ``model`` and ``nearest``, each with ``exact``, the share of captions that are the picture's
    own, and ``character_error``: edits (Levenshtein 1966) a character of the right ones. ``nearest`` gives the caption
    of the training picture with the closest pixels.

    A picture with captions in several languages is described once, whatever the language that is asked for.
    """
    asked, known = pairs.stored(held_out, batch), pairs.stored(train, batch)
    wrote, right = (
        describe(nets, objective, asked["image"], tokenizer, batch),
        pairs.captions(asked["tokens"], tokenizer),
    )
    found = {}
    for language in sorted(set(asked["language"])):
        own, near = (np.flatnonzero(rows["language"] == language) for rows in (asked, known))
        one: dict[str, Any] = {"pictures": len(own)}
        wanted = [right[number] for number in own]
        one["model"] = errors([wrote[number] for number in own], wanted)
        if len(near):
            seen, looked = (
                torch.from_numpy(pairs.small(rows["image"][at])) for rows, at in ((known, near), (asked, own))
            )
            closest = near[torch.cdist(looked, seen).argmin(1).numpy()]
            one["nearest"] = errors(pairs.captions(known["tokens"][closest], tokenizer), wanted)
        found[language] = one
    return found


def describe(nets: Any, objective: Any, images: np.ndarray, tokenizer: Any, batch: int = 128) -> list[str]:
    """A caption for each of the pictures uint8 ``[N, H, W, C]``."""
    device, training = next(nets["network"].parameters()).device, nets.training
    nets.eval()
    try:
        texts: list[str] = []
        for start in range(0, len(images), batch):
            tokens = objective.written(nets, torch.from_numpy(images[start : start + batch]).to(device))
            texts += pairs.captions(tokens.cpu().numpy(), tokenizer)
        return texts
    finally:
        nets.train(training)


def errors(written: list[str], wanted: list[str]) -> dict[str, float]:
    """``exact`` and ``character_error`` of texts beside those that are right."""
    edits = sum(distance(one, other) for one, other in zip(written, wanted, strict=True))
    exact = float(np.mean([one == other for one, other in zip(written, wanted, strict=True)]))
    return {"exact": exact, "character_error": edits / max(1, sum(map(len, wanted)))}


def distance(one: str, other: str) -> int:
    """Insertions, deletions and replacements of characters between two texts (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, another in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != another))
    return row[-1]


def shown(nets: Any, objective: Any, items: Any, tokenizer: Any) -> str:
    """Some held-out pictures' captions, as they are written and as they should be, to look at."""
    rows = pairs.stored(items, SHOWN)
    some = np.linspace(0, len(rows["tokens"]) - 1, min(SHOWN, len(rows["tokens"]))).astype(int)
    wrote = describe(nets, objective, rows["image"][some], tokenizer)
    right = pairs.captions(rows["tokens"][some], tokenizer)
    return "\n".join(f"{one!r} for {other!r}" for one, other in zip(wrote, right, strict=True))
