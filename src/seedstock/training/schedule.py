"""The courses of learning rate and weight decay: pure functions of the step."""

from __future__ import annotations

import math

from seedstock.training.configs.schedule import DecayScheduleConfig, ScheduleConfig


def factor(config: ScheduleConfig, step: int, total: int) -> float:
    """The factor on the peak learning rate at step ``step`` (from 0) of ``total``.

    Warm-up is ``(step + 1) / warmup`` and a fall over ``n`` steps is ``k / n`` of its way at its k-th step (from 0),
    so that the first step and the last one learn too; ``final`` is reached at ``total`` and stays.
    """
    warmup = config.steps(config.warmup, total)
    if step < warmup:
        risen = (step + 1) / warmup
        return config.first + (1 - config.first) * _half_cosine(1 - risen) if config.kind == "one-cycle" else risen
    if config.kind == "inverse-sqrt":
        return max(config.final, math.sqrt(max(1, warmup) / (step + 1)))
    start = decay_start(config, total)
    if config.kind == "constant" or step < start:
        return 1.0
    done = min(1.0, (step - start) / max(1, total - start))
    return config.final + (1 - config.final) * _fall(config, done)


def decay_start(config: ScheduleConfig, total: int) -> int:
    """The first step of the fall: the last ``decay`` of a WSD run, and after the warm-up for all others that fall."""
    warmup = config.steps(config.warmup, total)
    if config.kind == "wsd":
        return max(warmup, total - config.steps(config.decay, total))
    return total if config.kind == "constant" else warmup


def decay_factor(config: DecayScheduleConfig, step: int, total: int) -> float:
    """The factor on weight decays at step ``step`` (from 0) of ``total``."""
    done = min(1.0, step / max(1, total))
    share = {"constant": 0.0, "linear": done, "cosine": 1 - _half_cosine(done)}[config.kind]
    return config.first + (config.final - config.first) * share


def _half_cosine(done: float) -> float:
    """From 1 to 0 as ``done`` goes from 0 to 1, level at both ends."""
    return (1 + math.cos(math.pi * done)) / 2


def _fall(config: ScheduleConfig, done: float) -> float:
    """From 1 to 0 as ``done`` goes from 0 to 1."""
    if config.kind in ("cosine", "one-cycle"):
        return _half_cosine(done)
    if config.kind == "wsd" and config.shape == "1-sqrt":
        return 1 - math.sqrt(done)
    return 1 - done
