"""From tables of words to what a vocabulary is learnt from: the most frequent words, each with a weighed count."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.inputs.tokenizers.counts import table
from seedstock.inputs.tokenizers.counts.corpus import STRATUM
from seedstock.inputs.tokenizers.native import buffers

if TYPE_CHECKING:
    from seedstock.corpus import Corpus


@dataclass(frozen=True)
class Words:
    """Distinct words in the order of their bytes: word w is ``data[offsets[w]:offsets[w + 1]]``, ``counts[w]`` times.

    ``seen`` is how many distinct words there were; what the rarest ones beyond the limit come to is ``left_out``.
    """

    data: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray
    seen: int
    left_out: int

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        held = self.data.tobytes()
        ends = self.offsets.tolist()
        return ((held[a:b], n) for a, b, n in zip(ends, ends[1:], self.counts.tolist(), strict=False))

    def bounded(self, limit: int) -> Words:
        """The same with words of more than ``limit`` characters cut after each ``limit``."""
        if not (np.diff(self.offsets) > limit).any():
            return self
        cut: dict[bytes, int] = defaultdict(int)
        for word, count in self:
            text = word.decode()
            for start in range(0, len(text), limit):
                cut[text[start : start + limit].encode()] += count
        words = sorted(cut)
        counts = np.array([cut[word] for word in words], np.int64)
        data = np.frombuffer(b"".join(words), np.uint8)
        return Words(data, np.cumsum([0, *map(len, words)], dtype=np.int64), counts, self.seen, self.left_out)


def weights(corpus: Corpus, by: Sequence[str], temperature: float) -> dict[table.Group, float]:
    """What a count is multiplied by, for each stratum: groups then weigh as bytes to the power 1 / ``temperature``."""
    sizes: dict[tuple[str, ...], int] = defaultdict(int)
    for stratum in corpus.strata:
        sizes[tuple(str(stratum[part]) for part in by)] += int(stratum["bytes"])
    total = sum(sizes.values())
    scaled = {group: (size / total) ** (1 / temperature) for group, size in sizes.items() if size}
    whole = sum(scaled[group] for group in sorted(scaled))
    weight = {group: scaled[group] / whole * total / sizes[group] for group in scaled}
    found = {}
    for stratum in corpus.strata:
        if stratum["bytes"]:
            own = weight[tuple(str(stratum[part]) for part in by)]
            found[tuple(str(stratum[name]) for name in STRATUM)] = 1.0 if temperature == 1 else own
    return found


def characters(paths: Sequence[Path]) -> set[str]:
    """Every character of the words of tables, a block of them at a time."""
    import pyarrow.compute as pc

    found: set[str] = set()
    for path in paths:
        for group in _of(path):
            for part in table.stream(path, group):
                found.update(*pc.cast(part["word"], "large_string").to_pylist())
    return found


def weigh(paths: Sequence[Path], weight: dict[table.Group, float], most: int) -> Words:
    """The ``most`` most frequent words of tables, with weighed counts (rounded, at least 1).

    Memory: ``most`` words twice, and a block of each table.
    """
    kept, seen, left_out = _Kept(most), 0, 0
    with tempfile.TemporaryDirectory(dir=paths[0].parent if paths else None, prefix=".merging-") as temporary:
        for part in _weighed(paths, weight, Path(temporary)):
            seen += part.num_rows
            left_out += kept.add(part)
        left_out += kept.prune()
    whole = kept.table()
    data, offsets = buffers(whole["word"].combine_chunks())
    counts = whole["count"].to_numpy()
    return Words(data[offsets[0] : offsets[-1]], offsets - offsets[0], counts, seen, left_out)


def _of(path: Path) -> list[table.Group]:
    return sorted(set(table.groups(path)))


def _weighed(paths: Sequence[Path], weight: dict[table.Group, float], folder: Path) -> Iterator[Any]:
    """Words with weighed counts."""
    import pyarrow as pa

    alike: dict[float, list[Iterator[Any]]] = defaultdict(list)
    for path in paths:
        for group in _of(path):
            alike[weight.get(group, 1.0)].append(table.stream(path, group))
    if set(alike) <= {1.0}:
        yield from table.merge(alike[1.0], folder)
        return
    several = []
    for number, one in enumerate(sorted(alike)):
        own = folder / f"weight-{number:04d}"
        own.mkdir()
        several.append(_times(table.merge(alike[one], own), one))
    for part in table.merge(several, folder):
        counts = np.maximum(1, part["count"].to_numpy() / SCALE + 0.5).astype(np.int64)
        yield pa.table({"word": part["word"], "count": counts})


SCALE = 1 << 16  # weighed counts are summed in these parts of one: integers, so that no order of sums matters


def _times(tables: Iterator[Any], weight: float) -> Iterator[Any]:
    import pyarrow as pa

    for part in tables:
        # A float has 53 bits: counts below 2^37 are exact to the part, larger ones to a part in 10^16.
        counts = np.rint(part["count"].to_numpy() * (weight * SCALE)).astype(np.int64)
        yield pa.table({"word": part["word"], "count": counts})


class _Kept:
    """The most frequent words so far."""

    def __init__(self, most: int) -> None:
        self.most, self.rows, self.parts = most, 0, []  # type: ignore[var-annotated]

    def add(self, part: Any) -> int:
        self.parts.append(part)
        self.rows += part.num_rows
        return self.prune() if self.rows > 2 * self.most else 0

    def prune(self) -> int:
        """Lets the rarest go, of equally rare ones the last; what their counts come to."""
        if self.rows <= self.most:
            return 0
        whole = self.table()
        counts = whole["count"].to_numpy()
        order = np.argsort(-counts, kind="stable")
        gone = int(counts[order[self.most :]].sum())
        self.parts = [whole.take(np.sort(order[: self.most])).combine_chunks()]
        self.rows = self.most
        return gone

    def table(self) -> Any:
        import pyarrow as pa

        empty = pa.table({"word": pa.array([], pa.large_binary()), "count": pa.array([], pa.int64())})
        return pa.concat_tables([empty, *self.parts]).combine_chunks()
