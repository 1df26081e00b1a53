"""GPT2LMHeadModel: matrices lie the other way round, and queries, keys and values are one."""

from __future__ import annotations

from typing import Any

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.transfer.maps import Rule, pairs, refuse_unless

CLASS = "GPT2LMHeadModel"
ACTIVATIONS = {"gelu": "gelu_new", "gelu_exact": "gelu"}

_ATTENTION = "backbone.blocks.{n}.attention."
_MLP = "backbone.blocks.{n}.mlp."
_H = "transformer.h.{n}."
_QKV = ("query", "key", "value")
RULES = (
    *pairs(
        ("embedding.tokens.weight", "transformer.wte.weight"),
        ("embedding.positions.weight", "transformer.wpe.weight"),
        ("backbone.blocks.{n}.attention_norm.weight", _H + "ln_1.weight"),
        ("backbone.blocks.{n}.attention_norm.bias", _H + "ln_1.bias"),
        ("backbone.blocks.{n}.mlp_norm.weight", _H + "ln_2.weight"),
        ("backbone.blocks.{n}.mlp_norm.bias", _H + "ln_2.bias"),
        (_ATTENTION + "output.bias", _H + "attn.c_proj.bias"),
        (_MLP + "up.bias", _H + "mlp.c_fc.bias"),
        (_MLP + "down.bias", _H + "mlp.c_proj.bias"),
        ("backbone.norm.weight", "transformer.ln_f.weight"),
        ("backbone.norm.bias", "transformer.ln_f.bias"),
        ("head.weight", "lm_head.weight"),
    ),
    Rule(tuple(f"{_ATTENTION}{name}.weight" for name in _QKV), _H + "attn.c_attn.weight", "transposed"),
    Rule(tuple(f"{_ATTENTION}{name}.bias" for name in _QKV), _H + "attn.c_attn.bias"),
    Rule((_ATTENTION + "output.weight",), _H + "attn.c_proj.weight", "transposed"),
    Rule((_MLP + "up.weight",), _H + "mlp.c_fc.weight", "transposed"),
    Rule((_MLP + "down.weight",), _H + "mlp.c_proj.weight", "transposed"),
)


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled DecoderConfig."""
    return {
        "model_type": "gpt2",
        "vocab_size": vocab_size,
        "n_positions": c.context,
        "n_embd": c.width,
        "n_layer": c.layers,
        "n_head": c.heads,
        "n_inner": c.mlp_width,
        "activation_function": ACTIVATIONS[c.activation],
        "layer_norm_epsilon": c.norm_epsilon,
        "embd_pdrop": c.dropout,
        "resid_pdrop": c.dropout,
        "attn_pdrop": 0.0,
        "initializer_range": c.init_std or 0.02,
        "tie_word_embeddings": c.tied_embeddings,
    }


def from_config(config: dict[str, Any], where: object) -> DecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(
        config,
        where,
        activation_function=("gelu_new", "gelu_pytorch_tanh", "gelu"),
        scale_attn_weights=(True,),
        scale_attn_by_inverse_layer_idx=(False,),
        add_cross_attention=(False,),
    )
    return DecoderConfig(
        shape="gpt2",
        activation="gelu_exact" if config.get("activation_function") == "gelu" else "gelu",
        context=config["n_positions"],
        width=config["n_embd"],
        layers=config["n_layer"],
        heads=config["n_head"],
        mlp_width=config.get("n_inner") or 4 * config["n_embd"],
        norm_epsilon=config["layer_norm_epsilon"],
        tied_embeddings=bool(config.get("tie_word_embeddings", True)),
    )
