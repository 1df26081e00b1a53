"""Optimizers as recipes write them. Free of torch.

A package's own optimizer is a configuration with ``build(parameters, roles)``: the named parameters and the role of
each, to a list of torch optimizers whose groups' ``lr`` is the peak; every state value must be a tensor or a number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Config

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(Config):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101); vectors (norms, biases) are never decayed.

    ``learning_rate`` is the size dial's where it is not given, and 3e-3 where there is no dial. ``rates`` are factors
    on it by patterns of parameters' names, the first that fits (``{"class_head.*": 10, "*embedding*": 0}``; with 0 a
    parameter stays as it is); ``layer_decay`` is one more for every layer below the last, and one more still for
    embeddings (Clark et al. 2020, arXiv 2003.10555, appendix: 0.8 for small models).
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: Positive | None = None
    betas: tuple[Share, Share] = (0.9, 0.95)
    eps: Positive = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    rates: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """One torch optimizer over all parameters."""
        from seedstock.training.optimizers.adamw import build

        return [build(self, parameters)]


class MuonConfig(Config):
    """Muon for hidden matrices (Jordan et al. 2024, kellerjordan.github.io/posts/muon), AdamW for the rest.

    ``rest`` is for embeddings, heads and vectors. ``adjust`` scales the rate by the matrix's shape: ``original`` by
    sqrt(max(1, rows / columns)), ``match_rms_adamw`` by 0.2 sqrt(max(rows, columns)) (Liu et al. 2025, arXiv
    2502.16982), with which AdamW's rates and decay carry over. ``learning_rate`` is the size dial's where it is not
    given, and where there is no dial 0.02 (3e-3 with ``match_rms_adamw``). ``precision`` is that of the
    orthogonalization: bf16 where the machine multiplies it faster. ``rates`` are factors on the rate of hidden matrices
    by patterns of names, as AdamW's are.
    """

    kind: Literal["muon"] = "muon"
    learning_rate: Positive | None = None
    momentum: Share = 0.95
    nesterov: bool = True
    iterations: Annotated[int, Field(ge=1, lt=100)] = 5
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    adjust: Literal["original", "match_rms_adamw"] = "original"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    rates: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    rest: AdamWConfig = AdamWConfig(weight_decay=0.0)

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """Two torch optimizers: one for hidden matrices, one for the rest."""
        from seedstock.training.optimizers.muon import build

        return build(self, parameters, roles)
