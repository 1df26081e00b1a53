"""One value, one spelling: the canonical JSON that digests are taken of."""

from __future__ import annotations

import json
from typing import Any


def canonical(record: Any) -> bytes:
    """Canonical JSON bytes: keys sorted, no spaces, UTF-8, no NaN. Raises ValueError for what JSON cannot say."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
