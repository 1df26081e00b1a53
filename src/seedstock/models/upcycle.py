"""From a trained dense network to a mixture of experts (Komatsuzaki et al. 2023, sparse upcycling)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.models.experts import Experts
from seedstock.models.network import Network


@torch.no_grad()
def upcycle(dense: Network, network: Network) -> Network:
    """Gives ``network``, whose layers have experts, the weights of ``dense``: each expert is a copy of the layer's MLP.

    Since a token's weights sum to one, the logits are those of ``dense``; routers keep their initial weights and part
    the experts from the first step on. Raises RecipeError where the copies would not compute the same: experts of
    another width, a shared expert, weights that do not sum to one, any other difference of the two networks.
    """
    c = network.config
    if not c.experts or dense.config.experts:
        raise RecipeError("upcycling goes from a model without experts to one with", where="model.experts")
    for wrong, what in (
        (c.expert_width != dense.config.mlp_width, f"expert_width must be {dense.config.mlp_width}, the MLP's"),
        (bool(c.shared_expert), "there must be no shared_expert, which would add to the copies"),
        (not c.normalise_router, "normalise_router must be on, or a token's copies do not add up to one"),
    ):
        if wrong:
            raise RecipeError(f"the experts would not compute what the MLP does: {what}", where="model")
    ours, theirs = dict(network.named_parameters()), dict(dense.named_parameters())
    copied = set()
    for name, module in network.named_modules():
        if isinstance(module, Experts):
            for part in ("gate", "up", "down"):
                source = theirs.pop(f"{name}.{part}.weight", None)
                if source is None or source.shape != ours[f"{name}.{part}"].shape[1:]:
                    raise RecipeError(f"the dense model has no {name}.{part}.weight of that shape", where="model")
                ours[f"{name}.{part}"].copy_(source.expand_as(ours[f"{name}.{part}"]))
                copied.add(f"{name}.{part}")
            copied.add(f"{name}.router.weight")
    copy(theirs, {name: one for name, one in ours.items() if name not in copied})
    return network


@torch.no_grad()
def copy(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Copies tensors by name. Raises RecipeError that names the first that has no counterpart of its shape."""
    same(theirs, ours)
    for name, tensor in ours.items():
        tensor.copy_(theirs[name])


def same(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Raises RecipeError that names the first tensor that has no counterpart of its shape on the other side."""
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs or name not in ours or ours[name].shape != theirs[name].shape:
            sides = (tuple(side[name].shape) if name in side else "nothing" for side in (ours, theirs))
            what = "the model is not shaped as the one that it starts from: {} is {} here and {} there"
            raise RecipeError(what.format(name, *sides), where="training.start", fix="give model the same sizes")


@torch.no_grad()
def start(network: Network, parent: Network) -> None:
    """Gives ``network`` the weights of ``parent``, upcycled where it alone has experts. The context may differ.

    Raises RecipeError where the two do not fit, and where positions are learned and their number differs.
    """
    if network.config.experts and not parent.config.experts:
        upcycle(parent, network)
        return
    copy(dict(parent.state_dict()), dict(network.state_dict()))
