"""Documents on lists of what must not be used: URLs, domains, document ids, digests of texts."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from seedstock.config import Config
from seedstock.corpus.rights.lists import LISTS, recorded
from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LONGEST = 1 << 16  # bytes of a line


class ExclusionList(Config):
    """A file, folder or glob of one entry a line, plain or compressed, and what an entry is; ``#`` begins a comment.

    ``url``     without scheme and fragment; case of the host and a slash at the end make no difference
    ``domain``  with everything below it
    ``id``      of a document, in hexadecimal
    ``text``    the SHA-256 of a text, in hexadecimal (``text_sha256``), or of its raw bytes (``raw_sha256``)
    """

    path: str
    kind: Literal["url", "domain", "id", "text"] = "domain"
    reason: str = ""
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _digest(cls, values: Any) -> Any:
        return recorded(values, "path", LISTS, "signal 'excluded'")


class Excluded(Signal):
    """Whether a document is on one of the ``lists``: the first that holds it.

    excluded, by (url, domain, id, text), reason (the list's own, or its name), list (the file's name), and sha256, the
    list's digest, which is part of the configuration too: what was excluded can be told from the record.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {
        "excluded": "bool", "by": "string", "reason": "string", "list": "string", "sha256": "string",
    }  # fmt: skip
    kind: Literal["excluded"] = "excluded"
    lists: Annotated[tuple[ExclusionList, ...], Field(min_length=0)] = ()

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Looks up the documents of a batch in every list."""
        import numpy as np

        rows: list[tuple[str, str, str, str] | None] = [None] * len(batch)
        keys = {kind: _keys(batch, kind) for kind in {one.kind for one in self.lists}}
        for one in self.lists:
            row, hashes = keys[one.kind]
            held = _held(_load(one.path, one.kind, one.sha256), hashes)
            name = Path(one.path).name
            for at in np.unique(row[held]).tolist():
                rows[at] = rows[at] or (one.kind, one.reason or f"on the list {name}", name, one.sha256 or "")
        names = ("by", "reason", "list", "sha256")
        columns = {name: [row[at] if row else None for row in rows] for at, name in enumerate(names)}
        return self.batch(excluded=[row is not None for row in rows], **columns)


@cache
def _load(path: str, kind: str, sha256: str | None) -> np.ndarray:
    """The hashes of a list's entries, ascending: eight bytes an entry, however long the list is."""
    import numpy as np

    from seedstock.corpus.sources.files import find, problem, stream
    from seedstock.errors import DataError

    found = bytearray()
    for file in find(path, LISTS, "signal 'excluded'"):
        try:
            with stream(file.path) as opened:
                while line := opened.readline(LONGEST):
                    text = line.strip() if kind == "url" else line.partition(b"#")[0].strip()
                    if text and not text.startswith(b"#") and (entry := _normal(text.decode(), kind)):
                        found += _hash(entry)
        except (OSError, ValueError) as error:
            raise DataError(
                f"cannot be read as a list: {problem(error)}",
                where=f"signal 'excluded': {file.name}",
                fix="give plain text, UTF-8, an entry a line",
            ) from error
    return np.unique(np.frombuffer(bytes(found), np.uint64))


def _hash(entry: str) -> bytes:
    return hashlib.blake2b(entry.encode(), digest_size=8).digest()


def _held(known: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    import numpy as np

    if not len(known) or not len(hashes):
        return np.zeros(len(hashes), bool)
    return known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes


def _normal(text: str, kind: str) -> str:
    """An entry as it is compared."""
    if kind == "url":
        return _url(text)
    text = text.lower().strip()
    return text.removeprefix("*.").strip(".") if kind == "domain" else text.removeprefix("sha256:")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        host = (parts.hostname or "").removeprefix("www.")
        port = f":{parts.port}" if parts.port and parts.port not in (80, 443) else ""
    except ValueError:
        return text
    return f"{host}{port}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")


def _keys(batch: pa.RecordBatch, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(row, hash) of everything that an entry of a kind could be compared with."""
    import numpy as np

    rows: list[int] = []
    hashes = bytearray()
    columns = {"id": ("id",), "text": ("text_sha256", "raw_sha256")}.get(kind, ("url",))
    for column in columns:
        if column not in batch.schema.names:
            continue
        for row, value in enumerate(batch.column(column).to_pylist()):
            for entry in _entries(value, kind) if value else ():
                rows.append(row)
                hashes += _hash(entry)
    return np.array(rows, np.int64), np.frombuffer(bytes(hashes), np.uint64)


def _entries(value: Any, kind: str) -> list[str]:
    if kind == "url":
        return [_url(value)]
    if kind != "domain":
        return [value.hex() if isinstance(value, bytes) else str(value).lower()]
    try:
        host = (urlsplit(value if "//" in value else f"//{value}").hostname or "").strip(".")
    except ValueError:
        return []
    labels = host.split(".")[-32:]
    return [".".join(labels[at:]) for at in range(len(labels))]
