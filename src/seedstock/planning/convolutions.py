"""Counts of networks that are no stack: layer by layer, as their configuration walks them (``Shape.walked``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PARTS = {"convolution": "convolutions", "attention": "attention"}


def parameters(layers: Iterable[Any], codebook: int) -> dict[str, int]:
    """Parameters by part, exactly; ``embedding`` is the codebook, ``vectors`` are gains and biases."""
    found = {"embedding": codebook, "attention": 0, "mlp": 0, "convolutions": 0, "vectors": 0, "head": 0}
    for one in layers:
        if one.kind == "norm":
            found["vectors"] += 2 * one.inputs
        else:
            found[PARTS[one.kind]] += one.inputs * one.outputs * one.taps
            found["vectors"] += one.outputs + one.vectors
    return found


def multiplications(layers: Iterable[Any]) -> float:
    """Of one example: every tap at every place, and of each attention, of four products, queries times keys and shares
    times values. Rounding to a codebook is left out, as looking embeddings up is."""
    found = 0.0
    for one in layers:
        if one.kind == "norm":
            continue
        found += one.inputs * one.outputs * one.taps * one.places
        if one.kind == "attention":
            found += 2 * one.places**2 * one.outputs / 4
    return found


def activations(layers: Iterable[Any], number: int) -> int:
    """Bytes that one example keeps for the backward pass: what each layer reads, of norms an fp32 copy and the outcome
    before and after the activation as well; an estimate."""
    found = 0
    for one in layers:
        found += one.inputs * one.places * (4 + 2 * number if one.kind == "norm" else number)
    return found
