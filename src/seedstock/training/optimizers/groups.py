"""Which parameter is treated how: by its role and shape."""

from __future__ import annotations

from typing import Any

from torch import nn

from seedstock.errors import SeedstockError

Parameters = dict[str, nn.Parameter]


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
