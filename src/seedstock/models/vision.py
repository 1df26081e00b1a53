"""A vision transformer: patches, backbone, and no head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.dropout import Dropout
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.network import Table
from seedstock.models.norms import norm
from seedstock.models.patches import fixed, normalised, patchify
from seedstock.models.roles import ROLES
from seedstock.models.whole import Whole

OWN_ROLES = (("embedding.patches.weight", "column"), ("embedding.class_token", "vector"), *ROLES)


class PatchEmbedding(nn.Module):
    """Patches to the backbone's width, with where they lie, after a class token where there is one."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.config = config
        self.patches = Linear(config.patch_values, config.width, config.patch_bias)
        self.class_token = nn.Parameter(torch.empty(config.width)) if config.class_token else None
        self.positions = Table(config.context, config.width) if config.position == "learned" else None
        self.sines = config.position == "sines"
        self.norm = norm(config.norm, config.width, config.norm_epsilon) if config.embedding_norm else None
        self.dropout = Dropout(config.dropout, seed, "embedding")

    def forward(self, patches_BTP: Tensor, places_BT: Tensor, dtype: torch.dtype, examples_B: Tensor | None) -> Tensor:
        x_BTD = self.patches(patches_BTP.to(dtype))
        first = int(self.class_token is not None)
        if self.positions is not None:
            x_BTD = x_BTD + self.positions(places_BT + first, dtype)
        elif self.sines:
            x_BTD = x_BTD + fixed(places_BT, self.config, self.config.width).to(dtype)
        if self.class_token is not None:
            start_D = self.class_token.to(dtype)
            if self.positions is not None:
                start_D = start_D + self.positions.weight[0].to(dtype)
            x_BTD = torch.cat([start_D.expand(len(x_BTD), 1, -1), x_BTD], dim=1)
        if self.norm is not None:
            x_BTD = self.norm(x_BTD)
        return self.dropout(x_BTD, examples_B)


class VisionNetwork(Whole):
    """Embedding and backbone over patches. ``config`` has every size."""

    role_patterns = OWN_ROLES

    def assemble(self) -> None:
        """Embedding and backbone."""
        self.embedding = PatchEmbedding(self.config, self.seed)
        self.backbone = Backbone(self.config, self.seed)

    def embed(self, patches_BTP: Tensor, places_BT: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """Some or all patches of pictures, numbered from 0 row by row: ``[B, T, D]``, or ``[B, 1 + T, D]`` after the
        class token."""
        return self.embedding(patches_BTP, places_BT, self.compute_dtype, examples_B)

    def inputs(self, images_BHWC: Tensor, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for whole pictures, or clips ``[B, F, H, W, C]``; uint8 or normalised."""
        patches_BTP = patchify(normalised(images_BHWC), self.config.patch, self.config.tubelet)
        places_BT = torch.arange(patches_BTP.shape[1], device=patches_BTP.device).expand(patches_BTP.shape[:2])
        return self.given(self.embed(patches_BTP, places_BT, examples_B), examples_B)

    @staticmethod
    def given(x_BTD: Tensor, examples_B: Tensor | None = None) -> dict[str, Any]:
        """What the backbone is called with for embedded patches: all see each other."""
        positions = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        return {"x": x_BTD, "positions": positions, "attention": Mask("full"), "examples": examples_B}

    def forward(self, images: Tensor) -> Tensor:
        """The last hidden states ``[B, T, D]`` of pictures ``[B, H, W, C]``."""
        return self.backbone(**self.inputs(images)).hidden

    def pooled(self, hidden_BTD: Tensor) -> Tensor:
        """One fp32 vector a picture ``[B, D]``: its class token where the shape reads that, else its patches' mean."""
        if self.config.pool == "class" and self.config.class_token:
            return hidden_BTD[:, 0].float()
        return hidden_BTD[:, int(self.config.class_token) :].float().mean(dim=1)
