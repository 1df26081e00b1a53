"""What a recipe leaves to the machine, where the model fits no device whole to be measured on: by estimate."""

from __future__ import annotations

from typing import Any

import torch

from seedstock.errors import RecipeError
from seedstock.planning.hardware import system_memory
from seedstock.planning.layout import under
from seedstock.planning.memory import ROOM, Use, memory, peak
from seedstock.planning.parameters import Shape
from seedstock.training.configs.parallel import Degrees
from seedstock.training.configs.training import TrainingConfig


def room(device: torch.device) -> int:
    """Bytes of memory that a device has; 0 where nothing says."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return system_memory()


def too_large(config: TrainingConfig, network: Any, device: torch.device) -> bool:
    """Whether the whole network, one example and its gradients, without an optimizer, are beyond a device's memory."""
    use, have = _use(config, device), room(device)
    parts = memory(Shape.of(network.config), network.vocab_size, use)
    return bool(have) and peak(parts, use) - parts["optimizer"] > ROOM * have


def presume(
    config: TrainingConfig, network: Any, device: torch.device, degrees: Degrees
) -> tuple[TrainingConfig, dict[str, Any]]:
    """The configuration with nothing left to measure, and the figures behind it: bf16 on GPUs, no compilation, and the
    largest micro-batch that an estimate of memory allows, at least one example.

    Raises RecipeError where the run's length is to be measured.
    """
    if config.steps is None and config.tokens is None:
        what = "how many steps fit into training.time cannot be measured: the model fits no device whole"
        raise RecipeError(what, where="training.time", fix="give training.steps or training.tokens in its place")
    use, examples = _use(config, device), config.batch_examples or 1
    sharing = degrees.ranks if device.type == "cpu" else 1  # processes that have the device's memory in common
    among = degrees.context * degrees.pipeline  # these have parts of the weights too, and all of a batch
    found = under(
        Shape.of(network.config),
        network.vocab_size,
        use,
        degrees.data,
        degrees.shard * among,
        degrees.tensor,
        memory_bytes=room(device) / sharing,
        examples=examples * among,
    )
    size = config.micro_batch or (found.use.micro_batch if found else 1)
    chosen: dict[str, Any] = {"precision": use.precision, "micro_batch": min(size, examples)}
    chosen |= {"threads": config.threads or torch.get_num_threads(), "compile": config.compile is True}
    chosen |= {"tokens": None, "time": None}
    if config.steps is None:
        chosen["steps"] = max(1, round((config.tokens or 0) / (examples * network.config.context)))
    if getattr(config.optimizer, "precision", None) == "auto":
        chosen["optimizer"] = config.optimizer.model_copy(update={"precision": use.precision})
    return config.model_copy(update=chosen), {"estimated": {"bytes": found.bytes if found else None}}


def _use(config: TrainingConfig, device: torch.device) -> Use:
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return Use(
        config.micro_batch or 1,
        optimizer=config.optimizer.kind,
        precision="bf16" if half else "fp32",
        ema=config.ema is not None,
        device="cpu" if device.type == "cpu" else "gpu",
        recompute=config.recompute,
    )
