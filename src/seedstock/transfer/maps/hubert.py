"""HubertModel: the encoder alone; and what wav2vec2 shares with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import Rule, by_layer, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "HubertModel", "transformers"

LAYER = (
    ("attention.query", "attention.q_proj"),
    ("attention.key", "attention.k_proj"),
    ("attention.value", "attention.v_proj"),
    ("attention.output", "attention.out_proj"),
    ("attention_norm", "layer_norm"),
    ("mlp.up", "feed_forward.intermediate_dense"),
    ("mlp.down", "feed_forward.output_dense"),
    ("mlp_norm", "final_layer_norm"),
)


def encoder(network: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of an AudioNetwork as ``transformers`` names and shapes them."""
    c, own = network.config, {name: tensor.detach() for name, tensor in network.state_dict().items()}
    inputs = (1, *[c.channels] * len(c.kernels))
    found = {
        f"{prefix}feature_extractor.conv_layers.{n}.conv.weight": own.pop(f"embedding.layers.{n}.weight").view(
            c.channels, inputs[n], taps
        )
        for n, taps in enumerate(c.kernels)
    }
    near = f"{prefix}encoder.pos_conv_embed.conv."
    found |= {
        f"{near}parametrizations.weight.original0": own.pop("embedding.near.length")[None, None],
        f"{near}parametrizations.weight.original1": own.pop("embedding.near.direction").view(
            c.width, c.width // c.position_groups, c.position_taps
        ),
        f"{near}bias": own.pop("embedding.near.bias"),
    }
    named = ((f"backbone.blocks.{{n}}.{ours}", f"{prefix}encoder.layers.{{n}}.{theirs}") for ours, theirs in LAYER)
    ends = with_biases(
        ("embedding.first_norm", f"{prefix}feature_extractor.conv_layers.0.layer_norm"),
        ("embedding.latent_norm", f"{prefix}feature_projection.layer_norm"),
        ("embedding.projection", f"{prefix}feature_projection.projection"),
        ("embedding.norm", f"{prefix}encoder.layer_norm"),
    )
    hidden = Rule(("embedding.hidden",), f"{prefix}masked_spec_embed")
    return found | outward(own, [*by_layer(with_biases(*named), c.layers), *ends, hidden])


def sizes(c: Any, objective: Any) -> dict[str, Any]:
    """What the configurations of both classes have."""
    return {
        "vocab_size": 32,
        "hidden_size": c.width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "intermediate_size": c.mlp_width,
        "hidden_act": "gelu",
        "hidden_dropout": c.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "feat_proj_dropout": 0.0,
        "final_dropout": 0.0,
        "layerdrop": 0.0,
        "initializer_range": c.init_std or 0.02,
        "layer_norm_eps": c.norm_epsilon,
        "feat_extract_norm": "group",
        "feat_extract_activation": "gelu",
        "conv_dim": [c.channels] * len(c.kernels),
        "conv_stride": list(c.strides),
        "conv_kernel": list(c.kernels),
        "conv_bias": False,
        "num_conv_pos_embeddings": c.position_taps,
        "num_conv_pos_embedding_groups": c.position_groups,
        "do_stable_layer_norm": False,
        "mask_time_prob": objective.config.start * objective.config.span,
        "mask_time_length": objective.config.span,
    }


def fits(c: Any) -> bool:
    """Whether the classes can hold such a network."""
    usual = c.norm == "layer" and c.activation == "gelu_exact" and c.biases and not c.qk_norm
    return usual and c.kv_heads == c.heads and c.head_size * c.heads == c.width


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``: clips with mean 0 and variance 1."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": c.rate,
        "padding_value": 0.0,
        "do_normalize": True,
        "return_attention_mask": True,
    }


def clips(c: Any) -> tuple[Tensor, Tensor]:
    """Clips to compare on, normalised as they are read, and their lengths: one whole, one of two thirds."""
    from seedstock.models.audio import normalised
    from seedstock.models.keys import generator

    noise = torch.randn(2, c.samples, generator=generator("parity"))
    length = torch.tensor([c.samples, c.samples * 2 // 3])
    return normalised(noise, length), length


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return {"model_type": "hubert", **sizes(c, objective)}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The encoder's tensors."""
    return encoder(nets["network"])


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.HubertModel.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The last hidden states of the frames of clips, theirs and ours."""
    network = nets["network"]
    samples, length = clips(network.config)
    seen = (torch.arange(samples.shape[1]) < length[:, None]).long()
    there = network.inside(length)
    return {
        "hidden states": (
            theirs(samples, attention_mask=seen).last_hidden_state[there],
            network(samples, length)[there],
        )
    }
