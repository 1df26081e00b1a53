"""The words of a corpus: a table for each part, kept by content, so that a corpus that grows counts what is new."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedstock.inputs.tokenizers.counts import table
from seedstock.inputs.tokenizers.counts.counter import LONGEST, Counter, counter
from seedstock.inputs.tokenizers.pieces import PATTERN
from seedstock.ledger.files import scratch, sweep
from seedstock.ledger.ids import digest

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus import Corpus
    from seedstock.ledger.store import Store
    from seedstock.progress import Bar

FORMAT = 1
MEMORY = 64_000_000  # bytes of words that are held before a sorted run goes to disk
STRATUM = ("source", "domain", "language")


def tables(corpus: Corpus, store: Store, sample: int | None, seed: int, bar: Bar) -> list[Path]:
    """The table of each part of a corpus, counted where it is not there yet; groups are (source, domain, language).

    ``sample`` is about how many bytes of the training split are counted, all strata alike as far as they have text.
    """
    folder = store.path / "words"
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    rates = _rates(corpus, sample)
    found = []
    for part in corpus.parts:
        path = folder / f"{_key(corpus, part, rates, seed)}.parquet"
        if not _is_whole(path):
            _count(corpus, part, rates, seed, path, bar)
        found.append(path)
    return found


def _rates(corpus: Corpus, sample: int | None) -> dict[table.Group, int]:
    """How often each stratum is halved: by powers of two, a rate stays when the corpus grows a little."""
    sizes = {tuple(str(stratum[name]) for name in STRATUM): int(stratum["bytes"]) for stratum in corpus.strata}
    rates, left = {}, sum(sizes.values()) if sample is None else sample
    for rank, group in enumerate(sorted(sizes, key=lambda group: (sizes[group], group))):
        own = min(sizes[group], left // (len(sizes) - rank))
        rates[group] = max(0, math.floor(math.log2(sizes[group] / max(1, own)))) if sizes[group] else 0
        left -= own
    return rates


def _key(corpus: Corpus, part: str, rates: dict[table.Group, int], seed: int) -> str:
    """What a table follows from. Unicode's classes are those of the library, so its version counts."""
    sampled = {"/".join(group): rate for group, rate in sorted(rates.items()) if rate}
    return digest(
        {
            "format": FORMAT,
            "content": corpus.content(part),
            "words": [PATTERN, LONGEST, metadata.version("tokenizers")],
            "sampled": [sampled, seed] if sampled else None,
        }
    )[:32]


def _is_whole(path: Path) -> bool:
    """Whether a table is there and can be read; a damaged one is counted again."""
    try:
        return path.is_file() and table.groups(path) is not None
    except (OSError, ValueError):
        return False


def _count(corpus: Corpus, part: str, rates: dict[table.Group, int], seed: int, path: Path, bar: Bar) -> None:
    """Counts one part. Memory: a batch of texts and MEMORY of words."""
    import pyarrow.compute as pc

    counters: dict[table.Group, Counter] = {}
    runs: dict[table.Group, list[Path]] = {}
    with scratch(path.with_suffix("")) as folder:

        def spill() -> None:
            for group, own in counters.items():
                if own.memory:
                    file = folder / f"run-{sum(map(len, runs.values())):06d}.parquet"
                    table.write(file, [((), [own.drain()])])
                    runs.setdefault(group, []).append(file)
            counters.clear()

        for batch in corpus.texts(split="train", parts=[part]):
            for group, texts in _by_group(batch):
                texts = _sampled(batch, texts, rates.get(group, 0), seed)
                if group not in counters:
                    counters[group] = counter()
                counters[group].add(batch["text"].take(texts))
                if sum(own.memory for own in counters.values()) > MEMORY:
                    spill()
            bar.advance(pc.sum(pc.binary_length(batch["text"])).as_py() or 0)
        spill()
        table.write(
            path,
            ((group, table.merge([table.stream(file, ()) for file in runs[group]], folder)) for group in sorted(runs)),
        )


def _by_group(batch: pa.RecordBatch) -> Iterator[tuple[table.Group, np.ndarray]]:
    """(stratum, the rows of it) of a batch, in the order of strata."""
    names = list(zip(*(batch.column(name).to_pylist() for name in STRATUM), strict=True))
    rows: dict[table.Group, list[int]] = {}
    for row, group in enumerate(names):
        rows.setdefault(tuple(map(str, group)), []).append(row)
    for group in sorted(rows):
        yield group, np.array(rows[group])


def _sampled(batch: pa.RecordBatch, rows: np.ndarray, rate: int, seed: int) -> np.ndarray:
    """One document of 2 ** rate: those whose keyed id, under the seed, says so."""
    if not rate:
        return rows
    import hashlib

    ids = batch.column("id").take(rows).to_pylist()
    key = str(seed).encode()
    drawn = [int.from_bytes(hashlib.blake2b(bytes(one), digest_size=8, key=key).digest(), "little") for one in ids]
    return rows[np.array(drawn, np.uint64) % np.uint64(1 << rate) == 0]
