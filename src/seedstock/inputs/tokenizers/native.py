"""The compiled helpers of tokenizers (``seedstock/native/words.c``, ``bpe.c``), where they were built."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from ctypes import c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

import numpy as np

from seedstock.native import OFF

_BYTES, _INT32, _INT64, _UINT32 = (
    np.ctypeslib.ndpointer(kind, flags="C_CONTIGUOUS") for kind in (np.uint8, np.int32, np.int64, np.uint32)
)
# name: (result, arguments)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "words_new": (c_void_p, [_BYTES, c_int64, c_int64]),
    "words_free": (None, [c_void_p]),
    "words_count": (c_uint64, [c_void_p]),
    "words_bytes": (c_uint64, [c_void_p]),
    "words_memory": (c_uint64, [c_void_p]),
    "words_add": (c_int, [c_void_p, _BYTES, _INT64, c_int64]),
    "words_sorted": (c_int, [c_void_p, _BYTES, _INT64, _INT64]),
    "words_clear": (None, [c_void_p]),
    "words_find": (c_int64, [c_void_p, _BYTES, _INT64, c_int64, _INT64]),
    "words_merges": (c_int, [c_void_p, _UINT32, _UINT32, _UINT32, c_int64, _UINT32]),
    "words_fresh": (c_uint64, [c_void_p, c_void_p, c_void_p]),
    "words_learn": (c_int, [c_void_p, _UINT32, _INT64, c_int64]),
    "words_length": (c_int64, [c_void_p]),
    "words_ids": (None, [c_void_p, c_int64, _INT64, _UINT32]),
    "bpe_new": (c_void_p, [_INT32, _INT64, _INT64, c_int64]),
    "bpe_free": (None, [c_void_p]),
    "bpe_best": (c_int64, [c_void_p, c_int64, _INT32]),
    "bpe_merge": (c_int, [c_void_p, c_int32, c_int32, c_int32, c_uint32, _INT64]),
}


def library() -> ctypes.CDLL | None:
    """The library, or None where it was not built or is switched off (``SEEDSTOCK_NATIVE=0``)."""
    return None if os.environ.get(OFF, "1") == "0" else _load()


@cache
def _load() -> ctypes.CDLL | None:
    found = importlib.util.find_spec("seedstock.native._words")
    if found is None or not found.origin:
        return None
    try:
        loaded = ctypes.CDLL(found.origin)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):  # built for another machine, or from older sources
        return None
    return loaded


def buffers(texts: Any) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets int64) of an Arrow array of texts, without a copy where it is ``large_string``."""
    import pyarrow as pa

    wanted = pa.large_binary() if pa.types.is_binary(texts.type) or pa.types.is_large_binary(texts.type) else None
    texts = texts.cast(wanted or pa.large_string())
    if texts.null_count:
        texts = texts.fill_null("")
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1] if offsets else None
    if ends is None or not len(ends):
        return np.zeros(1, np.uint8), np.zeros(1, np.int64)
    held = np.frombuffer(data, np.uint8) if data and data.size else np.zeros(1, np.uint8)
    return held, np.ascontiguousarray(ends)
