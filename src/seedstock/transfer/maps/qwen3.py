"""Qwen3ForCausalLM: Llama's names, and norms of queries and keys."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import llama, pairs, refuse_unless

CLASS = "Qwen3ForCausalLM"
RULES = (
    *llama.RULES,
    *pairs(
        ("backbone.blocks.{n}.attention.query_norm.weight", "model.layers.{n}.self_attn.q_norm.weight"),
        ("backbone.blocks.{n}.attention.key_norm.weight", "model.layers.{n}.self_attn.k_norm.weight"),
    ),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    config = {**llama.to_config(c, vocab_size), "model_type": "qwen3", "use_sliding_window": False}
    return {key: value for key, value in config.items() if key != "mlp_bias"}


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, use_sliding_window=(False,), attention_bias=(False,))
    return llama.from_config(config, where, "qwen3")
