"""The learning rate's course: pure functions of the step."""

from __future__ import annotations

import math

from seedstock.training.configs.schedule import ScheduleConfig


def factor(config: ScheduleConfig, step: int, total: int) -> float:
    """The factor on the peak learning rate at step ``step`` (from 0) of ``total``.

    Warm-up is ``(step + 1) / warmup`` and a fall over ``n`` steps is ``k / n`` of its way at its k-th step (from 0),
    so that the first step and the last one learn too; ``final`` is reached at ``total`` and stays.
    """
    warmup = config.steps(config.warmup, total)
    if step < warmup:
        return (step + 1) / warmup
    start = decay_start(config, total)
    if config.kind == "constant" or step < start:
        return 1.0
    done = min(1.0, (step - start) / max(1, total - start))
    return config.final + (1 - config.final) * _fall(config, done)


def decay_start(config: ScheduleConfig, total: int) -> int:
    """The first step of the fall: after the warm-up for cosine and linear, the last ``decay`` of a WSD run."""
    warmup = config.steps(config.warmup, total)
    if config.kind == "wsd":
        return max(warmup, total - config.steps(config.decay, total))
    return total if config.kind == "constant" else warmup


def _fall(config: ScheduleConfig, done: float) -> float:
    """From 1 to 0 as ``done`` goes from 0 to 1."""
    if config.kind == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if config.kind == "wsd" and config.shape == "1-sqrt":
        return 1 - math.sqrt(done)
    return 1 - done
