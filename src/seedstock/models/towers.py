"""Two networks side by side, one for pictures and one for texts, behind one backbone that is told which."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Output
from seedstock.models.keys import key64
from seedstock.models.network import Network
from seedstock.models.vision import VisionNetwork


class Either(nn.Module):
    """Runs the backbone of the tower that is named; holds none, so that state dicts have each once."""

    def __init__(self, network: TowersNetwork) -> None:
        super().__init__()
        self._towers = (network,)

    def forward(self, *, tower: str, **given: Any) -> Output:
        return getattr(self._towers[0], tower).backbone(**given)


class TowersNetwork(nn.Module):
    """``picture`` and ``text``; ``backbone(tower=…, …)`` runs one of them. ``config`` has every size."""

    def __init__(self, config: Any, vocab_size: int, seed: int = 1, device: str = "cpu") -> None:
        super().__init__()
        self.config, self.vocab_size, self.seed = config, vocab_size, seed
        self.picture: VisionNetwork = config.picture.build(0, key64("picture", seed), device)
        self.text: Network = config.text.build(vocab_size, key64("text", seed), device)
        self.backbone = Either(self)

    def roles(self) -> dict[str, str]:
        """Those of both towers."""
        towers = [(tower, getattr(self, tower).roles()) for tower in self.config.towers]
        return {f"{tower}.{name}": role for tower, roles in towers for name, role in roles.items()}

    def use(self, dtype: torch.dtype) -> TowersNetwork:
        """Computes in ``dtype`` from now on; the weights stay fp32."""
        for tower in self.config.towers:
            getattr(self, tower).use(dtype)
        return self

    def compile(self, **options: Any) -> None:
        """Compiles the blocks of both."""
        for tower in self.config.towers:
            getattr(self, tower).compile(**options)

    def pictures(self, images_BHWC: Tensor, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for pictures."""
        return {"tower": "picture", **self.picture.inputs(images_BHWC, examples_B)}

    def texts(self, tokens_BT: Tensor, attention: Any, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for texts that each begin at the first position."""
        positions = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None]
        x = self.text.embed(tokens_BT, positions.expand(tokens_BT.shape), examples_B)
        return {"tower": "text", "x": x, "positions": positions, "attention": attention, "examples": examples_B}
