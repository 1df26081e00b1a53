"""How rotary positions reach further than they were trained to."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seedstock.config import Config, Count


class RopeScaling(Config):
    """``linear``: positions divided by ``factor`` (Chen et al. 2023). ``ntk``: the base raised to
    base · factor^(d / (d - 2)), so that the slowest pair turns as with ``linear`` and the fastest as before (bloc97
    2023). ``yarn``: pairs that turn more than ``fast`` times within ``original`` positions stay, those that turn less
    than ``slow`` times are divided, a ramp between; and attention is sharpened (Peng et al. 2023, sections 3.2, 3.4).
    ``llama3``: the same with wavelengths instead, and without sharpening (Grattafiori et al. 2024).
    """

    kind: Literal["linear", "ntk", "yarn", "llama3"]
    factor: Annotated[float, Field(ge=1)]
    original: Annotated[Count, Field(gt=1)] | None = Field(
        default=None, description="positions that the model was trained on before; yarn and llama3 need it"
    )
    fast: Annotated[float, Field(gt=0)] | None = Field(default=None, description="turns: yarn 32, llama3 4")
    slow: Annotated[float, Field(gt=0)] = 1.0
    sharpness: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="factor on cosines and sines with yarn; 0.1 ln(factor) + 1 by default"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind in ("yarn", "llama3") and self.original is None:
            raise ValueError(f"{self.kind} needs original: the context that the model was trained with before")
        if self.kind != "yarn" and self.sharpness is not None:
            raise ValueError("sharpness belongs to yarn")
        if self.turns <= self.slow:
            raise ValueError(f"fast ({self.turns:g} turns) must be more than slow ({self.slow:g})")
        return self

    @property
    def turns(self) -> float:
        """``fast``, or what its kind has by default."""
        return self.fast or (32.0 if self.kind == "yarn" else 4.0)

    @property
    def scale(self) -> float:
        """The factor on cosines and sines."""
        if self.kind != "yarn":
            return 1.0
        return 0.1 * math.log(self.factor) + 1.0 if self.sharpness is None else self.sharpness
