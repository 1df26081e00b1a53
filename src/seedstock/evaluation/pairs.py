"""Which caption belongs to which picture, among all held-out ones: retrieval both ways, by language, beside a linear
map from pixels to words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

RANKS = (1, 5, 10)
WAYS = ("caption", "picture")  # which one of a pair is looked for
SHARES = tuple(f"{name} R@{k}" for name in WAYS for k in RANKS)
SHOWN = ("picture R@1", "picture R@10", "caption R@1", "caption R@10")
PENALTY = 100.0
TRAINING = 12_000
SIZE = 16  # pixels a side that the linear map reads
RUN = 3  # characters


def retrieval(
    nets: Any, objective: Any, train: Any, held_out: Any, tokenizer: Any, *, batch: int = 128
) -> dict[str, Any]:
    """For each language of the held-out items (``HeldOutItems``): ``model`` and ``linear``, each with the shares of
    captions whose picture, and of pictures whose caption, is among the nearest 1, 5 and 10, and the median rank.

    Items with equal captions or equal pictures are right for each other; of what is as near as the right one, half
    counts as nearer. ``linear`` is a ridge regression from pixels to the words of captions and runs of up to three of
    their characters, weighed by how rare they are, fitted on training items of the language.
    """
    return beside(nets, objective, train, held_out, tokenizer, batch=batch)[0]


def beside(
    nets: Any, objective: Any, train: Any, held_out: Any, tokenizer: Any, *, batch: int = 128
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``retrieval``, and for each share the ``difference`` of ``model`` and ``linear`` over all captions, with its
    ``standard_error`` over pictures: captions of one picture, in whatever language, are no trials of their own."""
    rows, known = _rows(nets, objective, held_out, batch), stored(train, batch)
    found, gains, pictures = {}, [], []
    for language in sorted(set(rows["language"])):
        own = np.flatnonzero(rows["language"] == language)
        picture, text = (torch.from_numpy(rows[name][own]) for name in ("picture", "text"))
        same = _same(rows["image"][own], rows["tokens"][own])
        one: dict[str, Any] = {"pairs": len(own), "chance": float(same.float().mean())}
        one["model"] = scores(picture @ text.T, same)
        near = np.flatnonzero(known["language"] == language)[:TRAINING]
        if len(near):
            words = captions(np.concatenate([known["tokens"][near], rows["tokens"][own]]), tokenizer)
            read = _linear(known["image"][near], rows["image"][own], words)
            one["linear"] = scores(read, same)
            gains.append(hits(picture @ text.T, same) - hits(read, same))
            pictures += [image.tobytes() for image in rows["image"][own]]
        found[language] = one
    return found, _paired(torch.cat(gains), pictures) if gains else {}


def _paired(gains: torch.Tensor, pictures: list[bytes]) -> dict[str, Any]:
    """Means of ``gains`` ``[N, shares]``, and the standard error of each where rows of one picture are one draw."""
    _, which = np.unique(np.array(pictures, object), return_inverse=True)
    count = int(which.max()) + 1
    table = gains.double().numpy()
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, which, table - table.mean(0))
    errors = np.sqrt((sums**2).sum(0) * count / max(1, count - 1)) / len(table)
    both = zip(table.mean(0).tolist(), errors.tolist(), strict=True)
    return {
        name: {"difference": mean, "standard_error": error} for name, (mean, error) in zip(SHARES, both, strict=True)
    }


def found(nets: Any, objective: Any, held_out: Any, *, batch: int = 128) -> dict[str, float]:
    """Means over the languages of a few of the shares, to see while a run goes on; nothing of an empty split."""
    rows = _rows(nets, objective, held_out, batch)
    each = []
    for language in sorted(set(rows["language"])):
        own = np.flatnonzero(rows["language"] == language)
        picture, text = (torch.from_numpy(rows[name][own]) for name in ("picture", "text"))
        each.append(scores(picture @ text.T, _same(rows["image"][own], rows["tokens"][own])))
    return {name: float(np.mean([one[name] for one in each])) for name in SHOWN} if each else {}


def nearest(nets: Any, objective: Any, held_out: Any, *, count: int = 8, batch: int = 128) -> np.ndarray:
    """To look at: uint8 ``[count, 6, H, W, C]``: for captions of one language the right picture, the five nearest."""
    rows = _rows(nets, objective, held_out, batch)
    language = "en" if "en" in rows["language"] else sorted(set(rows["language"]))[0]
    own = np.flatnonzero(rows["language"] == language)
    some = own[np.linspace(0, len(own) - 1, min(count, len(own))).astype(int)]
    near = own[np.argsort(-rows["text"][some] @ rows["picture"][own].T, axis=1, kind="stable")[:, :5]]
    return rows["image"][np.concatenate([some[:, None], near], axis=1)]


