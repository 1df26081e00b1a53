"""Digests, and the keyed ids of documents.

An id under a key that lies outside the runs says nothing to somebody who guesses at a text: chained records can
outlive the documents they speak of.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from seedstock.errors import SeedstockError
from seedstock.ledger.canonical import canonical

ID_BYTES = 16


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(record: object) -> str:
    """Hexadecimal SHA-256 of a record's canonical bytes."""
    return sha256(canonical(record))


def keyed(key: bytes, purpose: str, *parts: bytes) -> bytes:
    """A 16-byte keyed digest (BLAKE2b, RFC 7693) of ``parts``, each preceded by its length, for one purpose."""
    state = hashlib.blake2b(key=key, digest_size=ID_BYTES, person=purpose.encode()[:16])
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def document_id(key: bytes, source: str, locator: str, raw: bytes) -> bytes:
    """The id of a document: made from its source, its place there and its raw content, under the project's key."""
    return keyed(key, "document", source.encode(), locator.encode(), raw)


def project_key() -> bytes:
    """The project's 32-byte key: ``SEEDSTOCK_KEY`` (64 hexadecimal digits), or a file made at first use.

    The file is ``$SEEDSTOCK_HOME/key`` (default ``~/.config/seedstock/key``), readable by its owner alone.
    """
    if text := os.environ.get("SEEDSTOCK_KEY"):
        return _parse(text, "the environment variable SEEDSTOCK_KEY")
    home = Path(os.environ.get("SEEDSTOCK_HOME") or Path.home() / ".config" / "seedstock")
    path = home / "key"
    try:
        home.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        except FileExistsError:
            pass
        return _parse(path.read_text(), path)
    except OSError as error:
        raise SeedstockError(
            f"the project's key cannot be read or made: {error.strerror or error}",
            where=path,
            fix="set SEEDSTOCK_KEY to 64 hexadecimal digits, or SEEDSTOCK_HOME to a folder that can be written",
        ) from error


def _parse(text: str, where: object) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SeedstockError("the project's key is not 64 hexadecimal digits", where=where, fix="restore the key")
    return key
