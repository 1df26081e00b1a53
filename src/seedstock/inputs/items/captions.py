"""Texts of a fixed length beside other inputs."""

from __future__ import annotations

from typing import Any

import numpy as np


def caption(text: str, tokenizer: Any, length: int) -> np.ndarray:
    """BOS, the text's tokens, EOS: int32 ``[length]``, cut off before EOS where longer, padded where shorter."""
    specials = tokenizer.specials
    ids = tokenizer.encode(text)[: length - 2]
    found = np.full(length, specials["pad"], "<i4")
    found[0] = specials["bos"]
    found[1 : len(ids) + 1] = ids
    found[len(ids) + 1] = specials["eos"]
    return found
