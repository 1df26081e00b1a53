"""The line statistics of FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.6 and appendix E)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SHORT = 30  # characters
# What ends a sentence, in the scripts that mark it, and what may close behind it.
ENDS = ".!?…‥。！？｡．؟۔।॥։።፧။។៕།༎᠃᱾꓿჻‼⁇⁈⁉"
CLOSING = "\"'”’»›)]}」』）】》〉*_"


class FineWeb(Signal):
    """Lines that tell paragraphs from menus, lists and boilerplate; lines of white space alone do not count.

    punctuated_lines      lines that end a sentence, in any script, closing quotes and brackets aside
    short_lines           lines of at most 30 characters
    duplicate_characters  characters in lines that occurred before, of all characters but line feeds
    line_breaks           line feeds for each word

    The paper drops pages with punctuated_lines of 0.12 or less, duplicate_characters of 0.01 or more, and short_lines
    of 0.67 or more; datatrove also those with line_breaks above 0.3. An empty text has zeros.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {
        "punctuated_lines": "float32",
        "short_lines": "float32",
        "duplicate_characters": "float32",
        "line_breaks": "float32",
    }
    kind: Literal["fineweb"] = "fineweb"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measures a batch, a few texts at a time."""
        import numpy as np

        from seedstock.corpus.words import pieces

        found = [_measure(piece) for piece in pieces(batch.column("text"))]
        return self.batch(
            **{name: np.concatenate([part[name] for part in found]) if found else [] for name in self.columns}
        )


def _measure(text: pa.Array) -> dict[str, np.ndarray]:
    import re

    import numpy as np
    import pyarrow.compute as pc

    from seedstock.corpus.words import share

    rows = len(text)
    split = pc.split_pattern(text, "\n")
    row = pc.list_parent_indices(split).to_numpy()
    lines = pc.utf8_trim_whitespace(split.flatten())
    full = pc.greater(pc.binary_length(lines), 0)
    lines, row = lines.filter(full), row[full.to_numpy(zero_copy_only=False)]
    characters = pc.utf8_length(lines).to_numpy(zero_copy_only=False)
    # A sentence's end is looked for in the line's last characters alone: lines may be long.
    tail = pc.utf8_slice_codeunits(lines, -8)
    ends = pc.match_substring_regex(tail, f"[{re.escape(ENDS)}][{re.escape(CLOSING)}]*$").to_numpy(zero_copy_only=False)
    codes = lines.dictionary_encode().indices.to_numpy().astype(np.int64)
    keys = row.astype(np.int64) * (int(codes.max(initial=0)) + 1) + codes
    _, first = np.unique(keys, return_index=True)
    again = np.ones(len(keys), bool)
    again[first] = False
    counts = np.bincount(row, minlength=rows)
    breaks = pc.count_substring(text, "\n").to_numpy(zero_copy_only=False)
    everything = pc.utf8_length(text).to_numpy(zero_copy_only=False) - breaks
    words = np.bincount(row, pc.list_value_length(pc.utf8_split_whitespace(lines)).to_numpy(), rows)
    return {
        "punctuated_lines": share(np.bincount(row, ends, rows), counts),
        "short_lines": share(np.bincount(row, characters <= SHORT, rows), counts),
        "duplicate_characters": share(np.bincount(row, characters * again, rows), everything),
        "line_breaks": share(breaks, words),
    }
