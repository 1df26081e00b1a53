"""Batch kernels in C, where they were compiled: the numpy ones beside them give the same numbers, more slowly.

``SEEDSTOCK_NATIVE=0`` in the environment leaves them alone.
"""

from __future__ import annotations

import os
from types import ModuleType

OFF = "SEEDSTOCK_NATIVE"


def kernels() -> ModuleType | None:
    """The compiled module, or None where it was not built or is switched off."""
    if os.environ.get(OFF, "1") == "0":
        return None
    try:
        from seedstock.native import _kernels  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return None
    return _kernels


def described() -> str:
    """``native`` or ``numpy``: what the kernels of this process are, for records of an environment."""
    return "native" if kernels() else "numpy"
