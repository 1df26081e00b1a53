"""What a general compressor makes of the held-out text, for comparison: ``xz`` at its strongest setting."""

from __future__ import annotations

import lzma
from typing import Any


def xz_bytes(data: bytes) -> int:
    """The size of ``data`` as an LZMA2 stream, preset 9 extreme, without the container's header and checksums."""
    return len(
        lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}])
    )


def compress(held_out: bytes, training: bytes = b"") -> dict[str, Any]:
    """Bits per byte of the held-out text, alone and after ``training`` text (the growth in size it causes)."""
    result: dict[str, Any] = {"preset": "9e", "held_out_bytes": len(held_out), "training_bytes": len(training)}
    if held_out:
        result["alone"] = 8 * xz_bytes(held_out) / len(held_out)
    if held_out and training:
        result["after_training"] = 8 * (xz_bytes(training + held_out) - xz_bytes(training)) / len(held_out)
    return result
