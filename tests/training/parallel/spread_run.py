"""Small runs in several processes: the real ``fit`` on each, with its folder in common."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # a spawned process knows no conftest

import torch
from small_run import CONTEXT, VOCABULARY, small_config, small_fit, small_network

from seedstock.errors import Interrupted
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.callbacks.base import Callback
from seedstock.training.checkpoint import folder as checkpoints

OPTIMIZERS: dict[str, Any] = {
    "adamw": {"kind": "adamw"},
    "muon": {"kind": "muon", "precision": "fp32", "pieces": {"*.query.weight": 2}},
    "muon in bf16": {"kind": "muon", "precision": "bf16"},
    "lion": {"kind": "lion"},
    "adafactor": {"kind": "adafactor"},
    "soap": {"kind": "soap", "frequency": 3},
}


class StopAt(Callback):
    """Asks for a stop after a step, in the process that has it."""

    name = "stop"
    everywhere = True

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, run: Any) -> None:
        if run.step == self.step:
            run.stop.request("a test")


def run(
    folder: Path,
    parallel: dict[str, Any] | None = None,
    *,
    network: dict[str, Any] | None = None,
    stop: int | None = None,
    **changes: Any,
) -> dict[str, Any] | None:
    """What one process's ``fit`` gave; None where it was stopped after step ``stop``."""
    torch.set_num_threads(1)
    config = small_config(**{"micro_batch": 2, "checkpoint_every": 20, "parallel": parallel or {}, **changes})
    callbacks = [StopAt(stop)] if stop else []
    built = small_network(**{"heads": 4, "kv_heads": 2, **(network or {})})
    objective = CausalConfig().build(Spec(vocab_size=VOCABULARY, context=CONTEXT, model=built.config))
    try:
        result = small_fit(folder, config, built, callbacks=callbacks, objective=objective)
    except Interrupted:
        return None
    return {
        "losses": torch.tensor(result.losses),
        "digest": result.digest,
        "examples": result.examples,
        "tokens": result.tokens,
        "checkpoint": result.checkpoint,
    }


def saved(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, whole, however many files it lies in."""
    sizes = checkpoints.sizes(folder)
    tensors = {name: torch.empty(size, dtype=dtype) for name, (size, dtype) in sizes.items()}
    checkpoints.load(folder, tensors)
    return tensors
