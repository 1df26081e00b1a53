"""Near duplicates: pairs proposed by bands of MinHash signatures, decided by their exact similarity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from seedstock.corpus.dedup import lsh, minhash
from seedstock.corpus.dedup.clusters import Forest
from seedstock.corpus.dedup.config import MinHash
from seedstock.corpus.dedup.parts import Part, firsts, texts
from seedstock.corpus.dedup.verify import Sets
from seedstock.corpus.signals.minhash import SEED, signal_of
from seedstock.progress import Reporter

ROUNDS = 32  # leaders tried in one bucket of one band
VERIFY = 1 << 17  # pairs compared before it is asked again which documents are united already


def link(
    step: MinHash,
    parts: Sequence[Part],
    rows: np.ndarray,
    forest: Forest,
    folder: Path,
    reporter: Reporter,
    settled: int = 0,
    workers: int = 1,
) -> Sets:
    """Unites near duplicates among ``rows`` (int64, ascending, over all parts; their texts differ).

    The first ``settled`` rows of all are an earlier corpus', and not compared with each other. Returns the sets of
    shingles, of which some are made.
    """
    count, width = minhash.bands(step.threshold, step.permutations)
    signatures = lsh.Signatures(folder / "signatures", step.permutations)
    bands = lsh.Bands(folder, count, width, len(rows))
    signed = []
    with reporter.bar("fingerprints", len(rows), "documents") as bar:
        for own, minima in _signed(step, parts, rows):
            signatures.add(minima)
            bands.add(minima)
            signed.append(own)
            bar.advance(len(own))
    signatures.close()
    rows_of = np.concatenate([np.zeros(0, np.int64), *signed])
    with reporter.bar("grouping", count, "bands") as bar:
        for _ in bands.group():
            bar.advance()
    # Four standard deviations below the threshold, an estimate leaves no doubt.
    hopeless = step.threshold - 4 * np.sqrt(step.threshold * (1 - step.threshold) / step.permutations)
    sets = Sets(parts, step.shingle, folder, workers)
    failed = np.zeros(0, np.uint64)
    with reporter.bar("comparing", None, "documents") as bar:
        for number in range(ROUNDS):
            pairs = _propose(bands, forest.roots()[rows_of], rows_of, settled, shrink=number > 0)
            if not len(pairs):
                break
            pairs = pairs[~np.isin(pairs, failed)]
            left, right = _halves(pairs)
            pairs = pairs[signatures.estimate(left, right) >= hopeless]
            sets.need(rows_of[np.unique(np.concatenate(_halves(pairs)))], bar.advance)
            failed = np.union1d(failed, _verify(pairs, rows_of, sets, step.threshold, forest))
    return sets


def _signed(step: MinHash, parts: Sequence[Part], rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each part, those of ``rows`` that have a signature, and the lower 16 bits of their minima."""
    signal = signal_of(step)
    column = f"{signal.name}@{signal.version}.signature"
    bounds = np.searchsorted(rows, firsts(parts))
    for number, part in enumerate(parts):
        own = rows[bounds[number] : bounds[number + 1]]
        if not len(own):
            continue
        if part.has(column):
            stored = part.read([column])[column].combine_chunks()
            here = np.asarray(own - firsts(parts)[number])
            minima, has = unpacked(stored, step.permutations)
            slot = np.cumsum(has) - 1
            chosen = has[here]
            yield own[chosen], minima[slot[here[chosen]]]
        else:
            for inside, column_ in texts([part], own - firsts(parts)[number]):
                at, found = minhash.signatures(column_, step.shingle, step.permutations, SEED)
                yield (inside + firsts(parts)[number])[at], found.astype(np.uint16)


def unpacked(stored: object, permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """(uint16 [signatures, permutations], bool [rows]: which rows have one) of a column of signatures."""
    import pyarrow.compute as pc

    has = pc.is_valid(stored).to_numpy(zero_copy_only=False)
    full = stored.drop_null()  # type: ignore[attr-defined]
    if not len(full):
        return np.zeros((0, permutations), np.uint16), has
    offsets = np.frombuffer(full.buffers()[1], np.int32)[full.offset : full.offset + len(full) + 1]
    data = np.frombuffer(full.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.view("<u2").reshape(-1, permutations), has


def _propose(bands: lsh.Bands, roots: np.ndarray, rows_of: np.ndarray, settled: int, shrink: bool) -> np.ndarray:
    """Pairs (leader, other) of documents of one bucket that are not united yet: uint64, sorted, once each."""
    proposed = np.zeros(0, np.uint64)
    for band in range(bands.bands):
        members, begins = bands.load(band)
        if shrink and len(members):
            first = lsh.leaders(members, begins)
            members, begins = lsh.without(members, begins, begins | (roots[members] == roots[first]))
            bands.store(band, members, begins)
        if len(members):
            first = lsh.leaders(members, begins)
            open_ = (roots[members] != roots[first]) & (rows_of[members] >= settled)
            pairs = (first[open_].astype(np.uint64) << np.uint64(32)) | members[open_]
            proposed = np.union1d(proposed, pairs)
    return proposed


def _verify(pairs: np.ndarray, rows_of: np.ndarray, sets: Sets, threshold: float, forest: Forest) -> np.ndarray:
    """Unites the pairs that reach the threshold; returns those that do not."""
    failed = [np.zeros(0, np.uint64)]
    for at in range(0, len(pairs), VERIFY):
        some = pairs[at : at + VERIFY]
        left, right = (rows_of[half] for half in _halves(some))
        roots = forest.roots()
        open_ = roots[left] != roots[right]
        some, left, right = some[open_], left[open_], right[open_]
        alike = sets.similarity(left, right) >= threshold
        forest.join(zip(left[alike].tolist(), right[alike].tolist(), strict=True))
        failed.append(some[~alike])
    return np.concatenate(failed)


def _halves(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
