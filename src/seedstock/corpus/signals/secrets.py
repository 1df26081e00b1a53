"""Credentials in text, as spans to redact. What is found is never written anywhere but as offsets and a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa


class Secrets(Signal):
    """Spans of private keys, tokens of known services and passwords, with their kinds, and how many there are.

    Each find is validated (checksum, decoding, alphabet, entropy), so that examples and placeholders stay. See
    ``secret_patterns`` for the list.
    """

    version: ClassVar[int] = 2
    columns: ClassVar[dict[str, str]] = {"spans": "spans", "kinds": "strings", "count": "int32"}
    kind: Literal["secrets"] = "secrets"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Finds the secrets of each text of a batch."""
        from seedstock.corpus.signals.secret_patterns import ANCHORS, find
        from seedstock.corpus.utf8 import matching, spans

        text = batch.column("text")
        found = {row: find(text[row].as_py().encode()) for row in matching(text, ANCHORS)}
        kinds = [[kind for _, _, kind in found.get(row, [])] for row in range(len(batch))]
        pairs = {row: [(start, end) for start, end, _ in secrets] for row, secrets in found.items()}
        return self.batch(spans=spans(len(batch), pairs), kinds=kinds, count=[len(row) for row in kinds])
