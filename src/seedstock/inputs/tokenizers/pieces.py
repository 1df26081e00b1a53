"""Cutting text where no word of the BPE pattern crosses, so that pieces can be encoded apart, and once each.

``PATTERN`` says what a word is, for the merges. A cut is safe where every word ends, whatever stands on either side:

- between an ASCII letter or digit and ASCII that is neither: no alternative holds a letter or digit and then that;
- between ASCII punctuation and a space or tab: as before;
- before a space that a non-space follows: the space begins a word (or, before a digit, is one);
- between a line feed and a non-space: words that hold line feeds end with them.

No alternative looks to its left, and only ``\\s+(?!\\S)`` looks to its right, from white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Contractions; letters with their marks, with one leading sign; one or two digits; signs and the line ends after them;
# line ends; indentation but for its last space; other space. After GPT-4's pattern, with marks kept on their letters
# and two digits instead of three, which suits small vocabularies.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

LIMIT = 64  # characters that a repetition takes at most where words are bounded


def bounded(pattern: str = PATTERN, limit: int = LIMIT) -> str:
    """The pattern with no word longer than a few times ``limit`` characters: for models that are slow on long words."""
    return pattern.replace("+(?!", f"{{1,{limit}}}(?!").replace("+", f"{{1,{limit}}}").replace("*", f"{{0,{limit}}}")


_SIGNS = r"!-/:-@\[-`{-~"
_PIECE = re.compile(
    r" ?[A-Za-z0-9]++(?![^\x00-\x7f])"
    rf"| ?[{_SIGNS}]++(?:[A-Za-z0-9]++(?![^\x00-\x7f])|(?=[ \t]))"
    r"|[ \t\r\n]+(?= [!-~\w])"
    r"|(?s:.+?)(?= [!-~\w]|(?<=\n)(?=[!-~\w])|\Z)"
)
_LINE = re.compile(r"(?<=\n)(?=[!-~\w])")


def pieces(text: str) -> list[str]:
    """Cuts text into small pieces at safe places; they join to the text, and their tokens to its tokens."""
    return _PIECE.findall(text)


def chunks(text: str, size: int) -> Iterator[str]:
    """Cuts text into chunks of at least ``size`` characters (the last one less) at line starts that are safe."""
    begin = 0
    while len(text) - begin > size:
        cut = _LINE.search(text, begin + size)
        if cut is None:
            break
        yield text[begin : cut.start()]
        begin = cut.start()
    yield text[begin:]
