"""Fits the line classifier of ``corpus.extract`` and writes its weights into the package.

``python benchmarks/extraction_fit.py --articles TAR --pages WCXB [--out FILE] [--half tune|report]``. It is fitted on
the dev split of WCXB without the hosts of the articles, and on one half of the articles; the other half, and WCXB's
test split, are for reporting. About four minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import extraction_data as data
import numpy as np
import torch
from torch.nn import functional

from seedstock.corpus.extract import content
from seedstock.corpus.extract.features import measure
from seedstock.corpus.extract.markup import parse

WIDTH, MEMBERS, EPOCHS, BATCH, RATE, DECAY, DROPOUT = 48, 2, 10, 256, 3e-3, 0.05, 0.3
ARTICLE_WEIGHT = 10.0


def examples(page: data.Page) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(features, whether it is content, weight) of each line: content is what has its shingles in the truth."""
    parsed = parse(page.html.decode("utf-8", "replace"))
    if not parsed.lines:
        return None
    texts = content.texts(parsed)
    words = data.WORD.findall(page.text.lower())
    truth = Counter(tuple(words[at : at + 4]) for at in range(len(words) - 3))
    whole = f" {' '.join(words)} "
    share, size = [], []
    for text in texts:
        own = data.WORD.findall(text.lower())
        size.append(len(own))
        if len(own) >= 4:
            found = Counter(tuple(own[at : at + 4]) for at in range(len(own) - 3))
            share.append((found & truth).total() / found.total())
        else:
            share.append(float(bool(own) and f" {' '.join(own)} " in whole))
    shares, sizes = np.array(share), np.array(size, float)
    # Every page weighs about the same: a line by its share of the page's content.
    return measure(parsed, texts), shares > 0.5, (sizes + 1) / ((sizes * shares).sum() + 1)


def together(pages: list[data.Page], most: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with ProcessPoolExecutor(2) as pool:
        found = [one for one in pool.map(examples, pages, chunksize=16) if one is not None]
    x, y, w = (np.concatenate(column) for column in zip(*found, strict=True))
    return x, y.astype(np.float32), np.minimum(w / w.mean(), most).astype(np.float32)


def fit(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    """An average of small networks, as one: standardised, clipped at 5, one hidden layer."""
    mean, scale = x.mean(0), 1 / (x.std(0) + 1e-3)
    inputs = torch.from_numpy(np.clip((x - mean) * scale, -5, 5))
    targets, weights = torch.from_numpy(y), torch.from_numpy(w)
    members = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        first, second = torch.nn.Linear(x.shape[1], WIDTH), torch.nn.Linear(WIDTH, 1)
        parameters = [*first.parameters(), *second.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
        steps = EPOCHS * len(x) // BATCH
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.randint(0, len(x), (BATCH,))
            logits = second(functional.dropout(first(inputs[rows]).relu(), DROPOUT))[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, targets[rows], weights[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        members.append([one.detach().numpy() for one in (first.weight, first.bias, second.weight[0], second.bias)])
    w1, b1, w2, b2 = zip(*members, strict=True)
    hidden = {"w1": np.concatenate(w1).T, "b1": np.concatenate(b1), "w2": np.concatenate(w2) / MEMBERS}
    return {"mean": mean, "scale": scale, **hidden, "b2": np.mean(b2, axis=0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=content.WEIGHTS)
    parser.add_argument("--half", choices=("tune", "report"), default="tune")
    options = parser.parse_args()
    torch.set_num_threads(2)
    articles = data.articles(options.articles)
    half = data.halves(articles)[options.half == "report"]
    pages = together(data.without(data.kinds_of_pages(options.pages, "dev"), articles), 10)
    x, y, w = together(half, 20)
    twice = (np.concatenate([a, b, b]) for a, b in zip(pages, (x, y, w * ARTICLE_WEIGHT / 2), strict=True))
    weights = fit(*twice)
    np.savez_compressed(
        options.out,
        **{name: value.astype(np.float16 if name == "w1" else np.float32) for name, value in weights.items()},
    )
    print(f"{len(pages[0]) + len(x):,} lines, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
