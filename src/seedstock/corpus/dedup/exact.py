"""Documents that are equal in one respect: the text, the text but for case and white space, or the address."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np

from seedstock.corpus.dedup.parts import Part

KEY = np.dtype([("high", "<u8"), ("low", "<u8")])  # the first half of a SHA-256 digest, or a BLAKE2b digest
PORTS = {"http": "80", "https": "443"}
TRACKING = re.compile(r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|mc_cid|mc_eid|igshid|_ga", re.IGNORECASE)


def same_text(parts: Sequence[Part]) -> np.ndarray:
    """The first row with the same text, by its SHA-256: int64 [rows]."""
    keys = []
    for part in parts:
        digests = part.read(["text_sha256"])["text_sha256"].to_pylist()
        keys.append(np.frombuffer(b"".join(digest[:16] for digest in digests), KEY))
    return first_equal(np.concatenate([np.zeros(0, KEY), *keys]))


def first_equal(keys: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
    """The first row with an equal key, int64 [rows]; a row whose key is ``missing`` (bool) equals only itself."""
    order = np.lexsort((keys["low"], keys["high"]))  # stable
    ordered = keys[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)]
    first = np.empty(len(keys), np.int64)
    first[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    if missing is not None:
        first[missing] = np.flatnonzero(missing)
    return first


def same_normalised(parts: Sequence[Part]) -> np.ndarray:
    """The first row whose text is equal without case and in white space."""
    return _first(parts, "text", lambda text: " ".join(text.split()).casefold() if text is not None else None)


def same_url(parts: Sequence[Part]) -> np.ndarray:
    """The first row with the same normalised URL; a document without one equals no other."""
    return _first(parts, "url", normal)


def _first(parts: Sequence[Part], column: str, form) -> np.ndarray:
    keys, missing = [np.zeros(0, KEY)], [np.zeros(0, bool)]
    for part in parts:
        found = list(_digests(part, column, form))
        missing.append(np.array([digest is None for digest in found], bool))
        keys.append(np.frombuffer(b"".join(digest or bytes(16) for digest in found), KEY))
    return first_equal(np.concatenate(keys), np.concatenate(missing))


def _digests(part: Part, column: str, form) -> Iterator[bytes | None]:
    for value in part.read([column])[column]:
        text = form(value.as_py())
        data = None if text is None else text.encode("utf-8", "surrogatepass")
        yield None if data is None else hashlib.blake2b(data, digest_size=16).digest()


def normal(url: str | None) -> str | None:
    """A URL as its duplicates write it: without scheme, ``www.``, default port, fragment, tracking parameters and
    closing slash; host in small letters, parameters sorted. None for what is no URL.
    """
    if not url or not url.strip():
        return None
    try:
        split = urlsplit(url.strip())
        host, port = (split.hostname or "").removeprefix("www.").rstrip("."), split.port
    except ValueError:
        return url.strip()
    if not host:
        return url.strip()
    if port is not None and str(port) != PORTS.get(split.scheme.lower()):
        host = f"{host}:{port}"
    query = [
        (key, value) for key, value in parse_qsl(split.query, keep_blank_values=True) if not TRACKING.fullmatch(key)
    ]
    return f"{host}{split.path.rstrip('/')}" + (f"?{urlencode(sorted(query))}" if query else "")
