"""Keeping freed memory instead of handing it back to the system at every step, which asks for it again at once."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # glibc's malloc.h
KEEP = {TRIM_THRESHOLD: 2**31 - 1, MMAP_THRESHOLD: 32 * 2**20, MMAP_MAX: 0}
DEFAULTS = {TRIM_THRESHOLD: 128 * 2**10, MMAP_THRESHOLD: 128 * 2**10, MMAP_MAX: 65536}


@contextmanager
def kept() -> Iterator[None]:
    """Inside the block, glibc keeps what is freed; afterwards it is handed back. Elsewhere nothing changes.

    A step frees all its activations and gradients, and touching fresh pages again costs about a tenth of its time on
    a CPU. The peak stays what it was.
    """
    _tell(KEEP)
    try:
        yield
    finally:
        library = _tell(DEFAULTS)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)


def _tell(options: dict[int, int]) -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # only glibc has it
        for option, value in options.items():
            library.mallopt(option, value)
    return library
