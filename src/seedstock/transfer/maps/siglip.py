"""SiglipModel: towers for pictures and texts whose pairs are told apart one by one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import clip

CLASS, LIBRARY = "SiglipModel", "transformers"
processor, compare = clip.processor, clip.compare


def fits(c: Any) -> bool:
    """Whether the class can hold such towers."""
    usual = all(one.norm == "layer" and one.biases and one.position == "learned" and not one.qk_norm for one in c.parts)
    usual = usual and all(one.kv_heads == one.heads and one.activation in clip.ACTIVATIONS for one in c.parts)
    plain = not c.picture.class_token and not c.picture.embedding_norm and c.picture.patch_bias
    return usual and plain and c.shape == "siglip"


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    found = clip.towers(c, objective)
    found["text_config"] |= {"projection_size": objective.config.embedding}
    return {"model_type": "siglip", **found}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Both towers, the picture's head, the text's, scale and bias."""
    joint = nets["joint"]
    own = {name: one.detach() for name, one in joint.state_dict().items()}
    at = "vision_model.head."
    inside = [
        torch.cat([own[f"gather.{part}.{kind}"] for part in ("query", "key", "value")]) for kind in ("weight", "bias")
    ]
    head = {
        at + "probe": own["gather.probe"][None, None],
        at + "attention.in_proj_weight": inside[0],
        at + "attention.in_proj_bias": inside[1],
        "logit_scale": own["scale"],
        "logit_bias": own["bias"],
    }
    named = (
        ("gather.output", at + "attention.out_proj"),
        ("gather.norm", at + "layernorm"),
        ("text", "text_model.head"),
    )
    for ours, theirs in (*named, ("gather.up", at + "mlp.fc1"), ("gather.down", at + "mlp.fc2")):
        head |= {f"{theirs}.{kind}": own[f"{ours}.{kind}"] for kind in ("weight", "bias")}
    return clip.text_tower(nets["network"]) | clip.picture_tower(nets["network"]) | head


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.SiglipModel.from_pretrained(folder, local_files_only=True)
