"""AutoencoderKL of diffusers: a convolutional autoencoder with Gaussian latents."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seedstock.transfer.maps import autoencoder
from seedstock.transfer.maps.autoencoder import LIBRARY, WEIGHTS, tensors

__all__ = ["CLASS", "LIBRARY", "WEIGHTS", "compare", "fits", "load", "tensors", "to_config"]

CLASS = "AutoencoderKL"


def fits(c: Any) -> bool:
    """Every one with Gaussian latents."""
    return c.shape == "kl"


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``. Latents are as large as they come: whoever trains on them measures their scale."""
    return autoencoder.config(c, CLASS) | {"scaling_factor": 1.0, "force_upcast": False}


def load(library: Any, folder: Any) -> Any:
    """The class, from a file of the name that diffusers gives its own."""
    return library.AutoencoderKL.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Means, log-variances, and what is drawn of the means."""
    network = nets["network"]
    images = autoencoder.images(network.config)
    found = theirs.encode(images.permute(0, 3, 1, 2)).latent_dist
    mean, spread = network.backbone(**network.inputs(images)).hidden.chunk(2, dim=-1)
    return {
        "means": (found.mean, autoencoder.square(mean)),
        "log-variances": (found.logvar, autoencoder.square(spread.clamp(-30, 20))),
        "drawn": (theirs.decode(found.mean).sample, network(images).permute(0, 3, 1, 2)),
    }
