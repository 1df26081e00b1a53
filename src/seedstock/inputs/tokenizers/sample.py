"""A sample of a corpus's training text, balanced over strata, the same on every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedstock.inputs.tokenizers.pieces import chunks

if TYPE_CHECKING:
    from seedstock.corpus import Corpus

CHUNK = 16_384  # characters: a long document is sampled in parts


@dataclass(frozen=True)
class Chunk:
    """A part of a document, with the stratum that it is of."""

    text: str
    source: str
    domain: str
    language: str


def sample(corpus: Corpus, limit: int | None, seed: int) -> Iterator[Chunk]:
    """Chunks of the training split, about ``limit`` bytes of them, or all where None.

    Strata share the limit equally; what a small one cannot use goes to the others. Inside a stratum a chunk is taken
    where the digest of its text, under the seed, falls below the share: no order of documents is preferred.
    """
    sizes = {int(stratum["stratum"]): int(stratum["bytes"]) for stratum in corpus.strata}
    share = _shares(sizes, sum(sizes.values()) if limit is None else limit)
    for batch in corpus.texts(split="train"):
        columns = (batch.column(name).to_pylist() for name in ("text", "stratum", "source", "domain", "language"))
        for text, stratum, *names in zip(*columns, strict=True):
            threshold = share[stratum]
            for chunk in chunks(text, CHUNK):
                if threshold >= 1 or _uniform(chunk, seed) < threshold:
                    yield Chunk(chunk, *names)


def _shares(sizes: dict[int, int], limit: int) -> dict[int, float]:
    """The part of each stratum that is sampled: equal bytes for all, as far as they have them."""
    share, left = {}, limit
    for rank, stratum in enumerate(sorted(sizes, key=lambda stratum: (sizes[stratum], stratum))):
        own = min(sizes[stratum], left // (len(sizes) - rank))
        share[stratum] = own / sizes[stratum] if sizes[stratum] else 0.0
        left -= own
    return share


def _uniform(text: str, seed: int) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"sample", key=str(seed).encode()).digest()
    return int.from_bytes(digest, "little") / 2**64
