"""VQModel of diffusers: a convolutional autoencoder with a codebook."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seedstock.transfer.maps import autoencoder
from seedstock.transfer.maps.autoencoder import LIBRARY, WEIGHTS, tensors

__all__ = ["CLASS", "LIBRARY", "WEIGHTS", "compare", "fits", "load", "tensors", "to_config"]

CLASS = "VQModel"


def fits(c: Any) -> bool:
    """Every one with a codebook."""
    return c.shape == "vq"


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    return autoencoder.config(c, CLASS) | {"num_vq_embeddings": c.codes, "vq_embed_dim": c.latent}


def load(library: Any, folder: Any) -> Any:
    """The class, from a file of the name that diffusers gives its own."""
    return library.VQModel.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Latents, codes, and what is drawn again."""
    network = nets["network"]
    images = autoencoder.images(network.config)
    pixels = images.permute(0, 3, 1, 2)
    latents = theirs.encode(pixels).latents
    *_, (_, _, codes) = theirs.quantize(latents)
    return {
        "latents": (latents, autoencoder.square(network.latents(images))),
        "codes": (codes.view(len(images), -1).float(), network.codes(images).float()),
        "drawn": (theirs(pixels).sample, network(images).permute(0, 3, 1, 2)),
    }
