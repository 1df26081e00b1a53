"""BertForMaskedLM, and BertForPreTraining where the next sentence is predicted too."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.encoder import EncoderConfig
from seedstock.transfer.maps import pairs, refuse_unless, with_biases

CLASS = "BertForMaskedLM"
ALSO = ("BertForPreTraining",)
AUTO = {CLASS: "AutoModelForMaskedLM", "BertForPreTraining": "AutoModelForPreTraining"}
DERIVED = ("cls.predictions.decoder.*", "*.position_ids")

_LAYER = (
    ("attention.query", "attention.self.query"),
    ("attention.key", "attention.self.key"),
    ("attention.value", "attention.self.value"),
    ("attention.output", "attention.output.dense"),
    ("attention_norm", "attention.output.LayerNorm"),
    ("mlp.up", "intermediate.dense"),
    ("mlp.down", "output.dense"),
    ("mlp_norm", "output.LayerNorm"),
)
RULES = (
    *pairs(
        ("embedding.tokens.weight", "bert.embeddings.word_embeddings.weight"),
        ("embedding.positions.weight", "bert.embeddings.position_embeddings.weight"),
        ("embedding.types.weight", "bert.embeddings.token_type_embeddings.weight"),
        ("head.bias", "cls.predictions.bias"),
    ),
    *with_biases(
        ("embedding.norm", "bert.embeddings.LayerNorm"),
        *((f"backbone.blocks.{{n}}.{ours}", f"bert.encoder.layer.{{n}}.{theirs}") for ours, theirs in _LAYER),
        ("head.dense", "cls.predictions.transform.dense"),
        ("head.norm", "cls.predictions.transform.LayerNorm"),
        ("next_sentence.pooler", "bert.pooler.dense"),
        ("next_sentence.classifier", "cls.seq_relationship"),
    ),
)


def class_of(names: set[str]) -> str:
    """Which class holds these tensors."""
    return "BertForPreTraining" if any(name.startswith("next_sentence.") for name in names) else CLASS


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled EncoderConfig."""
    return {
        "model_type": "bert",
        "vocab_size": vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.mlp_width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "hidden_act": "gelu",
        "max_position_embeddings": c.context,
        "type_vocab_size": c.token_types,
        "layer_norm_eps": c.norm_epsilon,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": c.init_std or 0.02,
        "tie_word_embeddings": True,
    }


def from_config(config: dict[str, Any], where: object) -> EncoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, hidden_act=("gelu",), position_embedding_type=("absolute", None), is_decoder=(False,))
    return EncoderConfig(
        shape="bert",
        context=config["max_position_embeddings"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        mlp_width=config["intermediate_size"],
        norm_epsilon=config.get("layer_norm_eps", 1e-12),
        token_types=config.get("type_vocab_size", 2),
        dropout=config.get("hidden_dropout_prob", 0.0),
    )
