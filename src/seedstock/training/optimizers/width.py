"""Rates by width: µP's factors on the parameter groups that optimizers have made."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from seedstock.errors import RecipeError
from seedstock.models.width import scale


def apply(optimizers: list[Optimizer], parameters: dict[str, nn.Parameter], roles: dict[str, str], model: Any) -> None:
    """Divides the groups by µP's factors, in place: the rate is multiplied, and of matrices the weight decay divided.

    So a step takes the same share of a weight away at every width (Wang and Aitchison 2024, arXiv 2405.13698).
    Matrices that an objective adds are the network's width too. Raises RecipeError for Adafactor, whose rate is
    relative to a weight's size.
    """
    scales = {id(p): scale(model, name.partition(".")[2], roles[name]) for name, p in parameters.items()}
    for optimizer in optimizers:
        if type(optimizer).__name__ == "Adafactor":
            raise RecipeError(
                "there is no rule for Adafactor at other widths: its rates are relative to the weights' size",
                where="model.base_width",
                fix="take adamw, muon, soap or lion, or leave base_width out",
            )
        divided: list[dict[str, Any]] = []
        for group in optimizer.param_groups:
            # Muon's own rate goes by the spectral norm unless it copies the size of AdamW's updates.
            kind = "spectral" if group.get("adjust") == "original" else "adam"
            by: dict[float, list[nn.Parameter]] = {}
            for p in group["params"]:
                by.setdefault(getattr(scales[id(p)], kind), []).append(p)
            for factor, own in sorted(by.items(), reverse=True):
                decay = group["weight_decay"] / factor
                divided.append({**group, "params": own, "lr": group["lr"] * factor, "weight_decay": decay})
        optimizer.param_groups[:] = divided
