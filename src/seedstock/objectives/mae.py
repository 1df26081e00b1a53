"""Masked autoencoder: most patches are hidden, and drawn again from the few that are seen (He et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.initialise import initialise
from seedstock.models.keys import key64
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.patches import fixed, normalised, patchify, unpatchify
from seedstock.models.roles import ROLES, assign
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.mae import MaeConfig
from seedstock.objectives.pictures import crops, features, flips

EPSILON = 1e-6


class Decoder(nn.Module):
    """A narrow stack over seen patches and, in the place of each hidden one, a learned vector; then its pixels."""

    def __init__(self, config: MaeConfig, spec: Spec) -> None:
        super().__init__()
        outer, width = spec.model, config.decoder_width
        inner = {"width": width, "layers": config.decoder_layers, "heads": config.decoder_heads}
        open_sizes = {"kv_heads": None, "head_size": None, "mlp_width": 4 * width}
        own = outer.model_copy(update={**inner, **open_sizes, "dropout": 0.0, "size": None}).resolved()
        self.outer, self.width, self.first = outer, width, int(outer.class_token)
        self.embed = Linear(outer.width, width, config.decoder_bias)
        self.hidden = nn.Parameter(torch.empty(width))
        self.backbone = Backbone(own, spec.seed)
        self.draw = Linear(width, outer.patch_values, True)
        initialise(self, self.roles(), own, key64("mae", spec.seed))

    def roles(self) -> dict[str, str]:
        """Matrices into and out of the stack are small; those inside are as in the network."""
        ends = (("embed.weight", "column"), ("draw.weight", "head"), ("hidden", "vector"))
        return assign((name for name, _ in self.named_parameters()), (*ends, *ROLES))

    def forward(self, seen_BTD: Tensor, seen_BT: Tensor, hidden_BT: Tensor, examples_B: Tensor) -> Tensor:
        """Pixels of the hidden patches ``[B, T, P]``, fp32."""
        x_BTD = self.embed(seen_BTD)
        start_BTD, seen_BTD = x_BTD[:, : self.first], x_BTD[:, self.first :]
        dtype, count = x_BTD.dtype, hidden_BT.shape[1]
        blank_BTD = self.hidden.to(dtype).expand(len(x_BTD), count, -1)
        places_BTD = fixed(torch.cat([seen_BT, hidden_BT], dim=1), self.outer, self.width).to(dtype)
        x_BTD = torch.cat([start_BTD, torch.cat([seen_BTD, blank_BTD], dim=1) + places_BTD], dim=1)
        positions = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        found = self.backbone(x_BTD, positions, Mask("full"), examples=examples_B).hidden[:, -count:]
        return self.draw(found).float()


class Mae(Objective):
    """Mean squared error of hidden patches, each normalised by its own mean and deviation.

    A patch of one colour has no deviation, and nothing in it is to be drawn: normalised ones are not counted.
    """

    exports = "vit_mae"
    reads = "image"

    def __init__(self, config: MaeConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or MaeConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``present`` ``[B]``."""
        images = crops(items["image"], keys, self.config.crop)
        return {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``seen`` and ``hidden``: the numbers of patches, ``[B, …]`` each, in order."""
        patches = self.spec.model.patches
        order = torch.from_numpy(keys.uniform("mask", patches)).argsort(dim=1).to(batch["image"].device)
        hidden = round(patches * self.config.mask)
        return {**batch, "seen": order[:, hidden:].sort(dim=1).values, "hidden": order[:, :hidden].sort(dim=1).values}

    def counts(self, batch: Batch) -> Sums:
        """``patches``: the hidden patches of pictures that are there."""
        return {"patches": self._counted(batch, at(self._patches(batch), batch["hidden"])).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The seen patches alone."""
        network, examples = nets["network"], batch.get("examples")
        seen_BTP = at(self._patches(batch), batch["seen"])
        return network.given(network.embed(seen_BTP, batch["seen"], examples), examples)

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``patches``: the sum over hidden patches of the mean squared error of their pixels."""
        drawn = nets["decoder"](output.hidden, batch["seen"], batch["hidden"], batch["examples"])
        hidden = at(self._patches(batch), batch["hidden"])
        errors = (drawn - self._targets(hidden)).square().mean(dim=-1)
        return {"patches": (errors * self._counted(batch, hidden)).sum()}, {}

    def nets(self) -> dict[str, nn.Module]:
        """The decoder, which is thrown away afterwards."""
        return {"decoder": Decoder(self.config, self.spec)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches of whole pictures ``[B, D]``."""
        return features(nets, batch)

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Rows of: the picture; what is seen of it; what is drawn, its own mean and deviation lent where it was
        normalised by them."""
        model, patches = self.spec.model, self._patches(batch)
        output = nets["network"].backbone(**self.inputs(nets, batch))
        drawn = nets["decoder"](output.hidden, batch["seen"], batch["hidden"], batch["examples"])
        if self.config.normalise:
            truth = at(patches, batch["hidden"])
            drawn = drawn * deviation(truth) + truth.mean(dim=-1, keepdim=True)
        where = batch["hidden"][..., None].expand(-1, -1, patches.shape[-1])
        rows = [patches, patches.scatter(1, where, torch.zeros_like(drawn)), patches.scatter(1, where, drawn)]
        whole = torch.stack([unpatchify(row, model.patch, model.channels) for row in rows])
        return ((whole.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``own mean``: every hidden patch drawn as its mean, all of it grey where it is normalised; and without that
        ``seen mean``: as the mean of the seen patches, which a network can know."""
        totals: dict[str, float] = {}
        count = 0
        for batch in batches:
            patches = self._patches(batch)
            hidden, seen = at(patches, batch["hidden"]), at(patches, batch["seen"])
            counted, away = self._counted(batch, hidden), {"own mean": self._targets(hidden)}
            if not self.config.normalise:
                away["own mean"] = hidden - hidden.mean(dim=-1, keepdim=True)
                away["seen mean"] = hidden - seen.mean(dim=(1, 2), keepdim=True)
            for name, one in away.items():
                errors = one.square().mean(dim=-1)
                totals[name] = totals.get(name, 0.0) + float((errors * counted).sum())
            count += int(counted.sum())
        return {name: total / max(1, count) for name, total in totals.items()}

    def expect(self, spec: Spec) -> Expectation:
        """Before training next to nothing is drawn, so that the error is the targets' mean square: (P - 1) / P for
        normalised patches of P numbers."""
        values = self.numbers
        return Expectation(
            first={"patches": (values - 1) / values} if self.config.normalise else {},
            floor="each hidden patch drawn as its own mean",
            collapse="the error stays at the targets' mean square: one grey for everything",
            collapse_at={"patches": "own mean"} if self.config.normalise else {},
        )

    @property
    def numbers(self) -> int:
        """Of a patch that share a mean and a deviation."""
        return self.spec.model.patch_values

    def _counted(self, batch: Batch, hidden: Tensor) -> Tensor:
        """``[B, T]``: hidden patches that there is something to draw in."""
        there = batch["present"][:, None].expand(hidden.shape[:2])
        return there & (hidden.var(dim=-1) > EPSILON) if self.config.normalise else there

    def _patches(self, batch: Batch) -> Tensor:
        return patchify(normalised(batch[self.reads]), self.spec.model.patch, self.spec.model.tubelet)

    def _targets(self, patches: Tensor) -> Tensor:
        """What is to be drawn."""
        if not self.config.normalise:
            return patches
        return (patches - patches.mean(dim=-1, keepdim=True)) / deviation(patches)


def deviation(patches: Tensor) -> Tensor:
    """Of each patch's numbers."""
    return (patches.var(dim=-1, keepdim=True) + EPSILON).sqrt()


def at(patches_BTP: Tensor, places_BT: Tensor) -> Tensor:
    """The patches with these numbers."""
    return patches_BTP.gather(1, places_BT[..., None].expand(-1, -1, patches_BTP.shape[-1]))
