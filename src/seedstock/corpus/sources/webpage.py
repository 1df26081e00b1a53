"""An answer of the web as a document: what its headers say of text and rights."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping
from typing import Any

from seedstock.corpus.sources.base import Item, needs

HTML = ("text/html", "application/xhtml+xml")
TYPES = (*HTML, "text/plain")
# Headers that speak of rights: opt-outs (RFC drafts of AIPREF, TDMRep), licences (Link: rel=license), languages.
RIGHTS = ("x-robots-tag", "content-usage", "tdm-reservation", "tdm-policy", "link", "content-language", "last-modified")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_LONGEST = 2000  # characters of a header that are kept


def decoded(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body without its transfer and content encodings, at most ``limit`` bytes and one (RFC 9110, RFC 9112).

    A body that is not in the encoding that is claimed for it was decoded by its crawler. Raises ValueError where it is
    damaged, or in an encoding that is not known here.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower() and _CHUNK.match(body):
        body = _joined(body)
    for name in reversed(headers.get("content-encoding", "").lower().replace(" ", "").split(",")):
        if name in ("gzip", "x-gzip"):
            body = _inflated(body, 31, limit) if body.startswith(b"\x1f\x8b") else body
        elif name == "deflate":
            body = _inflated(body, 15 if body[:1] == b"\x78" else -15, limit) if body[:1] != b"<" else body
        elif name == "br":
            body = _brotli(body, limit)
        elif name not in ("", "identity"):
            raise ValueError(f"the encoding {name[:40]!r} is not known")
    return body


def _joined(body: bytes) -> bytes:
    parts, at = list[bytes](), 0
    while head := _CHUNK.match(body, at):
        size = int(head[1], 16)
        if not size:
            return b"".join(parts)
        if head.end() + size > len(body):
            break
        parts.append(body[head.end() : head.end() + size])
        at = head.end() + size + 2
    raise ValueError("its chunks break off")


def _inflated(body: bytes, wbits: int, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits)
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof and len(found) <= limit:
        raise ValueError("its compressed content breaks off")
    return found


def _brotli(body: bytes, limit: int) -> bytes:
    from io import BytesIO

    reader = needs("fastwarc.stream_io", "fastwarc, which decodes brotli,", "web").BrotliReader
    try:
        return reader(BytesIO(body)).read(limit + 1)
    except OSError:
        if body.lstrip()[:1] == b"<":
            return body
        raise


def page(
    locator: str,
    body: bytes,
    url: str | None,
    kind: str,
    charset: str | None,
    headers: Mapping[str, str],
    meta: dict[str, Any],
) -> Item:
    """The document of an answer's body; ``headers`` have small names.

    A declared charset that Python knows is the item's encoding, and in the meta.
    """
    meta = {**meta, "content_type": kind}
    if kept := {name: headers[name][:_LONGEST] for name in RIGHTS if headers.get(name)}:
        meta["headers"] = kept
    encoding = "utf-8"
    if charset:
        meta["charset"] = charset
        try:
            encoding = codecs.lookup(charset).name
        except LookupError:
            del meta["charset"]
    media_type = kind if kind in HTML else None
    return Item(locator, raw=body, encoding=encoding, media_type=media_type, url=url, meta=meta)
