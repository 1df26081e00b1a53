"""Which code points are letters, numbers and spaces, asked of the library that cuts the words."""

from __future__ import annotations

from functools import cache

import numpy as np

SIGN, LETTER, NUMBER, SPACE, LINE = range(5)
KINDS = {LETTER: r"[\p{L}\p{M}]", NUMBER: r"\p{N}", SPACE: r"\s"}
# The planes that hold letters, marks, numbers or spaces; the rest of Unicode is unassigned or private.
_PLANES = (0, 1, 2, 3, 14)


@cache
def classes() -> np.ndarray:
    """The class of each code point, uint8 ``[0x110000]``: LETTER with its marks, NUMBER, SPACE, LINE (ends), SIGN."""
    from tokenizers import Regex, pre_tokenizers

    either = "|".join(f"{pattern}+" for pattern in KINDS.values())
    runs = pre_tokenizers.Split(Regex(either), "isolated")
    points = np.concatenate([np.arange(plane << 16, (plane + 1) << 16) for plane in _PLANES])
    points = points[(points < 0xD800) | (points > 0xDFFF)]
    text = points.astype("<u4").tobytes().decode("utf-32-le")
    found = runs.pre_tokenize_str(text)
    first = "".join(piece[0] for piece, _ in found)
    kind = np.full(len(found), SIGN, np.uint8)
    for number, pattern in KINDS.items():
        others = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(first)
        own = np.ones(len(found), bool)
        for _, (begin, end) in others:
            own[begin:end] = False
        kind[own] = number
    table = np.zeros(0x110000, np.uint8)
    table[points] = np.repeat(kind, [end - begin for _, (begin, end) in found])
    table[[0x0A, 0x0D]] = LINE
    return table
