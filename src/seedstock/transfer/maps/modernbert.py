"""ModernBertForMaskedLM: queries, keys and values in one matrix, gate and input in another."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.encoder import EncoderConfig
from seedstock.transfer.maps import Rule, pairs, refuse_unless

CLASS = "ModernBertForMaskedLM"
AUTO = "AutoModelForMaskedLM"
DERIVED = ("decoder.weight",)

_OURS, _THEIRS = "backbone.blocks.{n}.", "model.layers.{n}."
RULES = (
    Rule(tuple(f"{_OURS}attention.{name}.weight" for name in ("query", "key", "value")), f"{_THEIRS}attn.Wqkv.weight"),
    Rule(tuple(f"{_OURS}mlp.{name}.weight" for name in ("gate", "up")), f"{_THEIRS}mlp.Wi.weight"),
    *pairs(
        ("embedding.tokens.weight", "model.embeddings.tok_embeddings.weight"),
        ("embedding.norm.weight", "model.embeddings.norm.weight"),
        (f"{_OURS}attention_norm.weight", f"{_THEIRS}attn_norm.weight"),
        (f"{_OURS}attention.output.weight", f"{_THEIRS}attn.Wo.weight"),
        (f"{_OURS}mlp_norm.weight", f"{_THEIRS}mlp_norm.weight"),
        (f"{_OURS}mlp.down.weight", f"{_THEIRS}mlp.Wo.weight"),
        ("backbone.norm.weight", "model.final_norm.weight"),
        ("head.dense.weight", "head.dense.weight"),
        ("head.norm.weight", "head.norm.weight"),
        ("head.bias", "decoder.bias"),
    ),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled EncoderConfig."""
    return {
        "model_type": "modernbert",
        "vocab_size": vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.mlp_width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "hidden_activation": "gelu",
        "max_position_embeddings": c.context,
        "norm_eps": c.norm_epsilon,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "global_attn_every_n_layers": c.global_every,
        "local_attention": 2 * c.window,
        "layer_types": ["sliding_attention" if c.is_local(layer) else "full_attention" for layer in range(c.layers)],
        # Before version 5 transformers read the first two of these, now the third.
        "global_rope_theta": c.rope_base,
        "local_rope_theta": c.local_rope_base,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": c.rope_base},
            "sliding_attention": {"rope_type": "default", "rope_theta": c.local_rope_base},
        },
        "attention_dropout": 0.0,
        "embedding_dropout": c.dropout,
        "mlp_dropout": 0.0,
        "initializer_range": c.init_std or 0.02,
        "tie_word_embeddings": True,
    }


def from_config(config: dict[str, Any], where: object) -> EncoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(
        config,
        where,
        hidden_activation=("gelu",),
        norm_bias=(False,),
        attention_bias=(False,),
        mlp_bias=(False,),
        classifier_bias=(False,),
        decoder_bias=(True,),
    )
    rope = config.get("rope_parameters") or {}
    everywhere = rope.get("full_attention", {}).get("rope_theta") or config.get("global_rope_theta") or 160_000.0
    near = rope.get("sliding_attention", {}).get("rope_theta") or config.get("local_rope_theta") or 10_000.0
    return EncoderConfig(
        shape="modernbert",
        context=config["max_position_embeddings"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        mlp_width=config["intermediate_size"],
        norm_epsilon=config.get("norm_eps", 1e-5),
        window=config.get("local_attention", 128) // 2,
        global_every=config.get("global_attn_every_n_layers", 3),
        rope_base=everywhere,
        local_rope_base=near,
        dropout=config.get("embedding_dropout", 0.0),
    )
