"""The coordinate check (Yang et al. 2022, arXiv 2203.03466, section D.1): how large activations get in a few steps.

Where a parametrisation is right for widths, the size of every activation, and how much it changes in a step, is level
over the width; where it is not, some of them grow with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.training.configs.training import TrainingConfig
from seedstock.training.optimizers.groups import build, trained

SITES = ("attention", "mlp", "stream", "logits")
Sizes = dict[str, float]
"""Root mean squares by site."""


def coordinates(network: Any, config: TrainingConfig, batches: Sequence[Tensor]) -> tuple[list[Sizes], list[Sizes]]:
    """Trains a decoder for a step on each of ``batches`` (tokens ``[B, T + 1]``) at the optimizer's peak rates.

    Returns, before the first step and after each, the root mean square of what the last block's attention and MLP give,
    of the normalised stream and of the logits, on the first batch; and of how much each has changed since the start.
    """
    nets = nn.ModuleDict({"network": network})
    parameters, roles = trained(nets)
    optimizers = build(config, parameters, roles, network.config)
    first = _look(network, batches[0])
    sizes, changes = [_sizes(first)], [dict.fromkeys(SITES, 0.0)]
    for tokens in batches:
        logits = network(tokens[:, :-1])
        nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        now = _look(network, batches[0])
        sizes.append(_sizes(now))
        changes.append(_sizes({site: now[site] - first[site] for site in SITES}))
    return sizes, changes


@torch.no_grad()
def _look(network: Any, tokens: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    block, norm = network.backbone.blocks[-1], network.backbone.norm
    m = network.config.width / (network.config.base_width or network.config.width)

    def keep(site: str, factor: float = 1.0) -> Any:
        return lambda module, given, out: found.update({site: out * factor})

    # What is divided by the width lies in the norm's gain; the stream is looked at without it.
    hooks = [
        block.attention.register_forward_hook(keep("attention")),
        block.mlp.register_forward_hook(keep("mlp")),
        norm.register_forward_hook(keep("stream", m)),
    ]
    try:
        found["logits"] = network(tokens[:, :-1])
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _sizes(found: dict[str, Tensor]) -> Sizes:
    return {site: found[site].square().mean().sqrt().item() for site in SITES}
