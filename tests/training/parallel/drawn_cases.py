"""Networks over pictures and sounds with codebooks, slow teachers or parents, which no gradient moves.

Their batches are a pure function of the examples, so that every process makes its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from parity_cases import Case

from seedstock.inputs.keys import Keys
from seedstock.models.configs.autoencoder import AutoencoderConfig
from seedstock.models.configs.codec import CodecConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.codes import VqConfig
from seedstock.objectives.configs.image_diffusion import ImageDiffusionConfig
from seedstock.objectives.configs.residual_codes import ResidualCodesConfig
from seedstock.objectives.configs.views import ByolConfig

SIDE, SAMPLES, SEED, BATCH = 8, 80, 3, 6
STACK = {"width": 16, "layers": 1, "heads": 2, "mlp_width": 32}


def pictures(examples: np.ndarray) -> dict[str, np.ndarray]:
    """Slopes with noise, uint8 ``[B, 8, 8, 3]``."""
    rows = [np.random.default_rng(int(one)).integers(0, 96, (SIDE, SIDE, 3)) for one in examples]
    slopes = (examples[:, None, None, None] * 37 % 128) + np.arange(SIDE)[:, None] * 4
    found = (np.stack(rows) + slopes).astype(np.uint8)
    return {"image": found, "label": (examples % 3).astype(np.int32), "present": np.ones(len(examples), bool)}


def sounds(examples: np.ndarray) -> dict[str, np.ndarray]:
    """Tones with noise, int16 ``[B, 80]``."""
    noise = np.stack([np.random.default_rng(int(one)).normal(0, 500, SAMPLES) for one in examples])
    tones = 8000 * np.sin(np.arange(SAMPLES) * (0.2 + 0.1 * (examples[:, None] % 7)))
    whole = np.full(len(examples), SAMPLES, np.int32)
    return {"waveform": (tones + noise).astype("<i2"), "length": whole, "present": np.ones(len(examples), bool)}


@dataclass(frozen=True)
class Drawn(Case):
    """A case over items that ``items(examples)`` draws; ``parents`` are what its objective learns from."""

    items: Callable[[np.ndarray], dict[str, np.ndarray]] = pictures
    parents: dict[str, Any] = field(default_factory=dict)

    def build(self) -> tuple[Any, Any]:
        model = self.model.resolved()
        parents = {name: one.build(0, 7).requires_grad_(False) for name, one in self.parents.items()}
        shapes = {name: one.shape[1:] for name, one in self.items(np.arange(1)).items()}
        spec = Spec(
            vocab_size=0,
            context=model.context,
            model=model,
            seed=SEED,
            models=parents,
            fields=shapes,
            labels=("a", "b", "c"),
        )
        objective = self.objective.build(spec)
        nets = assemble(self.model.build(0, SEED), objective).train()
        with torch.no_grad():  # what begins at zero, or as a copy, would hide what passes through it
            for name, parameter in nets.named_parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
                    parameter.add_(noise * (0.1 if parameter.ndim == 1 else 0.3 / parameter.shape[-1] ** 0.5))
        return nets, objective

    def batch(self, objective: Any, examples: np.ndarray) -> dict[str, np.ndarray]:
        return {**objective.prepare(self.items(examples), Keys(1, examples)), "examples": examples}


class Drawing:
    """A case's batches, by step."""

    def __init__(self, case: Drawn, objective: Any) -> None:
        self.case, self.objective = case, objective

    def batch(self, step: int) -> dict[str, np.ndarray]:
        return self.case.batch(self.objective, np.arange(step * BATCH, (step + 1) * BATCH))


_DIFFUSION = VisionConfig(shape="dit", image=4, channels=4, patch=2, **STACK)
_KL = AutoencoderConfig(shape="kl", image=SIDE, widths=(4, 4), groups=2, latent=4)
DRAWN: dict[str, Callable[[], Drawn]] = {
    "codes of pictures": lambda: Drawn(
        AutoencoderConfig(codes=8, image=SIDE, widths=(4, 8), groups=2, latent=4), VqConfig(decay=0.9)
    ),
    "codes of sounds": lambda: Drawn(
        CodecConfig(samples=SAMPLES, rate=2000, filters=4, ratios=(5, 4), recurrent=1, latent=4, codes=8, books=2),
        ResidualCodesConfig(decay=0.9, fewer=0.5),
        sounds,
    ),
    "latents of a parent": lambda: Drawn(
        _DIFFUSION, ImageDiffusionConfig(latents="run:kl", scale=1.0), parents={"run:kl": _KL}
    ),
    "a slow teacher": lambda: Drawn(
        VisionConfig(shape="vit", image=SIDE, patch=4, **STACK), ByolConfig(hidden=16, outputs=8)
    ),
}
