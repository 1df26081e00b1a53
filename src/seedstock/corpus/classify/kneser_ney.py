"""Word n-gram models with modified Kneser-Ney smoothing (Chen and Goodman 1998), trained and scored as arrays.

Words are those of ``tokens``: lower case, without punctuation. A word that the model does not know is one of as many
unknown words as training saw rare ones, so that rare words cost what they should. The first word of a text follows a
mark of its own; the end of a text is not predicted. Probabilities are stored interpolated, with a weight for backing
off, as in ARPA files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seedstock.corpus.classify.tokens import PRIME, tokens
from seedstock.corpus.words import mix
from seedstock.errors import DataError, IntegrityError, RecipeError
from seedstock.ledger.files import atomic_folder, read_json, write_json
from seedstock.ledger.ids import sha256_file

FORMAT = 1
KIND = "kneser-ney"
UNKNOWN, START, FIRST = 0, 1, 2  # symbols; words count from FIRST
FEWEST = 1000  # words to train on
GUESS = np.array([0.0, 0.5, 1.0, 1.5])  # discounts where counts of counts tell none
ADVICE = "train one: seedstock perplexity train FILES --out FOLDER"


@dataclass(frozen=True)
class Table:
    """The n-grams of one order: sorted hashes ``keys`` uint64, ``logp`` and ``backoff`` float32 (nats)."""

    keys: np.ndarray
    logp: np.ndarray
    backoff: np.ndarray
    first: np.ndarray  # int64 [2^bits + 1]: where the keys with the same upper bits begin

    @classmethod
    def of(cls, keys: np.ndarray, logp: np.ndarray, backoff: np.ndarray) -> Table:
        bits = max(1, len(keys).bit_length())
        edges = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        return cls(keys, logp, backoff, np.append(np.searchsorted(keys, edges), len(keys)))

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """The place of each key, -1 where it is not in the table."""
        bits = len(self.first).bit_length() - 1
        bucket = (wanted >> np.uint64(64 - bits)).astype(np.int64)
        found = np.full(len(wanted), -1)
        at, stop = self.first[bucket], self.first[bucket + 1]
        open_ = np.flatnonzero(at < stop)
        while len(open_):
            here = at[open_]
            key = self.keys[here]
            hit = key == wanted[open_]
            found[open_[hit]] = here[hit]
            at[open_] += 1
            open_ = open_[(key < wanted[open_]) & (here + 1 < stop[open_])]
        return found


@dataclass(frozen=True)
class Model:
    """``words``: sorted hashes uint64 of the known words; ``tables`` of the orders from 1."""

    words: np.ndarray
    tables: list[Table]

    @property
    def order(self) -> int:
        return len(self.tables)

    def symbols(self, hashes: np.ndarray) -> np.ndarray:
        """The symbol of each word's hash, int64."""
        if not len(self.words):
            return np.full(len(hashes), UNKNOWN)
        at = np.minimum(np.searchsorted(self.words, hashes), len(self.words) - 1)
        return np.where(self.words[at] == hashes, at + FIRST, UNKNOWN)

    def score(self, text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(log-probability, nats; words; words that the model knows) of each text, float64 and int64 [texts]."""
        parts = [self._score(found.rows, found.row, found.hashes) for found in tokens(text)]
        if not parts:
            return np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        total, words, known = (np.concatenate(side) for side in zip(*parts, strict=True))
        return total, words, known

    def _score(self, rows: int, row: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, ...]:
        stream, owner = _streams(rows, row, self.symbols(hashes))
        grams = _hashes(stream, self.order)
        at = self.tables[0].find(grams[0])  # every symbol is in the first table
        logp = self.tables[0].logp[at].astype(np.float64)
        for n in range(2, self.order + 1):
            table, below = self.tables[n - 1], self.tables[n - 2]
            # Place t holds the n-gram that ends there; contexts end a place before.
            context = np.append(-1, at[:-1])
            at = np.full(len(stream), -1)
            inside = np.flatnonzero(_inside(owner, n))
            at[inside + n - 1] = table.find(grams[n - 1][inside])
            logp = np.where(at >= 0, table.logp[at], logp + np.where(context >= 0, below.backoff[context], 0))
        said = stream != START
        words = np.bincount(owner[said], minlength=rows)
        known = np.bincount(owner[said & (stream != UNKNOWN)], minlength=rows)
        return np.bincount(owner[said], logp[said], rows), words, known


def _streams(rows: int, row: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(symbols, texts) with a mark before each text's first word."""
    owner = np.concatenate([np.arange(rows), row])
    order = np.argsort(owner, kind="stable")
    return np.concatenate([np.full(rows, START), symbols])[order], owner[order]


def _hashes(stream: np.ndarray, order: int) -> list[np.ndarray]:
    """For each n, the hash of the n symbols that begin at each place, uint64 [places - n + 1]."""
    single = mix(stream.astype(np.uint64))
    found = [single]
    for n in range(2, order + 1):
        found.append(mix(found[-1][:-1] * PRIME + single[n - 1 :]))
    return found


def _inside(owner: np.ndarray, n: int) -> np.ndarray:
    """Where n symbols of one text begin, bool."""
    return owner[: max(0, len(owner) - n + 1)] == owner[n - 1 :]


def train(
    texts: list[str], order: int = 3, rare: int = 2, prune: int = 1, say: Callable[[str], None] = lambda text: None
) -> Model:
    """A model of the texts. Words seen fewer than ``rare`` times are unknown; of the n-grams of three words and more,
    those seen at most ``prune`` times are left out, and their mass goes to backing off. Raises DataError.
    """
    counted = list(tokens(pa.array(texts, pa.large_string())))
    hashes = np.concatenate([found.hashes for found in counted]) if counted else np.zeros(0, np.uint64)
    if len(hashes) < FEWEST:
        raise DataError(f"{len(hashes)} words; at least {FEWEST} are needed", fix="give more text")
    start = np.cumsum([0, *(found.rows for found in counted)])
    row = np.concatenate([found.row + first for found, first in zip(counted, start, strict=False)])
    del counted
    distinct, counts = np.unique(hashes, return_counts=True)
    model = Model(distinct[counts >= rare], [])
    strangers = max(1, int((counts < rare).sum()))
    say(f"{len(hashes)} words, {len(model.words)} different ones kept, {strangers} rare ones")
    stream, owner = _streams(int(start[-1]), row, model.symbols(hashes))
    grams = _Grams(stream, owner, order)
    tables: list[Table] = []
    for n in range(1, order + 1):
        tables.append(grams.table(n, tables, prune if n > 2 else 0, strangers, FIRST + len(model.words)))
        say(f"{len(tables[-1].keys)} {n}-grams")
    return Model(model.words, tables)


class _Grams:
    """The distinct n-grams of each order with their counts."""

    def __init__(self, stream: np.ndarray, owner: np.ndarray, order: int) -> None:
        self.stream, self.order = stream, order
        self.hashes = _hashes(stream, order)
        self.keys, self.place, self.count = [], [], []
        for n in range(1, order + 1):
            inside = np.flatnonzero(_inside(owner, n))
            keys, first, counts = np.unique(self.hashes[n - 1][inside], return_index=True, return_counts=True)
            self.keys.append(keys)
            self.place.append(inside[first])
            self.count.append(counts)

    def adjusted(self, n: int) -> np.ndarray:
        """Counts of the highest order, and of what begins a text; below, how many different words come before."""
        if n == self.order:
            return self.count[n - 1]
        longer = self.place[n]
        suffix = np.searchsorted(self.keys[n - 1], self.hashes[n - 1][longer + 1])
        before = np.bincount(suffix, minlength=len(self.keys[n - 1]))
        opens = self.stream[self.place[n - 1]] == START
        return np.where(opens, self.count[n - 1], before)

    def table(self, n: int, below: list[Table], prune: int, strangers: int, symbols: int) -> Table:
        keys, place = self.keys[n - 1], self.place[n - 1]
        counts = self.adjusted(n).astype(np.float64)
        last = self.stream[place + n - 1]
        if n == 1:
            counts[last == START] = 0  # it is never predicted
        taken = discounts(counts)[np.minimum(counts, 3).astype(int)]
        out = (self.count[n - 1] <= prune) if n == self.order or prune else np.zeros(len(keys), bool)
        taken = np.where(out, counts, np.minimum(taken, counts))
        if n == 1:
            context, contexts = np.zeros(len(keys), np.int64), 1
            lower = 1.0 / (symbols - 1) / np.where(last == UNKNOWN, strangers, 1)
        else:
            context = below[-1].find(self.hashes[n - 2][place])
            contexts = len(below[-1].keys)
            lower = np.exp(self._lower(n, below, place))
        # A context that was pruned predicts nothing of its own.
        there = context >= 0
        total = np.bincount(context[there], counts[there], contexts)
        left = np.bincount(context[there], taken[there], contexts)
        with np.errstate(divide="ignore", invalid="ignore"):
            gamma = np.where(total > 0, left / total, 1.0)
            own = (counts - taken) / total[context] / np.where(last == UNKNOWN, strangers, 1)
            share = np.where(there, own + gamma[context] * lower, 0.0)
        if n > 1:
            with np.errstate(divide="ignore"):
                below[-1].backoff[:] = np.log(np.maximum(gamma, 1e-30))
        else:
            share[last == START] = 1e-30
            if not (last == UNKNOWN).any():  # what is left of the uniform share is for words that never came
                keys = np.append(keys, mix(np.array([UNKNOWN], np.uint64)))
                share = np.append(share, gamma[0] / (symbols - 1) / strangers)
                order = np.argsort(keys)
                logp = np.log(share[order]).astype(np.float32)
                return Table.of(keys[order], logp, np.zeros(len(keys), np.float32))
        kept = there & ~out
        logp = np.log(np.maximum(share[kept], 1e-30)).astype(np.float32)
        return Table.of(keys[kept], logp, np.zeros(int(kept.sum()), np.float32))

    def _lower(self, n: int, below: list[Table], place: np.ndarray) -> np.ndarray:
        """The log-probability of each n-gram's last symbol after one symbol less."""
        at = below[0].find(self.hashes[0][place + n - 1])
        logp = below[0].logp[at].astype(np.float64)
        for m in range(2, n):
            table = below[m - 1]
            at = table.find(self.hashes[m - 1][place + n - m])
            context = below[m - 2].find(self.hashes[m - 2][place + n - m])
            logp = np.where(at >= 0, table.logp[at], logp + np.where(context >= 0, below[m - 2].backoff[context], 0))
        return logp


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 0, 1, 2 and 3 or more: Chen and Goodman's estimates, equation 26."""
    ones, twos, threes, fours = (float((counts == number).sum()) for number in (1, 2, 3, 4))
    if not min(ones, twos, threes, fours):
        return GUESS
    y = ones / (ones + 2 * twos)
    found = np.array([0.0, 1 - 2 * y * twos / ones, 2 - 3 * y * threes / twos, 3 - 4 * y * fours / threes])
    fits = (found[1:] > 0) & (found[1:] < [1, 2, 3])
    return found if fits.all() else GUESS


def save(model: Model, folder: Path, report: dict[str, Any]) -> str:
    """Writes a model's folder (model.json, words.npy, and keys and values of each order); returns its digest."""
    with atomic_folder(folder) as beside:
        arrays = {"words": model.words}
        for n, table in enumerate(model.tables, 1):
            arrays[f"{n}-keys"] = table.keys
            arrays[f"{n}-values"] = np.stack([table.logp, table.backoff])
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array)
        sums = {name: sha256_file(beside / f"{name}.npy") for name in arrays}
        write_json(
            beside / "model.json",
            {"format": FORMAT, "kind": KIND, "order": model.order, "sha256": sums, "report": report},
        )
    return sha256_file(folder / "model.json")


def load(folder: Path) -> Model:
    """Reads a model's folder. Raises RecipeError, DataError or IntegrityError where it is none, or damaged."""
    if not (folder / "model.json").is_file():
        raise RecipeError("there is no trained model", where=folder, fix=ADVICE)
    record = read_json(folder / "model.json")
    if record.get("kind") != KIND or record.get("format") != FORMAT:
        raise DataError(f"not a model of this kind: {record.get('kind')!r}", where=folder, fix=ADVICE)
    arrays = {}
    for name, digest in record["sha256"].items():
        path = folder / f"{name}.npy"
        if not path.is_file() or sha256_file(path) != digest:
            raise IntegrityError("missing, or not what model.json says", where=path, fix="train the model again")
        arrays[name] = np.load(path, allow_pickle=False)
    orders = range(1, record["order"] + 1)
    tables = [Table.of(arrays[f"{n}-keys"], *arrays[f"{n}-values"]) for n in orders]
    return Model(arrays["words"], tables)


def perplexity(logp: np.ndarray, words: np.ndarray) -> float:
    """The perplexity of all the words together."""
    return float(np.exp(-logp.sum() / max(1, words.sum())))
