"""Which parameter is treated how: by its role and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from seedstock.errors import SeedstockError

Parameters = dict[str, nn.Parameter]
_BLOCK = re.compile(r"\.blocks\.(\d+)\.")


def hidden_matrices(parameters: Parameters, roles: dict[str, str]) -> tuple[Parameters, Parameters]:
    """The hidden weight matrices (of experts stacks of them), and the rest: embeddings, heads, routers, vectors."""
    outside = {"embedding", "head", "router", "vector"}
    hidden = {name: p for name, p in parameters.items() if p.ndim in (2, 3) and roles.get(name) not in outside}
    return hidden, {name: p for name, p in parameters.items() if name not in hidden}


def decayed(parameters: Parameters, weight_decay: float, **options: Any) -> list[dict[str, Any]]:
    """Parameter groups in which matrices are decayed and vectors never are."""
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group | options for group in groups if group["params"]]


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
