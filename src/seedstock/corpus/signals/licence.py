"""The licence of each document as an SPDX expression, with the evidence."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.corpus.rights.stated import tagged, together
from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

# Before a text's own words are compared with those of licences.
_WORDS = r"(?i)licen[sc]e|permission is hereby|permission to use|redistribution|public domain|warranty"


class Licence(Signal):
    """What a document is licensed under.

    expression  SPDX expression in the licence list's spelling; null where none is declared or it is not understood
    declared    what the source declared, where it is no SPDX expression; null otherwise
    evidence    where the expression comes from

    What a document says of itself takes the place of what its source or package declares: ``SPDX-License-Identifier``
    tags in its first ``header`` characters, or the licence marks of the page that it was (``rights`` in its meta).
    Several all bind (AND). A licence's text or notice in the first ``header`` characters (``texts: false`` leaves it
    out) may be a quotation: it stands where nothing else does, and binds beside what is declared.
    """

    version: ClassVar[int] = 2
    columns: ClassVar[dict[str, str]] = {"expression": "string", "declared": "string", "evidence": "string"}
    kind: Literal["licence"] = "licence"
    header: Annotated[int, Field(ge=0)] = 4000
    texts: bool = True

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Finds the licence of each document of a batch."""
        import pyarrow.compute as pc

        from seedstock.corpus.utf8 import matching

        head = pc.utf8_slice_codeunits(batch.column("text"), 0, self.header)
        own = {
            row: (said, "SPDX-License-Identifier in the text")
            for row in matching(head, "SPDX-License-Identifier:")
            if (said := tagged(head[row].as_py()))
        }
        for row in matching(batch.column("meta"), r'"licences": \['):
            if row not in own and (marked := _marked(batch.column("meta")[row].as_py())):
                own[row] = marked
        texts = {}
        for row in matching(head, _WORDS) if self.texts else ():
            if row not in own and (found := _held(head[row].as_py())):
                texts[row] = found
        declared = batch.column("licence").to_pylist()
        evidence = batch.column("licence_evidence").to_pylist()
        rows = [
            _decide(own.get(row), texts.get(row), *told)
            for row, told in enumerate(zip(declared, evidence, strict=True))
        ]
        return self.batch(
            expression=[row[0] for row in rows], declared=[row[1] for row in rows], evidence=[row[2] for row in rows]
        )


Said = tuple[str, str]  # expression, evidence


def _decide(
    own: Said | None, text: Said | None, declared: str | None, evidence: str | None
) -> tuple[str | None, str | None, str | None]:
    stated = _canonical(declared)
    foreign = declared if declared and not stated else None
    if own:
        differs = f"; its source declares {declared}" if declared and own[0] != stated else ""
        return own[0], foreign, own[1] + differs
    if text and stated is None:
        return text[0], foreign, text[1]
    if text and stated and text[0] != stated and not _names(text[0]) <= _names(stated):
        return together([stated, text[0]]), None, f"{evidence or 'declared'}; {text[1]}"
    return stated, foreign, evidence or None


def _names(expression: str) -> set[str]:
    return {token.strip("()") for token in expression.split()} - {"AND", "OR", "WITH"}


def _marked(meta: str) -> Said | None:
    """What the marks of a page say (``rights.marks``)."""
    rights = json.loads(meta).get("rights")
    marks = rights.get("licences") if isinstance(rights, dict) else None
    pairs = [(_canonical(mark[0]), mark[1]) for mark in marks or () if isinstance(mark, list) and len(mark) == 2]
    known = {name: str(where) for name, where in pairs if name}
    return (together(list(known)), ", ".join(dict.fromkeys(known.values()))) if known else None


def _held(head: str) -> Said | None:
    """The licences whose text or notice the head of a document holds."""
    from seedstock.corpus.rights.licence_text import identify

    found = identify(head)
    if not found:
        return None
    how = {"text": "the text of", "contained": "holds the text of", "notice": "says that it is under"}
    evidence = ", ".join(f"{how[one.how]} {one.name} ({one.score:.0%})" for one in found)
    return together(list(dict.fromkeys(one.name for one in found))), evidence


@lru_cache(maxsize=4096)
def _canonical(text: str | None) -> str | None:
    from seedstock.corpus.signals.spdx import canonical

    return canonical(text)
