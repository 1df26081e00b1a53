"""ViTForImageClassification: a vision transformer with a class of its class token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seedstock.transfer.maps import vit

CLASS, LIBRARY = "ViTForImageClassification", "transformers"
fits, processor = vit.fits, vit.processor


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    names = objective.spec.labels
    forth, back = {str(n): name for n, name in enumerate(names)}, {name: n for n, name in enumerate(names)}
    return {"model_type": "vit", **vit.sizes(c), "id2label": forth, "label2id": back}


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """The encoder and the head."""
    head = nets["class_head"].classifier
    found = {"classifier.weight": head.weight.detach(), "classifier.bias": head.bias.detach()}
    return vit.encoder(nets["network"], "vit.") | found


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.ViTForImageClassification.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The classes' logits, theirs and ours."""
    network = nets["network"]
    batch = {"image": vit.pixels(network.config)}
    output = network.backbone(**objective.inputs(nets, batch))
    return {"logits": (theirs(batch["image"].permute(0, 3, 1, 2)).logits, objective.logits(nets, output, batch))}
