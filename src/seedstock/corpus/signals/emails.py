"""E-mail addresses, as spans to redact."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LOCAL, LABEL, DOMAIN = 64, 63, 253  # the longest local part (RFC 5321), label and domain (RFC 1035)
CHUNK = 1 << 16  # at signs handled together: bounds the memory that a text of nothing else takes

# Quotation marks, slashes and equals signs are legal in a local part, but are mostly what an address is set off by.
_ATOM = b"!#$%*+^_{|}~-"
_ALPHANUMERIC = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_DOMAIN = re.compile(
    rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})(?![\w-])"
)

# Names set aside for examples (RFC 2606 and 6761) belong to nobody.
_RESERVED = re.compile(rb"(?i)(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost|local)$")
# Log-in names of services in git and similar URLs.
_SERVICES = {b"git", b"hg", b"svn"}
# Endings of file names that look like a top-level domain: icon@2x.png.
_FILES = set(b"css gif html jpeg jpg js json pkl png svg ts txt webp xml yaml yml".split())
# The name in front of a host in a URL (scheme://name@host, scheme://name:password@host) is a log-in.
_LOGIN = re.compile(rb"://[^\s/@]*\Z")


class Emails(Signal):
    """Spans of e-mail addresses (RFC 5322 dot-atoms in ASCII), and how many there are.

    Left out: names reserved for examples (example.com, .test), ``git@`` log-ins, user names in URLs, file names such as
    ``icon@2x.png``. Each ``@`` looks at no more than the 318 bytes that an address can have, so the time is linear.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"spans": "spans", "count": "int32"}
    kind: Literal["emails"] = "emails"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Finds the addresses of each text of a batch."""
        import numpy as np

        from seedstock.corpus.utf8 import spans

        found = addresses(batch.column("text"))
        counts = np.zeros(len(batch), np.int32)
        counts[list(found)] = [len(pairs) for pairs in found.values()]
        return self.batch(spans=spans(len(batch), found), count=counts)


def addresses(text: pa.Array) -> dict[int, list[tuple[int, int]]]:
    """The (start, end) of each address of a large_string array, in bytes, by row."""
    import numpy as np

    from seedstock.corpus.utf8 import raw

    data, offsets = raw(text)
    buffer = data.data
    found: dict[int, list[tuple[int, int]]] = {}
    signs = np.flatnonzero(data[offsets[0] : offsets[-1]] == ord("@")) + offsets[0]
    for some in np.array_split(signs, len(signs) // CHUNK + 1):
        for row, start, place in zip(*(x.tolist() for x in _candidates(data, offsets, some)), strict=True):
            first, end = int(offsets[row]), int(offsets[row + 1])
            if span := _address(buffer, first, start, place, end):
                found.setdefault(row, []).append((span[0] - first, span[1] - first))
    return found


def _candidates(data: np.ndarray, offsets: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, ...]:
    """(row, start of the local part, place) of each ``@`` with a local part before it and a label behind it.

    They walk outwards together, a byte a step, so that decorators and noise never reach Python.
    """
    import numpy as np

    local, label = np.zeros(256, bool), np.zeros(256, bool)
    label[list(_ALPHANUMERIC + b"-")] = True
    local[list(_ALPHANUMERIC + _ATOM + b".")] = True
    rows = np.searchsorted(offsets, places, side="right") - 1
    floor, ceiling = offsets[rows], offsets[rows + 1]

    starts, active = places.copy(), np.arange(len(places))
    for _ in range(LOCAL + 1):
        active = active[starts[active] > floor[active]]
        active = active[local[data[starts[active] - 1]]]
        starts[active] -= 1
    stops, active = places + 1, np.flatnonzero(starts < places)
    for _ in range(LABEL + 1):
        active = active[stops[active] < ceiling[active]]
        active = active[label[data[stops[active]]]]
        stops[active] += 1
    good = (starts < places) & (stops > places + 1) & (stops < ceiling)
    good[good] = data[stops[good]] == ord(".")
    return rows[good], starts[good], places[good]


def _address(data: memoryview, first: int, start: int, place: int, end: int) -> tuple[int, int] | None:
    """The (start, end) of the address around the ``@`` at ``place``, or None where there is none.

    ``first`` and ``end`` bound the text; ``start`` is where the run of local characters begins.
    """
    name = bytes(data[start:place]).lstrip(_ATOM + b".")
    domain = _DOMAIN.match(data, place + 1, min(end, place + DOMAIN + 2))
    if not domain or not 0 < len(name) <= LOCAL or b".." in name or name.endswith(b".") or name in _SERVICES:
        return None
    if domain.end() - place > DOMAIN + 1 or bytes(domain[1]).lower() in _FILES or _RESERVED.search(domain[0]):
        return None
    if start > first and data[start - 1] in b":/" and _LOGIN.search(data[max(first, start - LOCAL) : start]):
        return None
    return place - len(name), domain.end()
