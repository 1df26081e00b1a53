"""BartForConditionalGeneration, with the numbers that it adds to its logits (``final_logits_bias``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.transfer.maps import Rule, pairs, refuse_unless, sequences, with_biases

CLASS = "BartForConditionalGeneration"
AUTO = "AutoModelForSeq2SeqLM"
DERIVED = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "*.version")

_ACTIVATIONS = {"gelu_exact": "gelu", "gelu": "gelu_pytorch_tanh", "relu": "relu"}
_LAYER = (
    *((f"attention.{name}", f"self_attn.{name[0]}_proj") for name in ("query", "key", "value")),
    ("attention.output", "self_attn.out_proj"),
    ("attention_norm", "self_attn_layer_norm"),
    ("mlp.up", "fc1"),
    ("mlp.down", "fc2"),
    ("mlp_norm", "final_layer_norm"),
)
_CROSS = (
    *((f"cross_attention.{name}", f"encoder_attn.{name[0]}_proj") for name in ("query", "key", "value")),
    ("cross_attention.output", "encoder_attn.out_proj"),
    ("cross_norm", "encoder_attn_layer_norm"),
)
RULES = (
    *pairs(
        ("embedding.tokens.weight", "model.shared.weight"),
        ("embedding.source.positions.weight", "model.encoder.embed_positions.weight"),
        ("embedding.target.positions.weight", "model.decoder.embed_positions.weight"),
    ),
    *with_biases(
        ("embedding.source.norm", "model.encoder.layernorm_embedding"),
        ("embedding.target.norm", "model.decoder.layernorm_embedding"),
        *((f"backbone.encoder.blocks.{{n}}.{ours}", f"model.encoder.layers.{{n}}.{theirs}") for ours, theirs in _LAYER),
        *(
            (f"backbone.blocks.{{n}}.{ours}", f"model.decoder.layers.{{n}}.{theirs}")
            for ours, theirs in _LAYER + _CROSS
        ),
    ),
    Rule(("head.bias",), "final_logits_bias", "row"),
)


def mend(found: dict[str, Tensor], c: Any) -> dict[str, Tensor]:
    """Files of the class without a head lack the prefix and the numbers; the head may be written twice."""
    if "shared.weight" in found:
        found = {f"model.{name}": tensor for name, tensor in found.items()}
    shared = found.get("model.shared.weight")
    if shared is None:
        return found
    if "lm_head.weight" in found and torch.equal(found["lm_head.weight"], shared):
        found = {name: tensor for name, tensor in found.items() if name != "lm_head.weight"}
    return {"final_logits_bias": torch.zeros(1, len(shared)), **found}


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled EncoderDecoderConfig."""
    return {
        "model_type": "bart",
        "is_encoder_decoder": True,
        "vocab_size": vocab_size,
        "max_position_embeddings": c.context,
        "d_model": c.width,
        "encoder_layers": c.layers,
        "decoder_layers": c.depth,
        "encoder_attention_heads": c.heads,
        "decoder_attention_heads": c.heads,
        "encoder_ffn_dim": c.mlp_width,
        "decoder_ffn_dim": c.mlp_width,
        "activation_function": _ACTIVATIONS[c.activation],
        "dropout": c.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "scale_embedding": False,
        "init_std": c.init_std or 0.02,
        "forced_eos_token_id": None,
        "tie_word_embeddings": True,
        **sequences.STARTS[c.start],
    }


def from_config(config: dict[str, Any], where: object) -> EncoderDecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(
        config,
        where,
        activation_function=tuple(_ACTIVATIONS.values()),
        scale_embedding=(False,),
        normalize_before=(False,),
        add_final_layer_norm=(False,),
        normalize_embedding=(True,),
        static_position_embeddings=(False,),
        decoder_attention_heads=(config["encoder_attention_heads"],),
        decoder_ffn_dim=(config["encoder_ffn_dim"],),
    )
    names = {theirs: ours for ours, theirs in _ACTIVATIONS.items()}
    return EncoderDecoderConfig(
        shape="bart",
        context=config["max_position_embeddings"],
        width=config["d_model"],
        layers=config["encoder_layers"],
        decoder_layers=config["decoder_layers"],
        heads=config["encoder_attention_heads"],
        mlp_width=config["encoder_ffn_dim"],
        activation=names[config.get("activation_function", "gelu")],  # type: ignore[arg-type]
        dropout=config.get("dropout", 0.0),
        start=sequences.start(config, where, "eos"),  # type: ignore[arg-type]
    )
