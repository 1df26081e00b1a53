"""Qwen3ForCausalLM: Llama's names, and norms of queries and keys."""

from __future__ import annotations

from typing import Any

from seedstock.errors import SeedstockError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import llama, pairs, refuse_unless, rotary

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
    config = {**llama.to_config(c, vocab_size), "model_type": "qwen3", "use_sliding_window": c.window is not None}
    if c.window is not None:
        kinds = ["sliding_attention" if c.is_local(layer) else "full_attention" for layer in range(c.layers)]
        config |= {"sliding_window": rotary.sliding(c), "layer_types": kinds}
    return {key: value for key, value in config.items() if key != "mlp_bias"}


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, attention_bias=(False,))
    if not config.get("use_sliding_window", False):
        return llama.from_config(config, where, "qwen3")
    layers = config["num_hidden_layers"]
    first = config.get("max_window_layers", 28)
    kinds = config.get("layer_types") or [
        "sliding_attention" if n >= first else "full_attention" for n in range(layers)
    ]
    whole = [layer + 1 for layer, kind in enumerate(kinds) if kind == "full_attention"]
    window = rotary.window({"sliding_window": 4096} | config)
    found = llama.from_config(config, where, "qwen3", window=window, global_every=whole[0] if whole else None)
    if [found.is_local(layer) for layer in range(layers)] != [kind == "sliding_attention" for kind in kinds]:
        what = "its full layers do not come at even distances"
        raise SeedstockError(what, where=where, fix="layer_types must repeat: some sliding ones, then a full one")
    return found
