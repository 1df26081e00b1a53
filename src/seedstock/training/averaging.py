"""The mean of several checkpoints' weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from seedstock.errors import DataError
from seedstock.training.state import load_nets, weights


@torch.no_grad()
def load_mean(folders: Sequence[Path], nets: Mapping[str, nn.Module], *, average: bool | None = None) -> list[int]:
    """Puts the mean of checkpoints' weights into the nets, each weighing the same, and returns their steps.

    Izmailov et al. 2018 (arXiv 1803.05407). Weights are added up in fp64; what is not a weight (a count, a bias that
    balances experts) is the last one's. It takes as much memory as the nets again, twice over. Raises DataError for
    fewer than two checkpoints, IntegrityError where one is damaged or of another model.
    """
    if len({*folders}) < 2 or len({*folders}) < len(folders):
        raise DataError(
            "a mean is of two checkpoints or more, each named once", fix="name their steps: --steps 800 900"
        )
    sums: dict[tuple[str, str], Tensor] = {}
    steps = []
    for folder in sorted(folders):
        steps.append(load_nets(folder, nets, average=average))
        for key, tensor in _parameters(nets).items():
            sums[key] = sums[key].add_(tensor) if key in sums else tensor.double()
    for key, tensor in _parameters(nets).items():
        tensor.copy_(sums[key] / len(folders))
    return steps


def _parameters(nets: Mapping[str, nn.Module]) -> dict[tuple[str, str], Tensor]:
    return {
        (net, name): tensor.detach()
        for net, module in nets.items()
        for name, tensor in weights(module).items()
        if isinstance(tensor, nn.Parameter)
    }
