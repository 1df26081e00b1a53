"""Gopher's statistics over many texts at once: counts by the native kernel, or by numpy, and shares of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from seedstock import native
from seedstock.corpus import letters
from seedstock.corpus.signals.gopher import DUPLICATE, LONGEST, TOP
from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import pieces, share

# The counts of a text, in the order of native/gopher.c. Characters leave white space out; ``again`` is what repeats
# something before it; n-grams count the characters inside them, each once; ``head`` is the first LONGEST words.
COUNTS = (
    "words",
    "characters",
    "hashes",
    "ellipses",
    "alphabetic",
    "stop_words",
    "lines",
    "bullets",
    "ellipsis_lines",
    "again_lines",
    "again_line_characters",
    "paragraphs",
    "again_paragraphs",
    "again_paragraph_characters",
    "head_characters",
    *(f"top_{n}gram" for n in TOP),
    *(f"duplicate_{n}grams" for n in DUPLICATE),
)


def measure(text: pa.Array) -> dict[str, np.ndarray]:
    """Every column of the signal for a large_string array."""
    found = counts(text)
    words, lines, characters, paragraphs = (found[name] for name in ("words", "lines", "characters", "paragraphs"))
    return {
        "words": words,
        "mean_word_length": share(characters, words),
        "hash_ratio": share(found["hashes"], words),
        "ellipsis_ratio": share(found["ellipses"], words),
        "bullet_lines": share(found["bullets"], lines),
        "ellipsis_lines": share(found["ellipsis_lines"], lines),
        "alphabetic_words": share(found["alphabetic"], words),
        "stop_words": found["stop_words"],
        "duplicate_lines": share(found["again_lines"], lines),
        "duplicate_line_characters": share(found["again_line_characters"], characters),
        "duplicate_paragraphs": share(found["again_paragraphs"], paragraphs),
        "duplicate_paragraph_characters": share(found["again_paragraph_characters"], characters),
        **{name: share(found[name], found["head_characters"]) for name in COUNTS if "gram" in name},
    }


def counts(text: pa.Array) -> dict[str, np.ndarray]:
    """The counts of each text, int64 [texts]; the same numbers whichever kernel there is."""
    kernels = native.kernels()
    if kernels is None:
        from seedstock.corpus.signals import gopher_numpy

        found = [gopher_numpy.counts(piece, LONGEST) for piece in pieces(text)]
        return {name: np.concatenate([part[name] for part in found]) if found else _NONE for name in COUNTS}
    data, offsets = raw(text)
    out = np.empty((len(text), len(COUNTS)), np.int64)
    kernels.gopher(data, offsets, len(text), letters.bits(), LONGEST, out)
    return dict(zip(COUNTS, out.T, strict=True))


_NONE = np.zeros(0, np.int64)
