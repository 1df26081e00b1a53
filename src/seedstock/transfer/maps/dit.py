"""DiTTransformer2DModel of diffusers: a DiT with what tells it the time and the class, and its last layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import by_layer, vit, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "DiTTransformer2DModel", "diffusers"

_LAYER = (
    ("attention.query", "attn1.to_q"),
    ("attention.key", "attn1.to_k"),
    ("attention.value", "attn1.to_v"),
    ("attention.output", "attn1.to_out.0"),
    ("mlp.up", "ff.net.0.proj"),
    ("mlp.down", "ff.net.2"),
    ("modulation", "norm1.linear"),
)


def fits(c: Any) -> bool:
    """Whether the class can hold such a network: no class token, an MLP of four widths."""
    usual = c.conditioned and not c.class_token and c.position == "sines" and c.activation == "gelu" and c.biases
    return usual and c.mlp_width == 4 * c.width and c.kv_heads == c.heads and not c.qk_norm


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return {
        "_class_name": CLASS,
        "num_attention_heads": c.heads,
        "attention_head_dim": c.head_size,
        "in_channels": c.channels,
        "out_channels": c.channels,
        "num_layers": c.layers,
        "sample_size": c.image,
        "patch_size": c.patch,
        "num_embeds_ada_norm": max(1, _classes(objective)),
        "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False,
        "norm_eps": c.norm_epsilon,
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "dropout": c.dropout,
    }


def _classes(objective: Any) -> int:
    return len(objective.spec.labels) if objective.config.labelled else 0


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Every block of theirs has the condition's layers, and so its own copy of them."""
    network, condition, draw = nets["network"], nets["condition"], nets["draw"]
    c, own = network.config, {name: one.detach() for name, one in network.state_dict().items()}
    weight = own.pop("embedding.patches.weight").reshape(c.width, c.patch, c.patch, c.channels).permute(0, 3, 1, 2)
    found = {"pos_embed.proj.weight": weight.contiguous(), "pos_embed.proj.bias": own.pop("embedding.patches.bias")}
    named = ((f"backbone.blocks.{{n}}.{ours}", f"transformer_blocks.{{n}}.{theirs}") for ours, theirs in _LAYER)
    found |= outward(own, list(by_layer(with_biases(*named), c.layers)))
    rows = torch.zeros(2, c.width) if condition.classes is None else condition.classes.detach()
    for n in range(c.layers):
        at = f"transformer_blocks.{n}.norm1.emb."
        found[at + "class_embedder.embedding_table.weight"] = rows.clone()
        for number, layer in ((1, condition.first), (2, condition.second)):
            found[f"{at}timestep_embedder.linear_{number}.weight"] = layer.weight.detach().clone()
            found[f"{at}timestep_embedder.linear_{number}.bias"] = layer.bias.detach().clone()
    for number, layer in ((1, draw.modulation), (2, draw.linear)):
        found |= {f"proj_out_{number}.weight": layer.weight.detach(), f"proj_out_{number}.bias": layer.bias.detach()}
    return found


def load(library: Any, folder: Any) -> Any:
    """The class, from a file of the name that diffusers gives its own."""
    return library.DiTTransformer2DModel.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)


WEIGHTS = "diffusion_pytorch_model.safetensors"


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """What is predicted of mixtures at three times, of two classes and of none."""
    c, classes = nets["network"].config, _classes(objective)
    images = vit.pixels(c)
    told = torch.tensor([0, min(1, classes), -1]) if classes else torch.full((3,), -1)
    times = torch.tensor([0.1, 0.5, 0.9])
    condition = nets["condition"](objective.way.time(times), told)
    output = nets["network"].backbone(**nets["network"].inputs(images), condition=condition)
    ours = objective._drawn(nets, output, condition).permute(0, 3, 1, 2)
    labels = torch.where(told < 0, max(1, classes), told) if classes else torch.zeros(3, dtype=torch.long)
    found = theirs(images.permute(0, 3, 1, 2), timestep=objective.way.time(times), class_labels=labels).sample
    return {"predictions": (found, ours)}
