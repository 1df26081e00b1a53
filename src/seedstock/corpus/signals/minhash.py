"""MinHash signatures as columns beside the documents: dedup groups them, and later corpora compare with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 0x5EED  # of the permutations; one for all corpora, or they could not be compared with each other


class MinHashSignature(Signal):
    """``signature``: the lower 16 bits of each minimum, little-endian; null for a text of fewer words than a shingle.

    Added by the dedup step that needs it; it stands in no policy.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"signature": "binary"}
    kind: Literal["minhash"] = "minhash"
    shingle: int
    permutations: int

    @property
    def name(self) -> str:
        """``minhash-5-112``: signatures of other settings are other columns."""
        return f"{self.kind}-{self.shingle}-{self.permutations}"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Signs a batch."""
        import numpy as np
        import pyarrow as pa

        from seedstock.corpus.dedup import minhash

        rows, found = minhash.signatures(batch.column("text"), self.shingle, self.permutations, SEED)
        lengths = np.zeros(batch.num_rows + 1, np.int32)
        lengths[rows + 1] = 2 * self.permutations
        has = np.zeros(batch.num_rows, bool)
        has[rows] = True
        data = np.ascontiguousarray(found.astype("<u2"))
        array = pa.Array.from_buffers(
            pa.binary(),
            batch.num_rows,
            [pa.array(has).buffers()[1], pa.py_buffer(np.cumsum(lengths, dtype=np.int32)), pa.py_buffer(data)],
        )
        return self.batch(signature=array)


def signal_of(step: Any) -> MinHashSignature:
    """The signal that a MinHash step reads."""
    return MinHashSignature(shingle=step.shingle, permutations=step.permutations)
