"""Append-only records, each holding the digest of the one before it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedstock.errors import IntegrityError
from seedstock.ledger.canonical import canonical
from seedstock.ledger.files import plain_errors
from seedstock.ledger.ids import sha256

FORMAT = 1
GENESIS = "0" * 64


class Chain:
    """A file of JSON lines ``{format, number, previous, kind, body, digest}``, synced at each append.

    Opening a chain reads it whole and raises IntegrityError, with the line, where a record was altered, removed or
    reordered. A last line without its end is a crash during an append: nothing followed it, so it is not counted
    (``torn`` tells), and the next append removes it. Several processes may hold a chain open: an append waits for
    the others and first reads what they added.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.records: list[dict[str, Any]] = []
        self.torn = False
        self._whole = self._size = 0
        if self.path.exists():
            self._read()

    @property
    def head(self) -> str:
        """The digest of the last record."""
        return self.records[-1]["digest"] if self.records else GENESIS

    def append(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Adds a record durably and returns it."""
        with plain_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._catch_up(os.fstat(file.fileno()).st_size)
                record = {
                    "format": FORMAT,
                    "number": len(self.records),
                    "previous": self.head,
                    "kind": kind,
                    "body": body,
                }
                record["digest"] = sha256(canonical(record))
                line = canonical(record) + b"\n"
                start = self._whole
                os.ftruncate(file.fileno(), start)
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), start)
                    raise
                self.records.append(record)
                self._whole = self._size = start + len(line)
                self.torn = False
        return record

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """The bodies of all records of one kind, oldest first."""
        return (record["body"] for record in self.records if record["kind"] == kind)

    def last(self, kind: str) -> dict[str, Any] | None:
        """The body of the newest record of one kind."""
        return next((record["body"] for record in reversed(self.records) if record["kind"] == kind), None)

    def _catch_up(self, size: int) -> None:
        """Reads what another process appended since; its records must follow from ours."""
        if size == self._size:
            return
        count, head = len(self.records), self.head
        self._read()
        if len(self.records) < count or (count and self.records[count - 1]["digest"] != head):
            raise IntegrityError("the ledger was replaced while in use", where=self.path, fix="start again")

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        self.records = []
        for number, line in enumerate(whole.split(b"\n")[:-1]):
            where = f"{self.path}:{number + 1}"
            try:
                record = json.loads(line)
                claimed = record.pop("digest")
            except (ValueError, KeyError, AttributeError, TypeError):
                raise IntegrityError("not a record", where=where, fix="restore the ledger from a copy") from None
            # The bytes are compared too: JSON has several spellings of one value (1e5, 1E5).
            if claimed != sha256(canonical(record)) or canonical(record | {"digest": claimed}) != line:
                raise IntegrityError("the record was altered", where=where, fix="restore the ledger from a copy")
            if record["previous"] != self.head or record["number"] != number:
                raise IntegrityError("a record before it is gone", where=where, fix="restore the ledger from a copy")
            self.records.append(record | {"digest": claimed})
        self._whole, self._size = len(whole), len(data)
        self.torn = len(whole) != len(data)
