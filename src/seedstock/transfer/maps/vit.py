"""ViTModel: the encoder alone, for objectives whose other parts are thrown away; and what its kin share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.models.patches import sines
from seedstock.transfer.maps import Rule, by_layer, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "ViTModel", "transformers"

LAYER = (
    ("attention.query", "attention.q_proj"),
    ("attention.key", "attention.k_proj"),
    ("attention.value", "attention.v_proj"),
    ("attention.output", "attention.o_proj"),
    ("attention_norm", "layernorm_before"),
    ("mlp_norm", "layernorm_after"),
    ("mlp.up", "mlp.fc1"),
    ("mlp.down", "mlp.fc2"),
)


def stack(ours: str, theirs: str, layers: int) -> list[Rule]:
    """Rules for the blocks of a stack, by what stands before their number."""
    named = ((f"{ours}.blocks.{{n}}.{one}", f"{theirs}.{{n}}.{other}") for one, other in LAYER)
    return list(by_layer(with_biases(*named), layers))


def encoder(network: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a VisionNetwork as ``transformers`` names and shapes them."""
    found, rest = embeddings(network, dict(network.state_dict()), prefix)
    last = with_biases(("backbone.norm", prefix + "layernorm"))
    return found | outward(rest, [*stack("backbone", prefix + "layers", network.config.layers), *last])


def embeddings(network: Any, own: dict[str, Tensor], prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The embeddings of a VisionNetwork's tensors by their names there, and what is left of the tensors."""
    c, own = network.config, {name: tensor.detach() for name, tensor in own.items()}
    start, learned = own.pop("embedding.class_token", None), own.pop("embedding.positions.weight", None)
    weight = own.pop("embedding.patches.weight").reshape(c.width, c.patch, c.patch, c.channels).permute(0, 3, 1, 2)
    at = prefix + "embeddings."
    found = {
        at + "position_embeddings": fixed(c, c.width) if learned is None else learned[None],
        at + "patch_embeddings.projection.weight": weight.contiguous(),
        at + "patch_embeddings.projection.bias": own.pop("embedding.patches.bias"),
    }
    return found | ({} if start is None else {at + "cls_token": start[None, None]}), own


def fixed(c: Any, width: int) -> Tensor:
    """Sines and cosines of patches, after a class token's zeros where there is one, as a table ``[1, T, width]``."""
    table = sines(torch.arange(c.patches), c.image // c.patch, width)
    return torch.cat([torch.zeros(int(c.class_token), width), table])[None]


def sizes(c: Any) -> dict[str, Any]:
    """What the configurations of the whole kin have."""
    return {
        "hidden_size": c.width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "intermediate_size": c.mlp_width,
        "hidden_act": "gelu",
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": c.init_std or 0.02,
        "layer_norm_eps": c.norm_epsilon,
        "image_size": c.image,
        "patch_size": c.patch,
        "num_channels": c.channels,
        "qkv_bias": True,
    }


def fits(c: Any) -> bool:
    """Whether the classes with a class token can hold such a network."""
    return plain(c) and c.class_token


def plain(c: Any) -> bool:
    """Whether a network has what all these classes have."""
    usual = c.norm == "layer" and c.activation == "gelu_exact" and c.biases and not c.qk_norm
    usual = usual and c.patch_bias and not c.embedding_norm
    return usual and c.position in ("learned", "sines") and c.kv_heads == c.heads


def processor(c: Any) -> dict[str, Any]:
    """``preprocessor_config.json``: pixels from -1 to 1."""
    side = {"height": c.image, "width": c.image}
    scale = {"image_mean": [0.5] * c.channels, "image_std": [0.5] * c.channels, "rescale_factor": 1 / 255}
    return {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": side, **scale}


def pixels(c: Any, count: int = 3) -> Tensor:
    """Pictures to compare on, normalised: ``[count, H, W, C]``."""
    from seedstock.models.keys import generator

    return torch.rand(count, c.image, c.image, c.channels, generator=generator("parity")) * 2 - 1


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return {"model_type": "vit", **sizes(c)}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The encoder's tensors."""
    return encoder(nets["network"])


def load(library: Any, folder: Any) -> Any:
    """The class, without the pooler, which no objective trains."""
    return library.ViTModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The last hidden states, theirs and ours."""
    network = nets["network"]
    images = pixels(network.config)
    return {"hidden states": (theirs(images.permute(0, 3, 1, 2)).last_hidden_state, network(images))}
