"""CLIPVisionModel: a picture tower of the shape clip by itself, as it is before it learns what texts say."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seedstock.transfer.maps import clip, vit

CLASS, LIBRARY = "CLIPVisionModel", "transformers"
processor = vit.processor


def fits(c: Any) -> bool:
    """Whether the class can hold such a network."""
    usual = c.norm == "layer" and c.biases and c.position == "learned" and not c.qk_norm and c.kv_heads == c.heads
    return usual and c.shape == "clip" and c.class_token and c.embedding_norm and c.activation in clip.ACTIVATIONS


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    sizes = {"image_size": c.image, "patch_size": c.patch, "num_channels": c.channels}
    return {"model_type": "clip_vision_model", **clip.sizes(c), **sizes}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The tower's tensors."""
    return clip.tower(nets["network"])


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.CLIPVisionModel.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """What stands for a picture, theirs and ours."""
    network = nets["network"]
    images = vit.pixels(network.config)
    return {"pictures": (theirs(images.permute(0, 3, 1, 2)).pooler_output, network.pooled(network(images)))}
