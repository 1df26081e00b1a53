"""What a signal is: a versioned, pure function from a batch of documents to new columns beside them.

The smallest signal measures one text at a time (register it under the entry-point group ``seedstock.signals``)::

    class Shouting(Signal):
        kind: Literal["shouting"] = "shouting"
        version: ClassVar[int] = 1
        columns: ClassVar[dict[str, str]] = {"share": "float32"}

        def measure(self, text: str) -> dict[str, Any]:
            letters = [c for c in text if c.isalpha()]
            return {"share": sum(map(str.isupper, letters)) / len(letters) if letters else 0.0}

A fast one overrides ``compute`` and works on the whole Arrow batch; ``self.batch(share=array)`` puts its columns
together. A change of what a signal finds raises ``version``, so that what was computed before is not taken for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from seedstock.config import Config

if TYPE_CHECKING:
    import pyarrow as pa

SPANS = "spans"


class Signal(Config):
    """A signal's configuration and its function.

    ``columns`` names each column with an Arrow type name (``float32``, ``string``, ``bool``, …), ``strings`` for a
    list of strings, or ``spans`` for a list of (start, end) byte offsets in the UTF-8 text.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {}
    kind: str

    @property
    def name(self) -> str:
        """The name that rules use before the dot: ``gopher`` in ``gopher.words``."""
        return self.kind

    def types(self) -> dict[str, str]:
        """The type of each column, by name: ``columns``, unless the configuration decides which there are."""
        return self.columns

    @property
    def most(self) -> int:
        """How many documents ``compute`` is handed at once: few where each takes long, since a worker that is silent
        for ``corpus.timeout`` is taken for stuck."""
        return 256

    def schema(self) -> pa.Schema:  # type: ignore[override] # pydantic's deprecated method of this name
        """The Arrow schema of the new columns."""
        import pyarrow as pa

        return pa.schema([pa.field(name, _type(text)) for name, text in self.types().items()])

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The new columns of ``batch``, row by row.

        ``batch`` has the columns of documents/, at least ``text`` (large_string, no nulls), ``licence``,
        ``licence_evidence``, ``locator``, ``source``, ``domain`` and ``meta``.
        """
        found = [self.measure(text.as_py()) for text in batch.column("text")]
        return self.batch(**{name: [row[name] for row in found] for name in self.columns})

    def measure(self, text: str) -> dict[str, Any]:
        """The columns' values for one text; for signals that do not override ``compute``."""
        raise NotImplementedError(f"{type(self).__name__} has neither compute nor measure")

    def batch(self, **columns: Any) -> pa.RecordBatch:
        """A record batch of the signal's schema from arrays, numpy arrays or lists, one a column."""
        import pyarrow as pa

        schema = self.schema()
        arrays = [
            values.cast(field.type) if isinstance(values, pa.Array) else pa.array(values, field.type)
            for field, values in ((field, columns[field.name]) for field in schema)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def span_type() -> pa.DataType:
    """Arrow's type of a span column: ``list<struct<start: int64, end: int64>>``."""
    import pyarrow as pa

    return pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))


def _type(text: str) -> pa.DataType:
    import pyarrow as pa

    if text == SPANS:
        return span_type()
    return pa.list_(pa.string()) if text == "strings" else pa.type_for_alias(text)
