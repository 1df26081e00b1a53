"""WARC records as bytes."""

from __future__ import annotations


def record(
    body: bytes,
    headers: bytes = b"",
    *,
    length: int | None = None,
    kind: bytes = b"response",
    uri: bytes = b"https://example.org/",
    status: bytes = b"200 OK",
    content_type: bytes = b"text/html; charset=latin-1",
    more: bytes = b"",
) -> bytes:
    """A record whose block is an HTTP answer, or ``body`` itself where it is none."""
    block, block_type = body, content_type
    if kind == b"response":
        block = b"HTTP/1.1 " + status + b"\r\nContent-Type: " + content_type + b"\r\n" + headers + b"\r\n" + body
        block_type = b"application/http; msgtype=response"
    size = len(block) if length is None else length
    return (
        b"WARC/1.0\r\nWARC-Type: %s\r\nWARC-Target-URI: %s\r\nWARC-Record-ID: <urn:uuid:%032d>\r\n"
        b"WARC-IP-Address: 192.0.2.7\r\nWARC-Date: 2024-05-18T01:58:10Z\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n"
        b"\r\n%s\r\n\r\n" % (kind, uri, len(body), more, block_type, size, block)
    )
