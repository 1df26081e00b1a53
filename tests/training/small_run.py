"""A small network, objective and loader to train: the real ones, on numbers made up from the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seedstock.ledger.chain import Chain
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import Result, fit

VOCABULARY, CONTEXT, BATCH = 64, 16, 6


class SmallLoader:
    """Batches as a pure function of the step: each text counts upwards, from a start that its number gives."""

    def __init__(self, batch: int = BATCH) -> None:
        self.size = batch

    def batch(self, step: int) -> dict[str, np.ndarray]:
        examples = np.arange(step * self.size, (step + 1) * self.size)
        starts = examples * 7919 % VOCABULARY
        tokens = (starts[:, None] + np.arange(CONTEXT + 1) * (1 + examples[:, None] % 3)) % VOCABULARY
        documents = (np.arange(CONTEXT + 1)[None] >= (examples % CONTEXT)[:, None]).astype(np.int64)
        positions = np.where(documents, np.arange(CONTEXT + 1) - (examples % CONTEXT)[:, None], np.arange(CONTEXT + 1))
        return {"examples": examples, "tokens": tokens, "documents": documents, "positions": positions}


def small_network(**changes: Any) -> Any:
    """A decoder of two layers, dropout on."""
    sizes = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "context": CONTEXT, "dropout": 0.1} | changes
    return DecoderConfig(shape="qwen3", **sizes).build(VOCABULARY, seed=3)


def small_config(**changes: Any) -> TrainingConfig:
    """Nothing left to measure."""
    chosen: dict[str, Any] = {"steps": 20, "checkpoint_every": 5, "precision": "fp32", "compile": False, "threads": 1}
    chosen |= {"micro_batch": BATCH, "batch_examples": BATCH, "optimizer": {"kind": "muon", "precision": "bf16"}}
    return TrainingConfig(**chosen | changes)


def small_fit(folder: Path, config: TrainingConfig | None = None, network: Any = None, **given: Any) -> Result:
    """``fit`` on all of it."""
    return fit(
        network=network or small_network(),
        objective=given.pop("objective", None) or CausalConfig().build(),
        loader=given.pop("loader", None) or SmallLoader(),
        config=config or small_config(),
        run_folder=folder,
        chain=given.pop("chain", None) or Chain(folder / "ledger" / "chain.jsonl"),
        **given,
    )
