"""What the cleaning of C4 looks at (Raffel et al. 2020, arXiv:1910.10683, section 2.2), as shares of lines.

The paper removes lines and pages; here only the finding is recorded, and the policy decides. Its bad-word list and its
three-sentence deduplication are not part of this signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.words import Words

TERMINAL = r"[.!?\"”]$"
ELLIPSIS = r"\.\.\.$"
SENTENCE_END = r"[.!?][\"'”’)\]]*$"
NOTICES = (
    ("terms", "of", "use"),
    ("privacy", "policy"),
    ("cookie", "policy"),
    ("uses", "cookies"),
    ("use", "of", "cookies"),
    ("use", "cookies"),
)


class C4(Signal):
    """Shares of lines, and marks of pages that are not prose.

    terminal_lines    lines that end with a full stop, exclamation mark, question mark or closing quotation mark
    short_lines       lines of fewer than three words
    javascript_lines  lines with the word JavaScript
    policy_lines      lines that speak of terms of use, a privacy policy or cookies
    sentences         words that end a sentence
    lorem_ipsum, curly_bracket   whether the text holds one
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {
        "terminal_lines": "float32",
        "short_lines": "float32",
        "javascript_lines": "float32",
        "policy_lines": "float32",
        "sentences": "int64",
        "lorem_ipsum": "bool",
        "curly_bracket": "bool",
    }
    kind: Literal["c4"] = "c4"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measures a batch, a few texts at a time."""
        import numpy as np
        import pyarrow.compute as pc

        from seedstock.corpus.words import pieces, split

        text = batch.column("text")
        found = [_lines(split(piece)) for piece in pieces(text)]
        counted = {name: np.concatenate([part[name] for part in found]) for name in found[0]} if found else {}
        return self.batch(
            **{name: counted.get(name, []) for name in self.columns}
            | {
                "lorem_ipsum": pc.match_substring(text, "lorem ipsum", ignore_case=True),
                "curly_bracket": pc.match_substring(text, "{"),
            }
        )


def _lines(words: Words) -> dict[str, Any]:
    import numpy as np

    from seedstock.corpus.words import share

    lines = words.count_lines()
    terminal = words.matches(TERMINAL) & ~words.matches(ELLIPSIS)
    script = _lines_with(words, words.matches("(?i)javascript")[words.codes])
    return {
        "terminal_lines": share(words.count_lines(words.last(terminal)), lines),
        "short_lines": share(words.count_lines(np.diff(words.starts) < 3), lines),
        "javascript_lines": share(words.count_lines(script), lines),
        "policy_lines": share(words.count_lines(_lines_with(words, _notices(words))), lines),
        "sentences": words.count(words.matches(SENTENCE_END)[words.codes]).astype(np.int64),
    }


def _lines_with(words: Words, chosen: Any) -> Any:
    """Lines that hold a chosen word, bool [lines]."""
    import numpy as np

    lines = np.zeros(len(words.line_row), bool)
    lines[words.line[chosen]] = True
    return lines


def _notices(words: Words) -> Any:
    """Words that begin one of the notices, all of it in the same line, bool [words]."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    known = sorted({word for phrase in NOTICES for word in phrase})
    bare = pc.ascii_trim(pc.ascii_lower(words.vocabulary), ".,;:!?\"'()[]")
    number = pc.fill_null(pc.index_in(bare, pa.array(known, pa.large_string())), -1).to_numpy()[words.codes]
    found = np.zeros(len(number), bool)
    places = np.flatnonzero(number >= 0)
    for phrase in NOTICES:
        at = places[places + len(phrase) <= len(number)]
        for ahead, word in enumerate(phrase):
            same_line = words.line[at + ahead] == words.line[at]
            at = at[same_line & (number[at + ahead] == known.index(word))]
        found[at] = True
    return found
