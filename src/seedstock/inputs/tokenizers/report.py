"""What a tokenizer does to its corpus: bytes a token by stratum, use of the vocabulary, round trip."""

from __future__ import annotations

from collections import defaultdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.media.types import TOKENS
from seedstock.inputs.tokenizers.glitches import inspect
from seedstock.inputs.tokenizers.sample import Chunk, sample
from seedstock.inputs.tokenizers.specials import UNKNOWN
from seedstock.inputs.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from seedstock.corpus import Corpus

SAMPLE = 4_000_000  # bytes
BATCH = 256
CHECKED = 1024  # characters of a chunk on which encoders are compared


def report(tokenizer: Tokenizer, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """Measures a tokenizer on a sample of the training text, balanced over strata."""
    measure = Measure(tokenizer)
    waiting: list[Chunk] = []
    for chunk in sample(corpus, SAMPLE, seed):
        waiting.append(chunk)
        if len(waiting) == BATCH:
            if not measure.chunks:
                tokenizer.settle([one.text[:CHECKED] for one in waiting])
            measure.add(waiting)
            waiting = []
    measure.add(waiting)
    measure.add_made(corpus)
    return measure.result() | inspect(tokenizer, measure.used)


class Measure:
    """Adds texts up: bytes and tokens by group, tokens that were used, what came back changed."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.sizes: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(2, np.int64))
        self.used = np.zeros(tokenizer.vocab_size, bool)
        self.chunks = self.exact = self.unknown = 0

    def add(self, chunks: list[Chunk]) -> None:
        unknown = self.tokenizer.specials.get(UNKNOWN, -1)
        encoded = self.tokenizer.encode_batch([chunk.text for chunk in chunks])
        for chunk, ids in zip(chunks, encoded, strict=True):
            size = np.array([len(chunk.text.encode()), len(ids)])
            groups = (("source", chunk.source), ("domain", chunk.domain), ("language", chunk.language), ("all", ""))
            for group in groups:
                self.sizes[group] += size
            self.used[ids] = True
            self.chunks += 1
            self.exact += self.tokenizer.decode(ids.tolist()) == chunk.text
            self.unknown += int(np.count_nonzero(ids == unknown))

    def add_made(self, corpus: Corpus) -> None:
        """Documents that came as ids of this tokenizer: what their ids stand for, as there is no text to compare."""
        if not (corpus.folder / "media").is_dir():
            return
        read = 0
        for batch in corpus.texts("train", media=TOKENS):
            names = zip(*(batch.column(part).to_pylist() for part in ("source", "domain", "language")), strict=True)
            for (source, domain, language), data in zip(names, batch.column("media").to_pylist(), strict=True):
                if data is None:
                    continue
                ids = np.frombuffer(data, "<u4")
                ids = ids[ids < self.tokenizer.vocab_size]  # writing the shards refuses others, and says which
                size = np.array([self.tokenizer.byte_lengths[ids].sum(), len(ids)])
                for group in (("source", source), ("domain", domain), ("language", language), ("all", "")):
                    self.sizes[group] += size
                self.used[ids] = True
                read += int(size[0])
            if read > SAMPLE:
                return

    def result(self) -> dict[str, Any]:
        specials = self.tokenizer.specials
        ordinary = self.tokenizer.vocab_size - len(specials)
        used = int(np.count_nonzero(self.used)) - int(np.count_nonzero(self.used[list(specials.values())]))
        ordinary_used = self.used & (self.tokenizer.byte_lengths > 0)
        unused = np.flatnonzero(~ordinary_used & (self.tokenizer.byte_lengths > 1))
        return {
            "kind": self.tokenizer.kind,
            "vocab_size": self.tokenizer.vocab_size,
            "specials": specials,
            "library": f"tokenizers {metadata.version('tokenizers')}",
            "sample": {"bytes": int(self.sizes["all", ""][0]), "tokens": int(self.sizes["all", ""][1])},
            "bytes_per_token": {
                "all": self._ratio("all", ""),
                **{
                    f"by_{part}": {name: self._ratio(part, name) for kind, name in sorted(self.sizes) if kind == part}
                    for part in ("source", "domain", "language")
                },
            },
            "vocabulary": {
                "tokens": ordinary,
                "used": used,
                "share": round(used / ordinary, 4),
                "unused_examples": [item.decode("utf-8", "backslashreplace") for item in self._examples(unused)],
            },
            "round_trip": {"chunks": self.chunks, "exact": self.exact},
            "unknown": {"token": UNKNOWN if UNKNOWN in specials else None, "count": self.unknown},
        }

    def _examples(self, unused: np.ndarray) -> list[bytes]:
        return self.tokenizer.bytes_of(unused[:20].tolist())

    def _ratio(self, part: str, name: str) -> float | None:
        size, tokens = self.sizes[part, name].tolist()
        return round(size / tokens, 4) if tokens else None
