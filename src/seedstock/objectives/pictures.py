"""What objectives over pictures share: their checks, and the crops and flips that are drawn by example."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.objectives.base import Batch, Spec

MODELS = {"vision": "a model of patches", "autoencoder": "a convolutional autoencoder"}


def insist(kind: str, spec: Spec, model: str = "vision") -> None:
    """Raises RecipeError where the input gives no pictures, or the model is none for pictures of that size."""
    if "image" not in spec.fields:
        what = f"the objective {kind} learns from pictures"
        raise RecipeError(what, where="input", fix="write input: {kind: images, size: 32}")
    if getattr(spec.model, "kind", None) != model:
        what = f"the objective {kind} needs {MODELS[model]}"
        more = ", patch: 4" if model == "vision" else ""
        raise RecipeError(what, where="model.kind", fix=f"write model: {{kind: {model}, image: 32{more}}}")
    height, _, channels = spec.fields["image"]
    if (spec.model.image, spec.model.channels) != (height, channels):
        sees = f"{spec.model.image} pixels and {spec.model.channels} channels"
        what = f"the model is for pictures of {sees}, the input gives {height} and {channels}"
        raise RecipeError(what, where="model.image", fix=f"write model.image: {height}, model.channels: {channels}")


def features(nets: Any, batch: Batch) -> Tensor:
    """The mean over the patches of whole pictures, fp32 ``[B, D]``."""
    network = nets["network"]
    return network.pooled(network.backbone(**network.inputs(batch["image"])).hidden)


def crops(images: np.ndarray, keys: Any, padding: int) -> np.ndarray:
    """A square of each picture's size out of it and ``padding`` pixels of mirror around it; uint8 ``[B, H, W, C]``."""
    if not padding:
        return images
    count, height, width, _ = images.shape
    edges = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(images, edges, mode="reflect")
    top, left = keys.integers("crop", 0, 2 * padding + 1, 2).T
    rows = (top[:, None] + np.arange(height))[:, :, None]
    columns = (left[:, None] + np.arange(width))[:, None, :]
    return padded[np.arange(count)[:, None, None], rows, columns]


def flips(images: np.ndarray, keys: Any) -> np.ndarray:
    """Half of the pictures mirrored from left to right."""
    mirrored = keys.uniform("flip", 1)[:, 0] < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
