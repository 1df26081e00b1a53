"""Optimizers as recipes write them. Free of torch.

A package's own optimizer is a configuration with ``build(parameters, roles)``: the named parameters and the role of
each, to a list of torch optimizers whose groups' ``lr`` and ``weight_decay`` are the peaks of their schedules; every
state value must be a tensor or a number.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Config

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]


class OptimizerConfig(Config):
    """What every optimizer says of parameter groups.

    ``rates`` are factors on the learning rate by patterns of parameters' names, the first that fits
    (``{"class_head.*": 10, "*embedding*": 0}``; with 0 a parameter stays as it is). ``weight_decay`` holds for
    matrices, and never for vectors (norms, biases); ``decays`` are other weight decays by patterns of names, for
    vectors too. Of experts' stacks every matrix is one.
    """

    rate_of_adamw: ClassVar[float] = 1.0
    """What AdamW's learning rate is multiplied by where the size dial gives this optimizer's."""

    weight_decay: Decay = 0.0
    rates: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    decays: dict[str, Decay] = Field(default={})


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).

    ``learning_rate`` is the size dial's where it is not given, and 3e-3 where there is no dial. ``layer_decay`` is one
    more factor on it for every layer below the last, and one more still for embeddings (Clark et al. 2020, arXiv
    2003.10555, appendix: 0.8 for small models).
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: Positive | None = None
    betas: tuple[Share, Share] = (0.9, 0.95)
    eps: Positive = 1e-8
    weight_decay: Decay = 0.1
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """One torch optimizer over all parameters."""
        from seedstock.training.optimizers.adamw import build

        return [build(self, parameters)]


class MuonConfig(OptimizerConfig):
    """Muon for hidden matrices (Jordan et al. 2024, kellerjordan.github.io/posts/muon), AdamW for the rest.

    ``rest`` is for embeddings, heads and vectors. ``adjust`` scales the rate by the matrix's shape: ``original`` by
    sqrt(max(1, rows / columns)), ``match_rms_adamw`` by 0.2 sqrt(max(rows, columns)) (Liu et al. 2025, arXiv
    2502.16982), with which AdamW's rates and decay carry over. ``learning_rate`` is the size dial's where it is not
    given, and where there is no dial 0.02 (3e-3 with ``match_rms_adamw``). ``precision`` is that of the
    orthogonalization: bf16 where the machine multiplies it faster. ``rates`` and ``decays`` are those of hidden
    matrices. ``pieces`` says by patterns of names how many matrices the rows of one are, each orthogonalized by itself
    (``{"*.query.weight": 12, "*.key.weight": 12}``: heads). With ``every`` it is for matrices of whatever role, and so
    for a group that names some (``training.groups``: projections, say, whose inputs vary in few directions).
    """

    kind: Literal["muon"] = "muon"
    learning_rate: Positive | None = None
    momentum: Share = 0.95
    nesterov: bool = True
    iterations: Annotated[int, Field(ge=1, lt=100)] = 5
    adjust: Literal["original", "match_rms_adamw"] = "original"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    pieces: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})
    every: bool = False
    rest: AdamWConfig = AdamWConfig(weight_decay=0.0)

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """Two torch optimizers: one for hidden matrices, one for the rest."""
        from seedstock.training.optimizers.muon import build

        return build(self, parameters, roles)


class SoapConfig(OptimizerConfig):
    """SOAP (Vyas et al. 2024, arXiv 2409.11321) for hidden matrices, AdamW for the rest.

    Adam in the eigenbasis of Shampoo's two factors, which is brought up to date every ``frequency`` steps by one step
    of orthogonal iteration. A side of a matrix with more than ``largest`` rows or columns stays as it is. AdamW's
    rates carry over: ``learning_rate`` is the size dial's where it is not given, and 3e-3 where there is no dial. The
    state of a matrix [m, n] is 2 m n + 2 m² + 2 n² numbers in fp32.
    """

    kind: Literal["soap"] = "soap"
    learning_rate: Positive | None = None
    betas: tuple[Share, Share] = (0.95, 0.95)
    eps: Positive = 1e-8
    frequency: Annotated[int, Field(ge=1)] = 10
    largest: Annotated[int, Field(ge=0)] = 8192
    rest: AdamWConfig = AdamWConfig(weight_decay=0.0)

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """Two torch optimizers: one for hidden matrices, one for the rest."""
        from seedstock.training.optimizers.soap import build

        return build(self, parameters, roles)


class LionConfig(OptimizerConfig):
    """Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): the sign of an average of gradients, one momentum.

    Its rate is 3 to 10 times lower than AdamW's, and its weight decay as many times higher (section 5).
    ``learning_rate`` is a fifth of AdamW's by the size dial where it is not given, and 3e-4 where there is no dial.
    """

    rate_of_adamw: ClassVar[float] = 0.2

    kind: Literal["lion"] = "lion"
    learning_rate: Positive | None = None
    betas: tuple[Share, Share] = (0.9, 0.99)

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """One optimizer over all parameters."""
        from seedstock.training.optimizers.lion import build

        return [build(self, parameters)]


class AdafactorConfig(OptimizerConfig):
    """Adafactor (Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4), as ``torch.optim.Adafactor`` has it.

    The second moments of a matrix are kept as the means of its rows and of its columns, so that the state is next to
    nothing. ``learning_rate`` is relative to each parameter's root mean square (at least ``smallest``), and never more
    than 1 / sqrt(step). ``decay`` is the power of the step that new second moments count by; updates with a root mean
    square above ``threshold`` are scaled down to it. An estimated squared gradient is at least ``eps`` squared. There
    is no momentum.
    """

    kind: Literal["adafactor"] = "adafactor"
    learning_rate: Positive = 1e-2
    decay: Annotated[float, Field(gt=0)] = 0.8
    eps: Annotated[float, Field(ge=1e-15)] = 1e-15
    smallest: Positive = 1e-3
    threshold: Positive = 1.0

    def build(self, parameters: dict[str, Any], roles: dict[str, str]) -> list[Any]:
        """One optimizer over all parameters."""
        from seedstock.training.optimizers.adafactor import build

        return [build(self, parameters)]
