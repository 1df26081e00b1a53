"""The learning rate's course over a run, as recipes write it. Free of torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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


Span = Annotated[int | float, BeforeValidator(_span, json_schema_input_type=int | float | str)]


class ScheduleConfig(Config):
    """A factor on every peak learning rate, from 0 to 1.

    ``warmup`` rises linearly; ``wsd`` then stays at the peak until the last ``decay`` of the run, and falls to
    ``final`` along ``shape`` (1-sqrt: Hägele et al. 2024, arXiv 2405.18392); ``cosine`` and ``linear`` fall from the
    end of the warm-up to ``final`` at the end of the run; ``constant`` stays.
    """

    kind: Literal["wsd", "cosine", "linear", "constant"] = "wsd"
    warmup: Span = 0.02
    decay: Span = 0.2
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    shape: Literal["linear", "1-sqrt"] = "linear"

    @staticmethod
    def steps(span: int | float, total: int) -> int:
        """A span in steps: a share of ``total``, rounded to the nearest, or the steps themselves."""
        return min(total, span if isinstance(span, int) else round(span * total))
