"""Reads a corpus folder: documents with their decisions, texts with their edits made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus import edits as edits_
from seedstock.errors import DataError, IntegrityError
from seedstock.ledger import manifest
from seedstock.ledger.files import read_json
from seedstock.ledger.ids import digest

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "stratum", "source", "domain", "language", "licence", "url", "locator", "text")


class Corpus:
    """A sealed corpus folder.

    ``strata`` and ``summary`` are the folder's JSON files; ``parts`` are the file names of the parts, in order.
    Raises IntegrityError where a file is missing or damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.strata: list[dict[str, Any]] = read_json(self.folder / "strata.json")
        self.summary: dict[str, Any] = read_json(self.folder / "summary.json")
        self.parts = sorted(path.name for path in (self.folder / "documents").glob("part-*.parquet"))
        self._resolved: tuple[Any, dict[str, Any] | None] = (None, None)  # the document that was last asked for

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What the corpus was made from: sources, configuration, seed."""
        return manifest.read(self.folder).inputs

    def texts(
        self,
        split: str = "train",
        stratum: int | None = None,
        batch: int = 1024,
        parts: Sequence[str] | None = None,
        media: str | None = None,
        scores: Sequence[str] = (),
        more: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        """The kept documents of a split, of one stratum or of some parts, in the order of the corpus, edits made.

        Batches of at most ``batch`` rows with the columns id, stratum, source, domain, language, licence, url, locator
        and text (large_string); ``more`` of those of documents/ (``meta``); with ``media``, the beginning of a MIME
        type, ``media`` (large_binary, null where a document has none of it); and columns of signals by the names of
        ``scores`` (``toxicity.score``), as float32. The order and the rows are the same at every call; one part is held
        in memory. Raises DataError where the corpus has no such signal or column.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        for part in self.parts if parts is None else parts:
            decided = self._table("decisions", part, ["split", "stratum", "language"])
            wanted = pc.equal(decided["split"], split)
            if stratum is not None:
                wanted = pc.and_(wanted, pc.equal(decided["stratum"], stratum))
            rows = np.flatnonzero(wanted.to_numpy(zero_copy_only=False))
            if not len(rows):
                continue
            columns = ["id", "source", "domain", "licence", "url", "locator", "meta", "text"]
            documents = self._table("documents", part, columns).take(rows)
            edited = self._edited(part, documents["id"].to_pylist(), documents["text"], documents["meta"])
            table = documents.set_column(documents.column_names.index("text"), "text", edited)
            for name in ("stratum", "language"):
                table = table.append_column(name, decided[name].take(rows))
            if media is not None:
                table = table.append_column("media", self._media(part, rows, media))
            for name in scores:
                table = table.append_column(name, self._score(name, part).take(rows))
            for start in range(0, table.num_rows, batch):
                wanted_columns = [*COLUMNS, *["media"] * (media is not None), *scores, *more]
                piece = table.slice(start, batch).select(wanted_columns).combine_chunks()
                yield from pa.Table.to_batches(piece)

    def content(self, part: str) -> str:
        """A digest of what the texts of a part follow from: their documents, edits, splits and languages.

        It stays when the corpus grows around the part, and with it the numbers of strata.
        """
        recorded = manifest.read(self.folder).files
        files = [recorded.get(f"{table}/{part}", {}).get("sha256") for table in ("documents", "edits")]
        decided = self._table("decisions", part, ["split", "language"])
        return digest({"files": files, **{name: decided[name].to_pylist() for name in decided.column_names}})

    def document(self, id: bytes | str) -> dict[str, Any] | None:
        """Everything known of a document (id as bytes or hexadecimal), or None where the corpus lacks it.

        The columns of documents/ (``text`` as read, ``meta`` as a dict), ``edited`` (the text with its edits made),
        ``decision`` (dict of decisions/), ``signals`` ({name@version: dict}), ``edits`` (list of dict), ``part`` and
        ``row``. Of a document that was cut in two it is the first part, and ``rest`` lists the others.
        """
        wanted = bytes.fromhex(id) if isinstance(id, str) else bytes(id)
        found = [self._row(part, row) for part, row in self._where("id", wanted)]
        if not found:
            return None
        # The same document can be read twice: the row that was kept is the one to show.
        found.sort(key=lambda entry: entry["decision"]["phase"] == "read")
        rest = [entry for entry in found[1:] if entry["decision"]["phase"] != "read"]
        return found[0] | ({"rest": rest} if rest else {})

    def media(self, id: bytes | str) -> tuple[str, bytes] | None:
        """(MIME type, bytes) of a document's picture, sound or clip, or None where it has none."""
        wanted = bytes.fromhex(id) if isinstance(id, str) else bytes(id)
        for part in self.parts:
            if not (self.folder / "media" / part).exists():
                continue
            ids = self._table("media", part, ["id"])["id"].to_pylist()
            if wanted not in ids:
                continue
            table = self._table("media", part, ["media_type", "bytes"])
            for row, number in enumerate(ids):
                if number == wanted and table["bytes"][row].is_valid:
                    return table["media_type"][row].as_py(), table["bytes"][row].as_py()
        return None

    def resolve(
        self, id: bytes | str, start: int, end: int, split: str | None = None, holds: bytes | None = None
    ) -> list[tuple[int, int]] | None:
        """The ranges of raw bytes that bytes [start, end) of a document's text, as it was trained on, come from.

        Offsets count in the text with its edits made (``texts``), of the row that was kept; of a document that was cut
        in two, in the part of ``split``, or its first. Raw bytes are those that ``raw_sha256`` is of: of a WARC record,
        its body without transfer and content encodings; of a text that a source gives as text, that text. They are
        exact where the map is (see docs/corpus/extraction.md), else whole stretches that hold it. None where the corpus
        lacks the document, or forgot it, or where that part of the text is not ``holds``.
        """
        wanted = bytes.fromhex(id) if isinstance(id, str) else bytes(id)
        if self._resolved[0] != (wanted, split):  # several places of one document are often asked for in a row
            found = self.document(wanted)
            rows = [found, *found.get("rest", [])] if found else []
            chosen = next((row for row in rows if split in (None, row["decision"]["split"])), None)
            self._resolved = ((wanted, split), chosen)
        found = self._resolved[1]
        if found is None or not found["text"]:
            return None
        text = found["edited"].encode()
        start, end = max(0, start), min(end, len(text))
        if holds is not None and text[start:end] != holds:
            return None
        first = found["meta"].get("span", [0])[0] if self._cut else 0
        spans = edits_.unedited(start, end, _relative(found["edits"], first))
        return self._raw(found["part"], found["row"], [(low + first, high + first) for low, high in spans])

    def _raw(self, part: str, row: int, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Byte spans of a row's whole text as bytes of its raw document."""
        if not (self.folder / "maps" / part).exists():
            return spans
        from seedstock.corpus.extract.spans import SpanMap

        record = self._table("maps", part).slice(row, 1).to_pylist()[0]
        if record["text"] is None:
            return spans
        known = SpanMap.read(record)
        return [place for low, high in spans for place in known.resolve(low, high)]

    def find(self, url: str | None = None, locator: str | None = None, source: str | None = None) -> list[bytes]:
        """The ids of all documents with this URL, locator or source (all of those that are given), in order."""
        given = {name: value for name, value in (("url", url), ("locator", locator), ("source", source)) if value}
        if not given:
            return []
        import pyarrow.compute as pc

        found: dict[bytes, None] = {}
        for part in self.parts:
            table = self._table("documents", part, ["id", *given])
            for name, value in given.items():
                table = table.filter(pc.equal(table[name], value))
            found.update(dict.fromkeys(table["id"].to_pylist()))
        return list(found)

    def decisions(self) -> pa.Table:
        """The table of decisions over all parts, with each row's ``part`` (its number)."""
        import pyarrow as pa

        found = [self._table("decisions", part) for part in self.parts]
        numbered = [
            table.append_column("part", pa.array([number] * table.num_rows, pa.int32()))
            for number, table in enumerate(found)
        ]
        return pa.concat_tables(numbered)

    def signals(self) -> list[str]:
        """The signals of the corpus, with their versions ("gopher@1")."""
        return sorted(path.name for path in (self.folder / "signals").glob("*@*"))

    def _score(self, name: str, part: str) -> pa.ChunkedArray:
        """A signal's column of a part as float32, null where a document has none."""
        import pyarrow as pa

        signal, _, column = name.partition(".")
        folders = [found for found in self.signals() if found.partition("@")[0] == signal]
        try:
            return self._table(f"signals/{folders[-1]}", part)[column].cast(pa.float32())
        except (IndexError, KeyError, pa.ArrowException):
            listed = ", ".join(one.partition("@")[0] for one in self.signals()) or "none"
            raise DataError(
                f"the corpus has no numbers {name!r}; its signals: {listed}",
                where=self.folder,
                fix=f"add the signal {signal!r} to corpus.policy.signals",
            ) from None

    def _row(self, part: str, row: int) -> dict[str, Any]:
        document = self._table("documents", part).slice(row, 1).to_pylist()[0]
        signals = {}
        for name in self.signals():
            values = self._table(f"signals/{name}", part).slice(row, 1).to_pylist()[0]
            signals[name] = {key: value for key, value in values.items() if not isinstance(value, bytes)}
        made = self._edits(part).get(document["id"], [])
        document["meta"] = json.loads(document["meta"] or "{}")  # what was forgotten is null
        start = document["meta"].get("span", [0])[0] if self._cut else 0
        own = [edit for edit in made if start <= edit["start"] and edit["end"] <= start + document["bytes"]]
        return {
            **document,
            "edited": edits_.apply(document["text"] or "", _relative(own, start)),
            "decision": {
                key: value
                for key, value in self._table("decisions", part).slice(row, 1).to_pylist()[0].items()
                if key != "id"
            },
            "signals": signals,
            "edits": own,
            "part": part,
            "row": row,
        }

    def _where(self, column: str, value: Any) -> Iterator[tuple[str, int]]:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        for part in self.parts:
            values = self._table("documents", part, [column])[column]
            equal = pc.equal(values, pa.scalar(value, values.type))
            for row in np.flatnonzero(pc.fill_null(equal, False).to_numpy(zero_copy_only=False)):
                yield part, int(row)

    @cached_property
    def _cut(self) -> bool:
        """Whether documents were cut in two, a part for each split."""
        return isinstance(self.inputs["corpus"]["held_out"], dict)

    def _media(self, part: str, rows: Any, kind: str) -> pa.Array:
        """The media of rows of a part, null where they are not of ``kind``; they are read only where one is."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if (self.folder / "media" / part).exists():
            types = self._table("media", part, ["media_type"])["media_type"].take(rows)
            wanted = pc.fill_null(pc.starts_with(types, kind), False)
            if pc.any(wanted).as_py():
                data = self._table("media", part, ["bytes"])["bytes"].take(rows)
                return pc.if_else(wanted, data, pa.scalar(None, pa.large_binary())).combine_chunks()
        return pa.nulls(len(rows), pa.large_binary())

    def _edits(self, part: str) -> dict[bytes, list[dict[str, Any]]]:
        found: dict[bytes, list[dict[str, Any]]] = {}
        for edit in self._table("edits", part).to_pylist():
            found.setdefault(edit.pop("id"), []).append(edit)
        return found

    def _edited(self, part: str, ids: list[bytes], texts: pa.ChunkedArray, meta: pa.ChunkedArray) -> pa.Array:
        import pyarrow as pa

        made = self._edits(part)
        if not made:
            return texts.cast(pa.large_string())
        result = []
        for number, text, about in zip(ids, texts, meta, strict=True):
            value, own, start = text.as_py(), made.get(number, []), 0
            if own and self._cut:
                start, end = json.loads(about.as_py())["span"]
                own = [edit for edit in own if start <= edit["start"] and edit["end"] <= end]
            result.append(edits_.apply(value, _relative(own, start)) if own else value)
        return pa.array(result, pa.large_string())

    def _table(self, name: str, part: str, columns: list[str] | None = None) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / name / part
        try:
            return pq.read_table(path, columns=columns)
        except FileNotFoundError:
            raise IntegrityError("the file is missing", where=path, fix="build this corpus again") from None
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(
                f"not readable as Parquet: {error}", where=path, fix="build this corpus again"
            ) from error


def _relative(made: list[dict[str, Any]], start: int) -> list[tuple[int, int, str]]:
    return [(edit["start"] - start, edit["end"] - start, edit["replacement"]) for edit in made]
