"""AdamW over parameter groups."""

from __future__ import annotations

from torch.optim import AdamW

from seedstock.training.configs.optimizers import AdamWConfig
from seedstock.training.optimizers.groups import Parameters, decayed

LEARNING_RATE = 3e-3


def build(config: AdamWConfig, parameters: Parameters) -> AdamW:
    """torch's fused AdamW, which runs on CPU, CUDA and MPS; vectors are not decayed."""
    return AdamW(
        decayed(parameters, config.weight_decay),
        lr=LEARNING_RATE if config.learning_rate is None else config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )
