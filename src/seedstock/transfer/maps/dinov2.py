"""Dinov2Model: the teacher of self-distillation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import by_layer, vit, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "Dinov2Model", "transformers"
processor = vit.processor

_LAYER = (
    *((ours, theirs) for ours, theirs in vit.LAYER if ours.startswith(("attention.", "mlp."))),
    ("attention_norm", "norm1"),
    ("mlp_norm", "norm2"),
)


def fits(c: Any) -> bool:
    """Whether the class can hold such a network: its MLP is a whole number of widths."""
    return vit.fits(c) and c.mlp_width % c.width == 0


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    sizes = vit.sizes(c)
    ratio = sizes.pop("intermediate_size") // c.width
    return {"model_type": "dinov2", **sizes, "mlp_ratio": ratio, "layerscale_value": 1.0, "use_swiglu_ffn": False}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The teacher's tensors; what stands for hidden patches is the student's, since teachers see all."""
    teacher = nets["teacher"]
    c, own = teacher.config, dict(teacher.state_dict())
    with torch.no_grad():
        blank = teacher.embedding.patches(nets["head"].blank[None]).detach()
    named = ((f"backbone.blocks.{{n}}.{ours}", f"encoder.layer.{{n}}.{theirs}") for ours, theirs in _LAYER)
    rules = [*by_layer(with_biases(*named), c.layers), *with_biases(("backbone.norm", "layernorm"))]
    ones = {f"encoder.layer.{n}.layer_scale{i}.lambda1": torch.ones(c.width) for n in range(c.layers) for i in (1, 2)}
    embedded, rest = vit.embeddings(teacher, own)
    return {**embedded, "embeddings.mask_token": blank, **ones, **outward(rest, rules)}


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.Dinov2Model.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The last hidden states of whole pictures, theirs and the teacher's."""
    teacher = nets["teacher"]
    images = vit.pixels(teacher.config)
    return {"hidden states": (theirs(images.permute(0, 3, 1, 2)).last_hidden_state, teacher(images))}
