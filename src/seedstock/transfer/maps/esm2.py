"""EsmForMaskedLM with rotary positions: ESM-2."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.encoder import EncoderConfig
from seedstock.transfer.maps import pairs, refuse_unless, with_biases

CLASS = "EsmForMaskedLM"
AUTO = "AutoModelForMaskedLM"
DERIVED = ("lm_head.decoder.*", "*.position_ids", "*rotary_embeddings.*", "esm.contact_head.*", "*position_embeddings*")

_LAYER = (
    ("attention.query", "attention.self.query"),
    ("attention.key", "attention.self.key"),
    ("attention.value", "attention.self.value"),
    ("attention.output", "attention.output.dense"),
    ("attention_norm", "attention.LayerNorm"),
    ("mlp.up", "intermediate.dense"),
    ("mlp.down", "output.dense"),
    ("mlp_norm", "LayerNorm"),
)
RULES = (
    *pairs(("embedding.tokens.weight", "esm.embeddings.word_embeddings.weight"), ("head.bias", "lm_head.bias")),
    *with_biases(
        *((f"backbone.blocks.{{n}}.{ours}", f"esm.encoder.layer.{{n}}.{theirs}") for ours, theirs in _LAYER),
        ("backbone.norm", "esm.encoder.emb_layer_norm_after"),
        ("head.dense", "lm_head.dense"),
        ("head.norm", "lm_head.layer_norm"),
    ),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled EncoderConfig.

    ``token_dropout`` is off: it scales embeddings by how much is hidden (Lin et al. 2023), which we do not.
    """
    return {
        "model_type": "esm",
        "vocab_size": vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.mlp_width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "max_position_embeddings": c.context + 2,
        "position_embedding_type": "rotary",
        "emb_layer_norm_before": False,
        "token_dropout": False,
        "pad_token_id": 0,  # the class cannot do without one
        "layer_norm_eps": c.norm_epsilon,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": c.init_std or 0.02,
        "tie_word_embeddings": True,
    }


def from_config(config: dict[str, Any], where: object) -> EncoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(
        config,
        where,
        position_embedding_type=("rotary",),
        emb_layer_norm_before=(False, None),
        token_dropout=(False,),
        is_folding_model=(False,),
    )
    return EncoderConfig(
        shape="esm2",
        context=config["max_position_embeddings"] - 2,
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        mlp_width=config["intermediate_size"],
        norm_epsilon=config.get("layer_norm_eps", 1e-5),
        dropout=config.get("hidden_dropout_prob", 0.0),
    )
