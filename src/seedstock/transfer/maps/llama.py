"""LlamaForCausalLM, and what its kin share with it."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import pairs, refuse_unless, rotary

CLASS = "LlamaForCausalLM"

_LAYER = (
    ("attention_norm.weight", "input_layernorm.weight"),
    ("mlp_norm.weight", "post_attention_layernorm.weight"),
    *(
        (f"attention.{ours}.{kind}", f"self_attn.{theirs}_proj.{kind}")
        for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "o"))
        for kind in ("weight", "bias")
    ),
    *(
        (f"mlp.{name}.{kind}", f"mlp.{name}_proj.{kind}")
        for name in ("gate", "up", "down")
        for kind in ("weight", "bias")
    ),
)
RULES = pairs(
    ("embedding.tokens.weight", "model.embed_tokens.weight"),
    *((f"backbone.blocks.{{n}}.{ours}", f"model.layers.{{n}}.{theirs}") for ours, theirs in _LAYER),
    ("backbone.norm.weight", "model.norm.weight"),
    ("head.weight", "lm_head.weight"),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    return {
        "model_type": "llama",
        "vocab_size": vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.mlp_width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_epsilon,
        **rotary.to_config(c),
        "attention_bias": c.biases,
        "mlp_bias": c.biases,
        "attention_dropout": 0.0,
        "initializer_range": c.init_std or 0.02,
        "tie_word_embeddings": c.tied_embeddings,
    }


def from_config(config: dict[str, Any], where: object, shape: str = "llama", **more: Any) -> DecoderConfig:
    """The inverse; ``more`` are fields that its kin add. Raises SeedstockError that names what we could not honour."""
    base, scaling = rotary.from_config(config, where)
    biases = bool(config.get("attention_bias", False))
    refuse_unless(config, where, hidden_act=("silu",), mlp_bias=(biases,))
    heads = config["num_attention_heads"]
    return DecoderConfig(
        shape=shape,  # type: ignore[arg-type]
        context=config["max_position_embeddings"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        mlp_width=config["intermediate_size"],
        norm_epsilon=config["rms_norm_eps"],
        rope_base=base,
        rope_scaling=scaling,
        biases=biases,
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        **more,
    )
