"""The learning rate's course over a run, as recipes write it. Free of torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from seedstock.config import Config, _count, _fraction


def _span(value: Any) -> Any:
    """``2 %`` or a number below one is a share of the run; a whole number (or ``2k``) is steps."""
    if isinstance(value, str):
        value = _fraction(value) if value.rstrip().endswith("%") or value.lstrip().startswith("0.") else _count(value)
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(f"{value} is neither a share of the run (2 %, 0.02) nor a whole number of steps")
    if isinstance(value, int) and value < 0:
        raise ValueError("steps are counted from 0")
    return value


def steps_of(span: int | float, total: int) -> int:
    """A span in steps: a share of ``total``, rounded to the nearest, or the steps themselves."""
    return min(total, span if isinstance(span, int) else round(span * total))


Span = Annotated[int | float, BeforeValidator(_span, json_schema_input_type=int | float | str)]


class ScheduleConfig(Config):
    """A factor on every peak learning rate, from 0 to 1.

    ``warmup`` rises linearly; ``wsd`` then stays at the peak until the last ``decay`` of the run, and falls to
    ``final`` along ``shape`` (1-sqrt: Hägele et al. 2024, arXiv 2405.18392); ``cosine`` and ``linear`` fall from the
    end of the warm-up to ``final`` at the end of the run; ``constant`` stays. ``inverse-sqrt`` (Vaswani et al. 2017,
    section 5.3) falls as the root of the warm-up's steps over the step's number, and not below ``final``.
    ``one-cycle`` (Smith and Topin 2018, arXiv 1708.07120) rises from ``first`` to the peak over a ``warmup`` of 30 %
    and falls to ``final``, both along half a cosine; momentum stays as it is.
    """

    kind: Literal["wsd", "cosine", "linear", "constant", "inverse-sqrt", "one-cycle"] = "wsd"
    warmup: Span = 0.02
    decay: Span = 0.2
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    shape: Literal["linear", "1-sqrt"] = "linear"
    first: Annotated[float, Field(ge=0, le=1)] = 0.04

    @model_validator(mode="before")
    @classmethod
    def _half_way(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("kind") == "one-cycle":
            return {"warmup": 0.3, **values}
        return values

    @model_validator(mode="after")
    def _has_a_meaning(self) -> ScheduleConfig:
        if "first" in self.model_fields_set and self.first != 0.04 and self.kind != "one-cycle":
            raise ValueError(f"first has no meaning in a schedule of kind {self.kind}; it is where one-cycle begins")
        return self

    steps = staticmethod(steps_of)

    def mean(self, total: int) -> float:
        """The mean of the factor over ``total`` steps."""
        from seedstock.training.schedule import factor

        at = range(0, total, -(-total // 2000))
        return sum(factor(self, step, total) for step in at) / len(at)


class DecayScheduleConfig(Config):
    """A factor on every weight decay: from ``first`` at the first step to ``final`` at the end of the run.

    ``linear``, or ``cosine`` along half a cosine (Caron et al. 2021, arXiv 2104.14294, section 3.2, let it grow so);
    ``constant`` is ``first`` throughout. What is decayed also follows the learning rate, which weight decay is
    multiplied by.
    """

    kind: Literal["constant", "linear", "cosine"] = "constant"
    first: Annotated[float, Field(ge=0)] = 1.0
    final: Annotated[float, Field(ge=0)] = 1.0
