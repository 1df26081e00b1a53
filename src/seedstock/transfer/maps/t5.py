"""T5ForConditionalGeneration: T5 in its forms 1.0 (ReLU, tied head) and 1.1 (gated GELU, a head of its own)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.transfer.maps import Rule, pairs, refuse_unless, sequences

CLASS = "T5ForConditionalGeneration"
AUTO = "AutoModelForSeq2SeqLM"
DERIVED = (
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",  # old files have it, no class reads it
)

_BIAS = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"


def _attention(ours: str, theirs: str) -> list[tuple[str, str]]:
    letters = (("query", "q"), ("key", "k"), ("value", "v"), ("output", "o"))
    return [(f"{ours}.{name}.weight", f"{theirs}.{letter}.weight") for name, letter in letters]


def _stack(ours: str, theirs: str, gated: bool, cross: bool) -> tuple[Rule, ...]:
    block, layer, last = f"{ours}.blocks.{{n}}", f"{theirs}.block.{{n}}.layer", 2 if cross else 1
    inner = (("gate", "wi_0"), ("up", "wi_1"), ("down", "wo")) if gated else (("up", "wi"), ("down", "wo"))
    names = [
        (f"{block}.attention_norm.weight", f"{layer}.0.layer_norm.weight"),
        *_attention(f"{block}.attention", f"{layer}.0.SelfAttention"),
        (f"{block}.mlp_norm.weight", f"{layer}.{last}.layer_norm.weight"),
        *((f"{block}.mlp.{a}.weight", f"{layer}.{last}.DenseReluDense.{b}.weight") for a, b in inner),
        (f"{ours}.relative.weight", f"{theirs}.{_BIAS}"),
        (f"{ours}.norm.weight", f"{theirs}.final_layer_norm.weight"),
    ]
    if cross:
        names.append((f"{block}.cross_norm.weight", f"{layer}.1.layer_norm.weight"))
        names += _attention(f"{block}.cross_attention", f"{layer}.1.EncDecAttention")
    return pairs(*names)


def rules_of(c: Any) -> tuple[Rule, ...]:
    """The MLP's matrices are called by its form."""
    gated = c.filled(check=False).activation == "geglu"
    return (
        *pairs(("embedding.tokens.weight", "shared.weight"), ("head.weight", "lm_head.weight")),
        *_stack("backbone.encoder", "encoder", gated, cross=False),
        *_stack("backbone", "decoder", gated, cross=True),
    )


def mend(found: dict[str, Tensor], c: Any) -> dict[str, Tensor]:
    """The head is left out where it is the embedding, or written twice."""
    head, shared = found.get("lm_head.weight"), found.get("shared.weight")
    if shared is None:
        return found
    if not c.filled(check=False).tied_embeddings:
        return {**found, "lm_head.weight": shared if head is None else head}
    if head is not None and torch.equal(head, shared):
        return {name: tensor for name, tensor in found.items() if name != "lm_head.weight"}
    return found


def to_config(c: Any, vocab_size: int) -> dict[str, Any]:
    """``config.json`` of a filled EncoderDecoderConfig."""
    return {
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": vocab_size,
        "n_positions": c.context,
        "d_model": c.width,
        "d_kv": c.head_size,
        "d_ff": c.mlp_width,
        "num_layers": c.layers,
        "num_decoder_layers": c.depth,
        "num_heads": c.heads,
        "relative_attention_num_buckets": c.buckets,
        "relative_attention_max_distance": c.longest,
        "feed_forward_proj": "gated-gelu" if c.activation == "geglu" else "relu",
        "layer_norm_epsilon": c.norm_epsilon,
        "dropout_rate": c.dropout,
        # The class takes this for whether the head's input is scaled; the weights say whether the head is tied.
        "tie_word_embeddings": c.tied_embeddings,
        "use_cache": c.depth <= c.layers,  # of a deeper decoder the class (5.23) makes caches too small
        **sequences.STARTS[c.start],
    }


def from_config(config: dict[str, Any], where: object) -> EncoderDecoderConfig:
    """The inverse. Raises SeedstockError that names what we could not honour."""
    refuse_unless(config, where, feed_forward_proj=("relu", "gated-gelu"))
    gated = config.get("feed_forward_proj", "relu") == "gated-gelu"
    scaled = config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True) is not False)
    if gated == bool(scaled):
        what = (
            f"a {'gated' if gated else 'plain'} MLP with a head that is {'' if scaled else 'not '}tied is neither form"
        )
        raise SeedstockError(what, where=where, fix="1.0 is relu and tied, 1.1 gated-gelu and not")
    return EncoderDecoderConfig(
        shape="t5",
        context=config.get("n_positions", 512),
        width=config["d_model"],
        head_size=config["d_kv"],
        mlp_width=config["d_ff"],
        layers=config["num_layers"],
        decoder_layers=config.get("num_decoder_layers") or config["num_layers"],
        heads=config["num_heads"],
        buckets=config.get("relative_attention_num_buckets", 32),
        longest=config.get("relative_attention_max_distance", 128),
        activation="geglu" if gated else "relu",
        tied_embeddings=not gated,
        norm_epsilon=config.get("layer_norm_epsilon", 1e-6),
        dropout=config.get("dropout_rate", 0.0),
        start=sequences.start(config, where, "pad"),  # type: ignore[arg-type]
    )
