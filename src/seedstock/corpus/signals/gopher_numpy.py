"""Gopher's counts over many texts at once in numpy: whatever depends on a word alone is found once a distinct word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seedstock.corpus.letters import flags
from seedstock.corpus.signals.gopher import DUPLICATE, STOP_WORDS, TOP
from seedstock.corpus.words import Words, mix, split

BULLET = r"^([-*+]$|[•‣◦▪▫●○■□▶◀])"
ELLIPSIS = r"(\.\.\.|…)$"
STEP = np.uint64(0xD1342543DE82EF95)  # an odd multiplier with good spectra (Steele and Vigna 2021)


def counts(text: pa.Array, longest: int) -> dict[str, np.ndarray]:
    """Every count of ``gopher_kernel.COUNTS`` for a large_string array, int64 [texts] each."""
    words = split(text)
    letters = pc.utf8_length(words.vocabulary).to_numpy(zero_copy_only=False)[words.codes].astype(np.float64)
    head, head_letters = _head(words, letters, longest)
    found = {
        "words": words.count(),
        "characters": words.count(weights=letters),
        "hashes": _occurrences(text, "#"),
        "ellipses": _occurrences(text, "...") + _occurrences(text, "…"),
        "alphabetic": words.count(_alphabetic(words.vocabulary)[words.codes]),
        "stop_words": _stop_words(words),
        "lines": words.count_lines(),
        "bullets": words.count_lines(words.first(words.matches(BULLET))),
        "ellipsis_lines": words.count_lines(words.last(words.matches(ELLIPSIS))),
        **_duplicate_lines(words, letters),
        "head_characters": head.count(weights=head_letters),
        **_ngrams(head, head_letters),
    }
    return {name: values.astype(np.int64) for name, values in found.items()}


def _alphabetic(vocabulary: pa.Array) -> np.ndarray:
    """Words with at least one letter, bool [vocabulary]."""
    characters = np.frombuffer("".join(vocabulary.to_pylist()).encode("utf-32-le"), np.uint32)
    if not len(characters):
        return np.zeros(len(vocabulary), bool)
    lengths = pc.utf8_length(vocabulary).to_numpy(zero_copy_only=False)
    return np.logical_or.reduceat(flags()[characters], np.cumsum(lengths) - lengths)


def _occurrences(text: pa.Array, substring: str) -> np.ndarray:
    return pc.count_substring(text, substring).to_numpy(zero_copy_only=False)


def _stop_words(words: Words) -> np.ndarray:
    bare = pc.ascii_trim(pc.ascii_lower(words.vocabulary), ".,;:!?\"'()[]{}`*_")
    number = pc.fill_null(pc.index_in(bare, pa.array(STOP_WORDS, pa.large_string())), -1).to_numpy()[words.codes]
    seen = np.zeros((words.rows, len(STOP_WORDS)), bool)
    found = number >= 0
    seen[words.row[found], number[found]] = True
    return seen.sum(axis=1)


def _duplicate_lines(words: Words, letters: np.ndarray) -> dict[str, np.ndarray]:
    scattered = mix(words.line_codes)
    paragraph = np.cumsum(words.opens) - 1
    opening = np.flatnonzero(words.opens)
    if not len(opening):
        none = np.zeros(words.rows)
        return dict.fromkeys(
            ("again_lines", "again_line_characters", "paragraphs", "again_paragraphs", "again_paragraph_characters"),
            none,
        )
    place = np.arange(len(scattered)) - opening[paragraph]
    paragraph_codes = np.add.reduceat(scattered * _powers(int(place.max()) + 1)[place], opening)
    line_again = _again(words.line_row, scattered)
    paragraph_row = words.line_row[opening]
    paragraph_again = _again(paragraph_row, paragraph_codes)
    return {
        "again_lines": words.count_lines(line_again),
        "again_line_characters": words.count(line_again[words.line], letters),
        "paragraphs": np.bincount(paragraph_row, minlength=words.rows),
        "again_paragraphs": np.bincount(paragraph_row[paragraph_again], minlength=words.rows),
        "again_paragraph_characters": words.count(paragraph_again[paragraph][words.line], letters),
    }


def _powers(count: int) -> np.ndarray:
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(count - 1, STEP)]))


def _again(row: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Which items repeat another of the same row, all but one of each, bool; equal items weigh the same."""
    keys = codes ^ mix(mix(row))
    order, starts = _groups(keys)
    again = np.ones(len(keys), bool)
    again[order[starts]] = False
    return again


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order that brings equal keys together, and where each group starts in it."""
    order = np.argsort(keys)
    ordered = keys[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])


def _head(words: Words, letters: np.ndarray, longest: int) -> tuple[Words, np.ndarray]:
    """The first ``longest`` words of each text, and their characters: bounds the memory that a huge text takes."""
    if len(words.codes) <= longest:
        return words, letters
    first = np.searchsorted(words.row, np.arange(words.rows))
    head = np.arange(len(words.codes)) - first[words.row] < longest
    return replace(words, codes=words.codes[head], row=words.row[head]), letters[head]


def _ngrams(words: Words, letters: np.ndarray) -> dict[str, np.ndarray]:
    """Characters in top and duplicate n-grams. Only where one repeats can a longer one: most words drop out early."""
    found = {f"top_{n}gram": np.zeros(words.rows) for n in TOP}
    found |= {f"duplicate_{n}grams": np.zeros(words.rows) for n in DUPLICATE}
    scattered = mix(np.arange(len(words.vocabulary)))
    places = np.arange(len(words.codes))
    keys = scattered[words.codes] ^ mix(mix(words.row))
    for n in range(2, DUPLICATE[-1] + 1):
        repeats = np.zeros(len(words.codes), bool)
        repeats[places] = True
        inside = places + n <= len(words.codes)
        places, keys = places[inside], keys[inside]
        inside = words.row[places] == words.row[places + n - 1]
        if n > 2:  # the n-gram without its first word must repeat as well
            inside &= repeats[np.minimum(places + 1, len(repeats) - 1)]
        places, keys = places[inside], keys[inside]
        if not len(places):
            break
        keys = mix(keys * STEP + scattered[words.codes[places + n - 1]])
        order, starts = _groups(keys)
        sizes = np.diff(starts, append=len(order))
        if n in TOP:
            chosen = _top(words, letters, n, places[np.minimum.reduceat(order, starts)], sizes)
            of_top = np.repeat(chosen, sizes)
            found[f"top_{n}gram"] = _covered(words, letters, n, places[order[of_top]])
        else:
            again = np.ones(len(places), bool)
            again[np.minimum.reduceat(order, starts)] = False
            found[f"duplicate_{n}grams"] = _covered(words, letters, n, places[again])
        repeated = np.zeros(len(places), bool)
        repeated[order[np.repeat(sizes > 1, sizes)]] = True
        places, keys = places[repeated], keys[repeated]
    return found


def _top(words: Words, letters: np.ndarray, n: int, firsts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which groups are their row's most frequent n-gram (then the longest, then the first), bool [groups]."""
    total = np.concatenate([[0.0], np.cumsum(letters)])
    length = total[firsts + n] - total[firsts]
    order = np.lexsort((firsts, -length, -sizes, words.row[firsts]))
    rows = words.row[firsts][order]
    best = order[np.flatnonzero(np.diff(rows, prepend=-1))]
    chosen = np.zeros(len(firsts), bool)
    chosen[best[sizes[best] > 1]] = True
    return chosen


def _covered(words: Words, letters: np.ndarray, n: int, places: np.ndarray) -> np.ndarray:
    """Characters a row of the words inside the n-grams at ``places``, each word counted once."""
    covered = np.zeros(len(words.codes), bool)
    for ahead in range(n):
        covered[places + ahead] = True
    return words.count(covered, letters)
