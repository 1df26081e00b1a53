"""The table of documents: its columns, and how what a source yields becomes its rows."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from seedstock.corpus.sources.base import Item, Source, Unreadable
from seedstock.ledger.ids import ID_BYTES, document_id

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.extract.spans import SpanMap

FORGOTTEN = "forgotten"
CHUNK = 2**20  # bytes of text that are held as Python objects, which take several times the room


@cache
def schema() -> pa.Schema:
    """Arrow schema of documents/."""
    import pyarrow as pa

    plain = ("source", "locator", "url", "licence", "licence_evidence", "domain", "title", "meta")
    return pa.schema(
        [
            ("id", pa.binary(ID_BYTES)),
            *((name, pa.string()) for name in plain),
            ("raw_sha256", pa.binary(32)),
            ("text_sha256", pa.binary(32)),
            ("bytes", pa.int64()),
            ("text", pa.large_string()),
        ]
    )


@cache
def media_schema() -> pa.Schema:
    """Arrow schema of media/."""
    import pyarrow as pa

    return pa.schema([("id", pa.binary(ID_BYTES)), ("media_type", pa.string()), ("bytes", pa.large_binary())])


@dataclass
class Rows:
    """Documents and failures of a piece of a source, in the order of reading."""

    ids: list[bytes] = field(default_factory=list)
    chunks: list[pa.RecordBatch] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in schema().names})
    held: int = 0  # bytes of text in the columns, which are not in a chunk yet
    media: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    maps: dict[int, SpanMap] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    bytes: int = 0  # of text and media

    def __len__(self) -> int:
        return len(self.ids)

    def append(self, values: dict[str, Any]) -> None:
        """Adds a row."""
        for name, value in values.items():
            self.columns[name].append(value)
        self.ids.append(values["id"])
        self.held += values["bytes"]
        self.bytes += values["bytes"]
        if self.held >= CHUNK:
            self._flush()

    def table(self) -> pa.Table:
        """The documents as an Arrow table."""
        import pyarrow as pa

        self._flush()
        return pa.Table.from_batches(self.chunks, schema=schema())

    def _flush(self) -> None:
        import pyarrow as pa

        self.chunks.append(pa.RecordBatch.from_pydict(self.columns, schema=schema()))
        self.columns = {name: [] for name in schema().names}
        self.held = 0

    def media_table(self) -> pa.Table | None:
        """The media, row by row beside the documents and null where one has none; None where none has any."""
        import pyarrow as pa

        if not self.media:
            return None
        found = [self.media.get(row, (None, None)) for row in range(len(self))]
        kinds, data = ([pair[at] for pair in found] for at in range(2))
        return pa.table({"id": self.ids, "media_type": kinds, "bytes": data}, schema=media_schema())

    def map_table(self) -> pa.Table | None:
        """The maps back to the raw documents, row by row beside them; None where every text is the raw document."""
        from seedstock.corpus.extract import spans

        return spans.table(self.ids, self.maps) if self.maps else None


class Reader:
    """Turns a source's items into rows: decodes, digests, gives ids; ``language`` in the meta is what was declared.

    ``tail`` cuts each document at a character boundary: the last ``tail`` of its characters becomes a second row with
    the same id, and ``part`` in the meta of both ("train", "held_out") with ``span``, their byte offsets in the whole
    text. A document in ``forgotten`` becomes a row that says nothing but its id.
    """

    def __init__(self, source: Source, key: bytes, forgotten: frozenset[bytes] = frozenset(), tail: float = 0.0):
        self.source, self.key, self.forgotten, self.tail = source, key, forgotten, tail

    def rows(self, items: Iterable[Item | Unreadable], limit: int) -> Iterator[Rows]:
        """Rows in pieces of about ``limit`` bytes of text."""
        rows = Rows()
        for item in items:
            self.add(rows, item)
            if rows.bytes >= limit:
                yield rows
                rows = Rows()
        if len(rows) or rows.quarantine:
            yield rows

    def add(self, rows: Rows, item: Item | Unreadable) -> None:
        """Appends a document's row (or two, see ``tail``), or its failure."""
        if isinstance(item, Unreadable):
            rows.quarantine.append(self._failure(item.locator, item.reason))
            return
        try:
            raw, text, spans = _decode(item)
        except (UnicodeError, LookupError, ValueError) as error:
            rows.quarantine.append(self._failure(item.locator, f"not {item.encoding} text: {_reason(error)}"))
            return
        content = raw if item.media is None else raw + hashlib.sha256(item.media).digest()
        number = document_id(self.key, self.source.name, item.locator, content)
        if number in self.forgotten:
            self._append(rows, number, Item(FORGOTTEN, licence="", licence_evidence=""), None, "", {})
        elif not self.tail:
            self._append(rows, number, item, raw, text, item.meta, spans)
        else:
            cut = int(len(text) * (1 - self.tail))
            at, end = len(text[:cut].encode()), len(text.encode())
            for part, piece, span in (("train", text[:cut], [0, at]), ("held_out", text[cut:], [at, end])):
                self._append(rows, number, item, raw, piece, {**item.meta, "part": part, "span": span}, spans)
                item.media = None  # a picture is not cut: it stays with the first part

    def _append(
        self,
        rows: Rows,
        number: bytes,
        item: Item,
        raw: bytes | None,
        text: str,
        meta: dict[str, Any],
        spans: SpanMap | None = None,
    ) -> None:
        source, data = self.source, text.encode()
        own = item.licence is not None
        if language := item.language or (raw is not None and source.language):
            meta = {**meta, "language": language}
        values = {
            "id": number,
            "source": source.name,
            "locator": item.locator,
            "url": item.url,
            "licence": (item.licence or None) if own else source.licence,
            "licence_evidence": (item.licence_evidence or None) if own else _evidence(source, item),
            "domain": item.domain or source.domain or "text",
            "title": item.title,
            "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True, default=str),
            "raw_sha256": bytes(32)
            if raw is None
            else hashlib.sha256(raw if item.media is None else item.media).digest(),
            "text_sha256": hashlib.sha256(data).digest(),
            "bytes": len(data),
            "text": text,
        }
        rows.append(values)
        if spans is not None:
            rows.maps[len(rows) - 1] = spans
        if item.media is not None:
            rows.media[len(rows) - 1] = (item.media_type or "application/octet-stream", item.media)
            rows.bytes += len(item.media)

    def _failure(self, locator: str, reason: str) -> dict[str, Any]:
        return {"source": self.source.name, "locator": locator, "phase": "read", "step": "read", "reason": reason}


