"""IJepaModel: the teacher of prediction in feature space; it has no class token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seedstock.transfer.maps import vit

CLASS, LIBRARY = "IJepaModel", "transformers"
processor = vit.processor


def fits(c: Any) -> bool:
    """Whether the class can hold such a network."""
    return vit.plain(c) and not c.class_token


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return {"model_type": "ijepa", **vit.sizes(c)}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The teacher's tensors."""
    return vit.encoder(nets["teacher"])


def load(library: Any, folder: Any) -> Any:
    """The class, without the pooler, which no objective trains."""
    return library.IJepaModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The last hidden states, theirs and the teacher's."""
    teacher = nets["teacher"]
    images = vit.pixels(teacher.config)
    return {"hidden states": (theirs(images.permute(0, 3, 1, 2)).last_hidden_state, teacher(images))}
