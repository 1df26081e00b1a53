"""The licence of each document as an SPDX expression, with the evidence."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

# In a header the tag stands at the start of a line, after what opens a comment; in prose and code it may be a mention.
_TAG = re.compile(
    r"(?m)^[ \t]*(?:[#;%*\"'-]+|//+|/\*+|<!--|\.\.|dnl|REM)?[ \t]*SPDX-License-Identifier:[ \t]*([^\n]{1,200})"
)
_COMMENT_END = re.compile(r"\s*(\*/|-->|\*\)|\"\"\"|'''|[\"'])?\s*$")


class Licence(Signal):
    """What a document is licensed under.

    expression  SPDX expression in the licence list's spelling; null where none is declared or it is not understood
    declared    what the source declared, where it is no SPDX expression; null otherwise
    evidence    where the expression comes from

    A file's own ``SPDX-License-Identifier`` tags (in its first ``header`` characters) say more than what its package
    declares, and take its place; several different tags all bind (AND).
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"expression": "string", "declared": "string", "evidence": "string"}
    kind: Literal["licence"] = "licence"
    header: Annotated[int, Field(ge=0)] = 4000

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Finds the licence of each document of a batch."""
        import pyarrow.compute as pc

        from seedstock.corpus.utf8 import matching

        head = pc.utf8_slice_codeunits(batch.column("text"), 0, self.header)
        tagged = {row: _tags(head[row].as_py()) for row in matching(head, "SPDX-License-Identifier:")}
        declared = batch.column("licence").to_pylist()
        evidence = batch.column("licence_evidence").to_pylist()
        rows = [_decide(tagged.get(row), *told) for row, told in enumerate(zip(declared, evidence, strict=True))]
        return self.batch(
            expression=[row[0] for row in rows], declared=[row[1] for row in rows], evidence=[row[2] for row in rows]
        )


def _decide(
    tagged: str | None, declared: str | None, evidence: str | None
) -> tuple[str | None, str | None, str | None]:
    stated = _canonical(declared)
    foreign = declared if declared and not stated else None
    if tagged:
        differs = f"; its package declares {declared}" if declared and tagged != stated else ""
        return tagged, foreign, f"SPDX-License-Identifier in the text{differs}"
    return stated, foreign, evidence or None


@lru_cache(maxsize=4096)
def _canonical(text: str | None) -> str | None:
    from seedstock.corpus.signals.spdx import canonical

    return canonical(text)


def _tags(head: str) -> str | None:
    """The expression of a header's tags, or None where it has none that is understood."""
    found = [_canonical(_COMMENT_END.sub("", match[1]).strip()) for match in _TAG.finditer(head)]
    distinct = list(dict.fromkeys(expression for expression in found if expression))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    return " AND ".join(f"({expression})" if " OR " in expression else expression for expression in distinct)
