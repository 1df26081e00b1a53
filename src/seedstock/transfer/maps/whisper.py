"""WhisperForConditionalGeneration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.models.speech import lying
from seedstock.transfer.maps import by_layer, pairs, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "WhisperForConditionalGeneration", "transformers"


def _attention(ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    names = (("query", "q_proj"), ("value", "v_proj"), ("output", "out_proj"))
    return tuple((f"{ours}.{one}", f"{theirs}.{other}") for one, other in names)


LAYER = (
    *_attention("attention", "self_attn"),
    ("attention_norm", "self_attn_layer_norm"),
    ("mlp.up", "fc1"),
    ("mlp.down", "fc2"),
    ("mlp_norm", "final_layer_norm"),
)
CROSS = (*_attention("cross_attention", "encoder_attn"), ("cross_norm", "encoder_attn_layer_norm"))
STACKS = (("backbone.encoder.blocks", "model.encoder.layers"), ("backbone.blocks", "model.decoder.layers"))


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    specials = objective.spec.specials
    return {
        "model_type": "whisper",
        "is_encoder_decoder": True,
        "vocab_size": objective.spec.vocab_size,
        "num_mel_bins": c.bins,
        "d_model": c.width,
        "encoder_layers": c.layers,
        "decoder_layers": c.depth,
        "encoder_attention_heads": c.heads,
        "decoder_attention_heads": c.heads,
        "encoder_ffn_dim": c.mlp_width,
        "decoder_ffn_dim": c.mlp_width,
        "max_source_positions": c.source,
        "max_target_positions": c.context,
        "activation_function": "gelu",
        "dropout": c.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": c.init_std or 0.02,
        "scale_embedding": False,
        "pad_token_id": specials["pad"],
        "bos_token_id": specials["bos"],
        "eos_token_id": specials["eos"],
        "decoder_start_token_id": specials[c.start],
        "suppress_tokens": None,
        "begin_suppress_tokens": None,
        "tie_word_embeddings": True,
    }


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Both stacks, the convolutions, and the fixed places of frames."""
    c, own = nets["network"].config, {name: one.detach() for name, one in nets["network"].state_dict().items()}
    source = "embedding.source."
    found = {
        "model.encoder.conv1.weight": own.pop(f"{source}first.weight").view(c.width, c.bins, 3),
        "model.encoder.conv2.weight": own.pop(f"{source}second.weight").view(c.width, c.width, 3),
        "model.encoder.embed_positions.weight": lying(c.source, c.width, own["embedding.tokens.weight"].device),
    }
    ends = pairs(
        (f"{source}first.bias", "model.encoder.conv1.bias"),
        (f"{source}second.bias", "model.encoder.conv2.bias"),
        ("embedding.tokens.weight", "model.decoder.embed_tokens.weight"),
        ("embedding.target.positions.weight", "model.decoder.embed_positions.weight"),
    )
    norms = with_biases(
        ("backbone.encoder.norm", "model.encoder.layer_norm"), ("backbone.norm", "model.decoder.layer_norm")
    )
    blocks: list[Any] = []
    for ours, theirs in STACKS:
        named = LAYER if "encoder" in ours else (*LAYER, *CROSS)
        blocks += with_biases(*((f"{ours}.{{n}}.{one}", f"{theirs}.{{n}}.{other}") for one, other in named))
        keys = (
            ("attention.key.weight", "self_attn.k_proj.weight"),
            ("cross_attention.key.weight", "encoder_attn.k_proj.weight"),
        )
        blocks += pairs(*((f"{ours}.{{n}}.{one}", f"{theirs}.{{n}}.{other}") for one, other in keys))
    return found | outward(own, [*ends, *norms, *by_layer(tuple(blocks), max(c.layers, c.depth))])


def fits(c: Any) -> bool:
    """Whether the class can hold such a network."""
    usual = c.norm == "layer" and c.activation == "gelu_exact" and c.biases and not c.qk_norm and c.tied_embeddings
    plain = not c.post_norm and not c.embedding_norm and c.kv_heads == c.heads
    return usual and plain and c.head_size * c.heads == c.width


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``: the spectra of ``inputs.items.log_mel``."""
    hop = round(0.01 * c.rate)
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": c.bins,
        "sampling_rate": c.rate,
        "hop_length": hop,
        "n_fft": round(0.025 * c.rate),
        "chunk_length": c.frames * hop / c.rate if c.frames * hop % c.rate else c.frames * hop // c.rate,
    }


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Logits of the same tokens for the same spectra, theirs and ours."""
    from seedstock.models.keys import generator

    network = nets["network"]
    c, draw = network.config, generator("parity")
    spectrum = torch.randn(2, c.frames, c.bins, generator=draw)
    tokens = torch.randint(0, network.vocab_size, (2, min(c.context, 32)), generator=draw)
    own = network(tokens, source=network.hear(spectrum))
    return {"logits": (theirs(spectrum.transpose(1, 2), decoder_input_ids=tokens).logits, own)}
