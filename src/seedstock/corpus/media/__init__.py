"""Pictures, sounds and clips as arrays: decoding that is bounded in memory and fails with one named error.

``sniff`` tells what bytes are by how they begin. ``pictures``, ``sounds`` and ``clips`` describe and decode; each needs
the extra ``media``. A name or a declared type is never believed over the bytes.
"""

from __future__ import annotations

from seedstock.corpus.media.types import COARSE, NPZ, TOKENS, Undecodable, sniff

__all__ = ["COARSE", "NPZ", "TOKENS", "Undecodable", "sniff"]
