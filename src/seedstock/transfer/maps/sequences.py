"""What encoder-decoders of the ecosystem share: the special token that a target begins with."""

from __future__ import annotations

from typing import Any

from seedstock.errors import SeedstockError

STARTS = {
    "pad": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    "bos": {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 2},
    "eos": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 1},
}
"""Ids by what ``start`` is, where no tokenizer gives others: the classes cannot do without."""


def start(config: dict[str, Any], where: object, usual: str) -> str:
    """Which special token ``decoder_start_token_id`` is. Raises SeedstockError where it is none of the three."""
    wanted = config.get("decoder_start_token_id")
    if wanted is None:
        return usual
    for name in dict.fromkeys((usual, "pad", "eos", "bos")):
        if config.get(f"{name}_token_id") == wanted:
            return name
    what = f"decoder_start_token_id: {wanted} is neither its bos, nor its eos, nor its pad token"
    raise SeedstockError(what, where=where, fix="one of the three must be it")
