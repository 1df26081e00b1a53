"""Maximal update parametrisation, µP (Yang et al. 2022, arXiv 2203.03466): rates found at one width hold at others.

Of a network that is ``m`` times wider than its base, hidden matrices start with a standard deviation lower by √m and
learn at 1 / m of Adam's rate; what is multiplied by the vocabulary starts and learns as at the base, after a division
by m (table 8). Heads that are ``d / d₀`` times larger have scores that are divided by d, not by its root (definition
4.1). A factor in the forward pass is the same as one on a weight's start and on its Adam rate (Yang and Hu 2021, arXiv
2011.14522, section 5), so both lie in weights: the division by m in the last norm's gain, the scores' in the queries.
The function that is computed is the plain one, which any other program reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scale:
    """What µP changes of one parameter: factors on its start, on a rate of Adam's kind, and on Muon's.

    Muon sets the size of an update by its spectral norm, which needs no factor for width (Yang et al. 2023, arXiv
    2310.17813); with ``match_rms_adamw`` it is of Adam's kind.
    """

    start: float = 1.0
    adam: float = 1.0
    spectral: float = 1.0


def scale(config: Any, name: str, role: str) -> Scale:
    """Of a parameter of a decoder, by its name in the network and its role. Without a base width nothing changes."""
    m = config.width / config.base_width if config.base_width else 1.0
    heads = math.sqrt(config.base_head_size / config.head_size) if config.base_head_size else 1.0
    queries = "query_norm.weight" if config.qk_norm else "query."
    own = heads if f".{queries}" in f".{name}" else 1.0
    if name.startswith("backbone.norm."):
        return Scale(1 / m, 1 / m, 1 / m)
    if role == "router":  # wide in, and as many out at any width
        return Scale(1 / m, 1 / m, 1 / m)
    if role in ("column", "row"):
        # The initialisation ``zero`` has roots of inputs in it already.
        start = 1.0 if config.initialisation == "zero" and config.init_std is None else 1 / math.sqrt(m)
        return Scale(own * start, own / m, own)
    return Scale(own, own, own)