def _decode(item: Item) -> tuple[bytes, str, SpanMap | None]:
    """(raw bytes, text, map); strict, so that a wrong encoding is found instead of written into the corpus."""
    if item.text is not None:
        return item.text.encode() if item.raw is None else item.raw, item.text, getattr(item, "map", None)
    if item.raw is None:
        raise ValueError(f"{item.locator} has neither raw bytes nor text")
    text = item.raw.decode(item.encoding)
    kept = text.removeprefix("\ufeff")
    if len(kept) == len(item.raw) and kept.isascii():
        return item.raw, kept, None
    return item.raw, kept, _map(item.raw, kept, item.encoding)


def _map(raw: bytes, text: str, encoding: str) -> SpanMap | None:
    """The map of a text that is all of its raw document, where their bytes differ."""
    data = text.encode()
    if data == raw:
        return None
    from seedstock.corpus.extract import compose
    from seedstock.corpus.extract.encoding import Decoded
    from seedstock.corpus.extract.spans import SpanMap

    if raw.endswith(data):
        return SpanMap.of([(0, len(data), len(raw) - len(data), len(raw))])
    read = Decoded(text, text, codecs.lookup(encoding).name, "declared", 0, 0)
    return compose.bytewise(text, [(0, len(text), 0, len(text))], read, len(raw))


def _evidence(source: Source, item: Item) -> str | None:
    if source.licence is None:
        return item.licence_evidence
    return source.licence_evidence or f"declared for the source {source.name} in the recipe"


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{error.reason}, byte 0x{error.object[error.start]:02x} at {error.start}"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.reason}, character {error.start}"
    return str(error)
