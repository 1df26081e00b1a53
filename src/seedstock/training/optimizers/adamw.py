"""AdamW over parameter groups."""

from __future__ import annotations

from torch.optim import AdamW

from seedstock.training.configs.optimizers import AdamWConfig
from seedstock.training.optimizers.groups import Parameters, grouped

LEARNING_RATE = 3e-3


def build(config: AdamWConfig, parameters: Parameters) -> AdamW:
    """torch's fused AdamW, which runs on CPU, CUDA and MPS."""
    rate = LEARNING_RATE if config.learning_rate is None else config.learning_rate
    groups = grouped(parameters, config, rate, config.layer_decay)
    return AdamW(groups, lr=rate, betas=config.betas, eps=config.eps, fused=True)
