"""The training documents nearest to a passage: those that share its longest and rarest word sequences, shown as such.

What is shared verbatim is evidence that can be looked at; it does not prove that the model has the passage from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from seedstock.provenance.matches import Matches, Query

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus
    from seedstock.inputs.shards import Shards
    from seedstock.inputs.tokenizers import Tokenizer

FIRST_BYTES = 16
CANDIDATES = 512


@dataclass(frozen=True)
class Near:
    """A training document near to a text.

    ``score`` is the share of the text's information that the best shared passage holds, from 0 to 1: each n-gram counts
    by the bits −log2 of how often the training stream has it. ``passage`` is that passage, verbatim; ``steps`` are the
    training steps that offered the part of the document with it, where that was asked for.
    """

    id: str
    locator: str | None
    url: str | None
    licence: str | None
    language: str | None
    source: str | None
    score: float
    passage: str
    tokens: int
    steps: list[int]

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def nearest(
    text: str,
    corpus: Corpus,
    shards: Shards,
    tokenizer: Tokenizer,
    k: int = 5,
    steps: Callable[[int, int, int], list[int]] | None = None,
) -> list[Near]:
    """The ``k`` training documents that share the most telling passages with ``text``, the nearest first.

    ``steps(stratum, start, stop)`` says which training steps offered stream positions [start, stop). Passages of about
    16 bytes and more are looked for first, shorter ones only where too few documents share any. An empty list where
    nothing is shared. Scans the whole training stream: about 0.1 s for a million tokens and less.
    """

    tokens = tokenizer.encode(text)
    if not len(tokens):
        return []
    order = max(2, round(FIRST_BYTES * len(tokens) / max(1, len(text.encode()))))
    found: dict[bytes, tuple[float, Matches, int]] = {}
    while True:
        query = Query(tokens, min(order, len(tokens)))
        found = _by_document(query, shards, k)
        if len(found) >= k or order <= 2:
            break
        order = max(2, order // 2)
    ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[1][1].stratum, item[1][1].positions[item[1][2]]))
    return [_near(shards, tokenizer, corpus, steps, *item) for item in ranked[:k]]


def _by_document(query: Query, shards: Shards, k: int) -> dict[bytes, tuple[float, Matches, int]]:
    """The best passage of each document: (score, where it was found, which of these)."""
    import numpy as np

    every = list(query.scan(shards))
    positions = sum(stratum.tokens for stratum in shards.strata("train"))
    told = np.concatenate([[0.0], np.cumsum(query.information(positions))])
    best: dict[bytes, tuple[float, Matches, int]] = {}
    weights = [told[found.offsets + found.lengths - query.order + 1] - told[found.offsets] for found in every]
    for found, weight in zip(every, weights, strict=True):
        for number in np.argsort(-weight, kind="stable")[:CANDIDATES]:
            document = shards.document_at(found.split, found.stratum, int(found.positions[number]))[0]
            score = float(weight[number] / told[-1])
            if document not in best or score > best[document][0]:
                best[document] = (score, found, int(number))
    return best


def _near(
    shards: Shards,
    tokenizer: Tokenizer,
    corpus: Corpus,
    steps: Callable[[int, int, int], list[int]] | None,
    document: bytes,
    best: tuple[float, Matches, int],
) -> Near:
    import numpy as np

    score, found, number = best
    start, length = int(found.positions[number]), int(found.lengths[number])
    tokens = shards.read(found.split, found.stratum, np.array([start]), length)[0]
    row = corpus.document(document) or {}
    return Near(
        id=document.hex(),
        **{name: row.get(name) for name in ("locator", "url", "licence")},
        language=(row.get("decision") or {}).get("language"),
        source=row.get("source"),
        score=round(score, 4),
        passage=tokenizer.decode(tokens.tolist()),
        tokens=length,
        steps=steps(found.stratum, start, start + length) if steps else [],
    )
