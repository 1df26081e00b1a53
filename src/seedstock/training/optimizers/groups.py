"""Which parameter is treated how: by its role and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from seedstock.errors import RecipeError, SeedstockError, nearest
from seedstock.training.configs.optimizers import OptimizerConfig
from seedstock.training.optimizers import width

if TYPE_CHECKING:
    from seedstock.training.configs.training import TrainingConfig

Parameters = dict[str, nn.Parameter]
_BLOCK = re.compile(r"\.blocks\.(\d+)\.")


def hidden_matrices(parameters: Parameters, roles: dict[str, str]) -> tuple[Parameters, Parameters]:
    """The hidden weight matrices (of experts stacks of them), and the rest: embeddings, heads, routers, vectors."""
    outside = {"embedding", "head", "router", "vector"}
    hidden = {name: p for name, p in parameters.items() if p.ndim in (2, 3) and roles.get(name) not in outside}
    return hidden, {name: p for name, p in parameters.items() if name not in hidden}


def grouped(
    parameters: Parameters, config: OptimizerConfig, rate: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameter groups, one for each learning rate and weight decay, the highest first (see ``OptimizerConfig``)."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for factor, own in by_rate(parameters, config.rates, layer_decay).items():
        for name, parameter in own.items():
            usual = config.weight_decay if parameter.ndim >= 2 else 0.0
            decay = next((value for pattern, value in config.decays.items() if fnmatchcase(name, pattern)), usual)
            found.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": own, "lr": rate * factor, "weight_decay": decay}
        for (factor, decay), own in sorted(found.items(), key=lambda item: item[0], reverse=True)
    ]


def by_rate(parameters: Parameters, rates: Mapping[str, float], layer_decay: float) -> dict[float, Parameters]:
    """Parameters by the factor on their learning rate, the highest first: ``rates`` are factors by patterns of names
    (the first that fits), ``layer_decay`` is one more for every block above a parameter's own."""
    depths = [int(found[1]) for name in parameters if (found := _BLOCK.search(name))]
    top = max(depths, default=-1) + 1
    groups: dict[float, Parameters] = {}
    for name, parameter in parameters.items():
        factor = next((value for pattern, value in rates.items() if fnmatchcase(name, pattern)), 1.0)
        if layer_decay < 1:
            block = _BLOCK.search(name)
            depth = int(block[1]) + 1 if block else 0 if ".embedding." in name else top
            factor *= layer_decay ** (top - depth)
        groups.setdefault(factor, {})[name] = parameter
    return dict(sorted(groups.items(), reverse=True))


def build(config: TrainingConfig, parameters: Parameters, roles: dict[str, str], model: Any = None) -> list[Optimizer]:
    """All optimizers of a run: ``config.optimizer``, first, and those of ``config.groups``.

    Of a ``model`` (its configuration) with a base width the rates are those of µP at its width. Raises RecipeError
    where a group's pattern fits no parameter that an earlier one left, and where an optimizer has no rule for widths.
    """
    found = _by_name(config, parameters, roles)
    if getattr(model, "base_width", None):
        width.apply(found, parameters, roles, model)
    return found


def _by_name(config: TrainingConfig, parameters: Parameters, roles: dict[str, str]) -> list[Optimizer]:
    left, found = dict(parameters), list[Optimizer]()
    for pattern, one in config.groups.items():
        own = {name: left.pop(name) for name in [*left] if fnmatchcase(name, pattern)}
        if not own:
            close = nearest(pattern, parameters)
            raise RecipeError(
                f"no parameter is named like {pattern!r}" + (", or an earlier group has them all" if found else ""),
                where="training.groups",
                fix=f"parameters are named like {close or next(iter(parameters))!r}; * stands for anything",
            )
        found += one.build(own, {name: roles[name] for name in own})
    if not left:
        return found
    return [*config.optimizer.build(left, {name: roles[name] for name in left}), *found]


def trained(nets: nn.ModuleDict) -> tuple[Parameters, dict[str, str]]:
    """Every parameter that wants a gradient, by its global name ``net.name``, and its role.

    Raises SeedstockError where a module's ``roles()`` leaves a parameter out: it would get the wrong optimizer in
    silence.
    """
    parameters: Parameters = {}
    roles: dict[str, str] = {}
    seen: set[int] = set()
    for net, module in nets.items():
        own = [(name, p) for name, p in module.named_parameters() if p.requires_grad and id(p) not in seen]
        given: dict[str, str] = module.roles() if own else {}  # type: ignore[operator]
        for name, parameter in own:
            seen.add(id(parameter))
            if name not in given:
                what = f"the parameter {name} of {type(module).__name__} has no role"
                raise SeedstockError(what, fix="give it one in the module's roles()")
            parameters[f"{net}.{name}"], roles[f"{net}.{name}"] = parameter, given[name]
    return parameters, roles