def scores(similarity: torch.Tensor, same: torch.Tensor) -> dict[str, float]:
    """Recall and median rank of a table ``[pictures, captions]`` in which ``same`` are right."""
    found = dict(zip(SHARES, hits(similarity, same).mean(0).tolist(), strict=True))
    medians = [float(ranks(*one).float().median()) for one in ((similarity, same), (similarity.T, same.T))]
    return found | dict(zip((f"{name} median rank" for name in WAYS), medians, strict=True))


def hits(similarity: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Which pairs are found: fp32 ``[pairs, shares]``, in the order of ``SHARES``."""
    both = (ranks(similarity, same), ranks(similarity.T, same.T))
    return torch.stack([(one <= k).float() for one in both for k in RANKS], dim=1)


def ranks(table: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The place of the best right one of each row, from 1; of what is just as near, half stands before it."""
    best = table.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return 1 + ((table > best) & ~right).sum(1) + ((table == best) & ~right).sum(1) / 2


def captions(tokens: np.ndarray, tokenizer: Any) -> list[str]:
    """The texts of captions ``[N, T]``, without special tokens."""
    special = set(tokenizer.specials.values())
    return [tokenizer.decode([one for one in row if one not in special]) for row in tokens.tolist()]


def _same(images: np.ndarray, tokens: np.ndarray) -> torch.Tensor:
    found = np.zeros((len(images), len(images)), bool)
    for values in (images.reshape(len(images), -1), tokens):
        _, which = np.unique(np.ascontiguousarray(values), axis=0, return_inverse=True)
        found |= which.reshape(-1, 1) == which.reshape(1, -1)
    return torch.from_numpy(found)


def stored(items: Any, batch: int) -> dict[str, np.ndarray]:
    return _joined(items.batches(batch, prepare=lambda made, keys: made), items)


def _joined(batches: Iterator[dict[str, np.ndarray]], items: Any) -> dict[str, np.ndarray]:
    languages = {one.stratum: one.language for one in items.shards.strata(items.split)}
    rows = [{**one, "language": np.array([languages[s] for s in one["strata"].tolist()])} for one in batches]
    if not rows:
        return {
            "language": np.array([]),
            "tokens": np.zeros((0, 1), np.int64),
            "image": np.zeros((0, 1, 1, 3), np.uint8),
        }
    return {name: np.concatenate([one[name][one["present"]] for one in rows]) for name in rows[0]}


@torch.inference_mode()
def _rows(nets: Any, objective: Any, items: Any, batch: int) -> dict[str, np.ndarray]:
    """What is stored of the items, with their unit vectors."""
    device, training = next(nets["network"].parameters()).device, nets.training

    def seen() -> Iterator[dict[str, np.ndarray]]:
        for arrays in items.batches(batch, prepare=lambda made, keys: made):
            image, tokens = (torch.from_numpy(arrays[name]).to(device) for name in ("image", "tokens"))
            picture = objective.features(nets, {"image": image}).float().cpu().numpy()
            text = objective.described(nets, tokens.long()).float().cpu().numpy()
            yield {**arrays, "picture": picture, "text": text}

    nets.eval()
    try:
        return _joined(seen(), items)
    finally:
        nets.train(training)


def _linear(images: np.ndarray, others: np.ndarray, texts: list[str]) -> torch.Tensor:
    """Cosines of the words that a ridge regression reads off pictures ``others`` and those of their captions; the
    texts are the captions of ``images``, then those of ``others``."""
    words = _words(texts)
    known, asked = words[: len(images)], words[len(images) :]
    x, t = (small(one) for one in (images, others))
    mean = x.mean(0)
    x, t = x - mean, t - mean
    gram = x @ x.T + PENALTY * np.eye(len(x)) if len(x) < x.shape[1] else None
    if gram is not None:
        read = t @ x.T @ np.linalg.solve(gram, known)
    else:
        read = t @ np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ known)
    norms = np.linalg.norm(read, axis=1, keepdims=True) * np.linalg.norm(asked, axis=1)[None]
    return torch.from_numpy(read @ asked.T / np.maximum(norms, 1e-12))


def small(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1, means over squares, at most ``SIZE`` a side: ``[N, …]``."""
    step = max(1, images.shape[1] // SIZE)
    side = images.shape[1] // step * step
    cut = images[:, :side, :side].astype(np.float64) / 255
    return cut.reshape(len(cut), side // step, step, side // step, step, -1).mean((2, 4)).reshape(len(cut), -1)


def _words(texts: list[str]) -> np.ndarray:
    """Words and runs of up to ``RUN`` characters by how rare they are, rows of unit length: ``[N, features]``."""
    bags = []
    for text in map(str.lower, texts):
        runs = (text[i : i + length] for length in range(1, RUN + 1) for i in range(len(text) - length + 1))
        bags.append({*text.split(), *runs})
    counts: dict[str, int] = {}
    for bag in bags:
        for word in bag:
            counts[word] = counts.get(word, 0) + 1
    kept = {word: place for place, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
    table = np.zeros((len(bags), len(kept)))
    for row, bag in enumerate(bags):
        for word in bag & kept.keys():
            table[row, kept[word]] = np.log(len(bags) / counts[word])
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
