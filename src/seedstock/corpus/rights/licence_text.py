"""The licence that a text is, or holds: by fingerprints of the texts of the SPDX list.

A fingerprint is the set of a text's hashed runs of three words, of which long texts keep every second, fourth, … (a
fraction of the hash space, as in FracMinHash, Irber et al. 2022), so that Dice's coefficient and containment are
estimated from what both sides keep. Lines of copyright and signs make no difference. No licence's text is stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.corpus import ngrams

STORED = Path(__file__).with_name("licences.npz")
SIZE = 3  # words in a run
KEPT = 256  # about as many hashes of a text are stored
LEAST = 24  # hashes: a licence that has fewer cannot be told from a phrase
DICE, CONTAINED = 0.9, 0.9
SLACK = 0.08  # of short licences that hold one another, the longer one may be so much less like its text
LONGEST = 200_000  # characters of a text that are looked at
_COPYRIGHT = re.compile(
    r"(?im)^[\s#*/;%!-]{0,12}(?:copyright(?: notice:?|:)?\s*(?:\(c\)|©|&copy;|[\d<\[{]|by\b|[A-Z](?-i:[a-z]+ [A-Z]))"
    r"|\(c\)|©|all rights reserved\b).{0,300}$"
)

# What the licences themselves say to put into a file, as normalised words.
_NOTICES = (
    (r"licensed under the apache license version 2 0\b", "Apache-2.0"),
    (r"subject to the terms of the mozilla public license v(?:ersion)? 2 0\b", "MPL-2.0"),
    (r"(?:made|are) available under the terms of the eclipse public license v?(?:ersion)? 2 0\b", "EPL-2.0"),
    (r"distributed under the boost software license version 1 0\b", "BSL-1.0"),
    (r"this is free and unencumbered software released into the public domain", "Unlicense"),
)
_GNU = re.compile(
    r"under the terms of (?:version (\d(?: \d)?) of )?the gnu (lesser |library |affero )?general public license"
    r"(?: version (\d(?: \d)?))?((?:(?!general public license).){0,120}?)(?=\bthis\b|\byou\b|$)"
)


@dataclass(frozen=True)
class Licence:
    """A licence that was found: its SPDX name, ``how`` (text, contained, notice) and the likeness, at most 1."""

    name: str
    how: str
    score: float


@dataclass(frozen=True)
class Fingerprints:
    """``hashes`` uint32 [n], ascending, with the licence ``of`` each; by licence its ``names``, how many it has
    (``sizes``), which part of the hash space they are from (``shift``: 2^-shift), and the hash of its ``whole`` text.
    """

    names: Sequence[str]
    hashes: np.ndarray
    of: np.ndarray
    sizes: np.ndarray
    shift: np.ndarray
    whole: np.ndarray


@cache
def stored() -> Fingerprints:
    """The fingerprints that come with the package."""
    with np.load(STORED, allow_pickle=False) as data:
        return Fingerprints([str(name) for name in data["names"]], *(data[key] for key in _KEYS))


_KEYS = ("hashes", "of", "sizes", "shift", "whole")


def make(texts: Mapping[str, str], path: Path = STORED) -> None:
    """Writes the fingerprints of licences, given by SPDX name (``benchmarks/licence_fingerprints.py`` does it)."""
    names = sorted(texts)
    rows, shifts, whole = [], [], []
    for name in names:
        hashes, text = _runs(texts[name])
        shift = max(0, int(np.ceil(np.log2(max(1, len(hashes)) / KEPT))))
        rows.append(hashes[hashes < (1 << (32 - shift))])
        shifts.append(shift)
        whole.append(text)
    flat = np.concatenate(rows)
    of = np.repeat(np.arange(len(names), dtype=np.int16), [len(row) for row in rows])
    order = np.lexsort((of, flat))
    columns = (flat[order], of[order], np.array([len(row) for row in rows], np.int32), np.array(shifts, np.int8))
    arrays: dict[str, Any] = dict(zip(_KEYS, (*columns, np.array(whole, np.uint64)), strict=True))
    np.savez_compressed(path, names=np.array(names), **arrays)


def identify(text: str) -> list[Licence]:
    """The licence that a text is (one), or those that it holds whole (each once), the largest first; or its notices."""
    known = stored()
    hashes, whole = _runs(text[:LONGEST])
    if len(hashes) < LEAST // 2:
        return notices(text)
    if len(same := np.flatnonzero(known.whole == whole)):
        return [Licence(known.names[same[0]], "text", 1.0)]
    found, mine = [], hashes
    shifts = range(int(known.shift.max()) + 1)
    mine_kept = np.array([np.count_nonzero(hashes < (1 << (32 - shift))) for shift in shifts])
    while True:
        matched = _matched(known, mine)
        large = known.sizes >= LEAST
        share = np.where(large, matched / known.sizes, 0.0)
        dice = np.where(large, 2 * matched / (known.sizes + mine_kept[known.shift]), 0.0)
        if dice.max() >= DICE:
            one = int(dice.argmax())
            how, score = "text", dice[one]
        elif (best := share.max()) >= CONTAINED:
            # BSD with two clauses is part of BSD with three: the one that explains most.
            fits = np.flatnonzero(share >= best - np.where(known.shift == 0, SLACK, SLACK / 8))
            one = int(max(fits, key=lambda at: (matched[at] * 2.0 ** known.shift[at], share[at])))
            how, score = "contained", share[one]
        else:
            break
        found.append(Licence(known.names[one], how, round(float(score), 3)))
        mine = np.setdiff1d(mine, known.hashes[known.of == one], assume_unique=True)
    return found or notices(text)


def notices(text: str) -> list[Licence]:
    """Licences that a text names in the words that they ask to be named in."""
    plain = " ".join(ngrams.spelled(text[:LONGEST]))
    found = [Licence(name, "notice", 1.0) for pattern, name in _NOTICES if re.search(pattern, plain)]
    for match in _GNU.finditer(plain):
        family = {"lesser ": "LGPL", "library ": "LGPL", "affero ": "AGPL", None: "GPL"}[match[2]]
        version = match[1] or match[3] or next(iter(re.findall(r"version (\d(?: \d)?)\b", match[4])), None)
        if version:
            number = version.replace(" ", ".") if " " in version else f"{version}.0"
            later = "any later version" in match[4] or "or later" in match[4]
            found.append(Licence(f"{family}-{number}-{'or-later' if later else 'only'}", "notice", 1.0))
    return list(dict.fromkeys(found))


def _matched(known: Fingerprints, hashes: np.ndarray) -> np.ndarray:
    """How many of each licence's hashes a set holds, int64 [licences]."""
    low = np.searchsorted(known.hashes, hashes)
    count = np.searchsorted(known.hashes, hashes, side="right") - low
    at = np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())
    return np.bincount(known.of[at], minlength=len(known.names))


def _runs(text: str) -> tuple[np.ndarray, int]:
    """(the set of a text's runs, uint32, ascending; the hash of all of its words)."""
    import pyarrow as pa

    hashes, row = ngrams.words(pa.array([_COPYRIGHT.sub(" ", text)], pa.large_string()))
    runs, _ = ngrams.grams(hashes, row, SIZE)
    whole = ngrams.grams_at(hashes, np.zeros(1, np.int64), len(hashes))[0] if len(hashes) else 0
    return np.unique((runs >> np.uint64(32)).astype(np.uint32)), int(whole)
