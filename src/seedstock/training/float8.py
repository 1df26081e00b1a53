"""Products of hidden matrices in float8 (Micikevicius et al. 2022, arXiv 2209.05433), by torchao's training recipes.

Weights stay fp32 parameters of the same names and modules, so that optimizers, layouts and checkpoints see nothing of
it: a layer is handed another product. Matrices that are multiplied together (queries, keys and values; gate and up) are
one operand, with one scale where the recipe is tensorwise. Outside of training the plain product is taken.
"""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.errors import RecipeError
from seedstock.models.block import Block
from seedstock.models.linear import Linear
from seedstock.training.configs.float8 import Float8Config
from seedstock.training.optimizers.groups import trained

SIDE = 16
"""What the sides of operands must be divisible by."""
LEAST = (8, 9)
"""The compute capability from which NVIDIA devices multiply float8."""


class Product:
    """``x @ weight.T`` [..., out] by torchao's function, of which it makes the settings. Operands of which a side is
    not divisible by 16 are multiplied as they are."""

    def __init__(self, config: Float8Config) -> None:
        torchao = _torchao()
        recipe = torchao.Float8LinearConfig.from_recipe_name(config.recipe)
        # The way in that torchao offers is from layers of torch's; ours join matrices before they multiply.
        made = torchao.convert_to_float8_training(
            nn.Linear(SIDE, SIDE, bias=False, device="meta"),
            config=dataclasses.replace(recipe, emulate=config.emulate),
        )
        self.settings = made.linear_mm_config, made.config
        self.function: Any = torchao.float8_linear.matmul_with_hp_or_float8_args

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        if (x.numel() // x.shape[-1]) % SIDE or weight.shape[0] % SIDE or weight.shape[1] % SIDE:
            return F.linear(x, weight)
        return self.function.apply(x, weight.t(), *self.settings)

    def __deepcopy__(self, memo: Any) -> Product:
        return self


def use(nets: nn.ModuleDict, config: Float8Config, device: torch.device | None = None) -> int:
    """Has the hidden matrices of the nets multiplied in float8 in training, in place; returns how many. ``device`` is
    where they will be, if they are not there yet.

    Raises RecipeError where the device has no such products and they are not emulated, where torchao is missing, and
    where no matrix fits.
    """
    parameters, roles = trained(nets)
    _require(device or next(iter(parameters.values())).device, config)
    product, names = Product(config), {id(parameter): name for name, parameter in parameters.items()}
    found = 0
    inside = (layer for block in nets.modules() if isinstance(block, Block) for layer in block.modules())
    for layer in inside:
        if not isinstance(layer, Linear) or roles.get(name := names.get(id(layer.weight), "")) not in ("column", "row"):
            continue
        if any(fnmatchcase(name, pattern) for pattern in config.leave) or any(n % SIDE for n in layer.weight.shape):
            continue
        layer.product = product
        found += 1
    if not found:
        raise RecipeError(
            f"no hidden matrix is left that has sides divisible by {SIDE}",
            where="training.float8",
            fix="leave training.float8 out, or change model.width and training.float8.leave",
        )
    return found


def _require(device: torch.device, config: Float8Config) -> None:
    if config.emulate:
        return
    has = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    if has is None or has < LEAST:
        what = "a CPU" if device.type == "cpu" else device.type if has is None else f"one of {has[0]}.{has[1]}"
        raise RecipeError(
            f"float8 products need a GPU of compute capability {LEAST[0]}.{LEAST[1]} or above, and this is {what}",
            where="training.float8",
            fix="leave it out, or set training.float8.emulate: true for the same rounding without the speed",
        )


def _torchao() -> Any:
    try:
        import torchao.float8
        import torchao.float8.float8_linear
    except ImportError as error:
        raise RecipeError(
            "torchao is not installed", where="training.float8", fix="pip install 'seedstock[float8]', or leave it out"
        ) from error
    return torchao.float8
