"""Block diffusion: masked text diffusion inside of blocks, which follow each other from left to right (Arriola et al.
2025, BD3-LM, arXiv 2503.09573)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Spec, Sums
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.diffusion import Diffusion


class BlockDiffusion(Diffusion):
    """The bound of each block given the blocks before it, summed: nearer to the likelihood the smaller they are.

    All blocks of a window are trained in one pass (section 3.1 there): the window goes in twice, corrupted and clean,
    and a corrupted block sees itself and the clean blocks before it. Blocks count from the start of each document.
    """

    def __init__(self, config: DiffusionConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        for key in ("window", "convolution"):
            if getattr(self.spec.model, key, None):
                what = "a window is trained beside its corrupted copy, where what is near by is not next to it"
                raise RecipeError(what, where=f"model.{key}", fix="leave it out, or set objective.block: null")

    @property
    def size(self) -> int:
        """Tokens of a block."""
        assert self.config.block is not None
        return self.config.block

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """As without blocks, but that ``share`` ``[B, T]`` is drawn for each block by itself."""
        tokens, positions, least = batch["tokens"], batch["positions"], self.config.least
        drawn, order = (
            torch.from_numpy(keys.uniform(name, tokens.shape[1])).to(tokens.device) for name in ("share", "hide")
        )
        first = torch.arange(tokens.shape[1], device=tokens.device) - positions % self.size
        share = (1 - least) * drawn.gather(1, first) + least
        return {**batch, "share": share.float(), "hidden": (order < share) & self._counted(batch)}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The corrupted window and, behind it, the clean one: ``[B, 2T, D]``."""
        corrupted = torch.where(batch["hidden"], self.spec.specials["mask"], batch["tokens"])
        tokens = torch.cat([corrupted, batch["tokens"]], 1)
        positions, documents = (batch[name].repeat(1, 2) for name in ("positions", "documents"))
        noisy = torch.arange(tokens.shape[1], device=tokens.device) < batch["tokens"].shape[1]
        seen = replace(self._attention(positions, documents), noisy=noisy)
        return self._inputs(nets, tokens, positions, seen, batch.get("examples"))

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """As without blocks, over the corrupted half."""
        return super().loss(nets, replace(output, hidden=output.hidden[:, : batch["tokens"].shape[1]]), batch)

    def _attention(self, positions: Tensor, documents: Tensor | None) -> Mask:
        documents = Mask.over(documents).documents
        return Mask("blocks", documents, blocks=positions // self.size)

    def _sizes(self, start: int, count: int) -> list[int]:
        """The rest of the prompt's last block, then block by block."""
        first = min(count, -start % self.size)
        rest = count - first
        whole = [self.size] * (rest // self.size)
        return [size for size in (first, *whole, rest % self.size) if size]
