"""Networks small enough for tests, one for each shape."""

from __future__ import annotations

import torch

from seedstock.models.configs.decoder import DecoderConfig

torch.set_num_threads(1)

SHAPES = ("qwen3", "llama", "gpt2", "plain")
VOCABULARY = 96


def small(shape="qwen3", **changes):
    """A configuration with every size."""
    grouped = {} if shape == "gpt2" else {"kv_heads": 2}
    sizes = {"width": 32, "layers": 3, "heads": 4, "context": 48, "mlp_width": 64, **grouped}
    return DecoderConfig(shape=shape, **{**sizes, **changes})


def lively(shape="qwen3", seed=1, **changes):
    """A network whose weights are large enough that every part of it matters to the logits, in eval mode."""
    network = small(shape, **changes).build(VOCABULARY, seed).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
            parameter.add_(noise * (0.1 if parameter.ndim == 1 else 0.3 / parameter.shape[-1] ** 0.5))
    return network


def packed(batch=4, length=33, documents=3, seed=0, vocabulary=VOCABULARY):
    """A batch of windows in which several documents lie end to end."""
    random = torch.Generator().manual_seed(seed)
    ends = torch.rand(batch, length, generator=random) < documents / length
    numbers = ends.cumsum(1)
    starts = torch.where(ends, torch.arange(length), 0).cummax(1).values
    return {
        "tokens": torch.randint(0, vocabulary, (batch, length), generator=random),
        "documents": numbers,
        "positions": torch.arange(length) - starts,
        "examples": torch.arange(100, 100 + batch),
    }
