"""MistralForCausalLM: Llama with a sliding window in every layer."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import llama, rotary

CLASS = "MistralForCausalLM"
RULES = llama.RULES


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    config = {**llama.to_config(c, vocab_size), "model_type": "mistral", "sliding_window": rotary.sliding(c)}
    return {key: value for key, value in config.items() if key not in ("mlp_bias", "attention_bias")}


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    return llama.from_config(config, where, window=rotary.window({"sliding_window": 4096} | config))
