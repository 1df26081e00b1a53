"""The base of every component's configuration, and the units that people write in recipes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from seedstock.errors import nearest

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SECONDS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z%]*)\s*$")


class Config(BaseModel):
    """A component's configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _unknown_keys(cls, values: Any) -> Any:
        """Names the nearest known key, which pydantic's own message does not."""
        if isinstance(values, dict):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            for key in values:
                if key not in known:
                    close = nearest(str(key), known)
                    advice = f"did you mean {close!r}?" if close else f"known keys: {', '.join(sorted(known))}"
                    raise PydanticCustomError(
                        "unknown_key", "unknown key '{key}'; {advice}", {"key": str(key), "advice": advice}
                    )
        return values


def _split(value: str) -> tuple[float, str]:
    match = _NUMBER.match(value)
    if not match:
        raise ValueError(f"{value!r} is not a number with an optional unit")
    return float(match[1].replace("_", "")), match[2]


def _count(value: Any) -> Any:
    """``2k``, ``4M``, ``1.5B`` (decimal) or a plain integer."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value)
    if unit.lower() not in _DECIMAL:
        raise ValueError(f"{value!r} has an unknown unit; write 2k, 4M or 1.5B")
    return round(number * _DECIMAL[unit.lower()])


def _size(value: Any) -> Any:
    """``24 MB``, ``1 GiB`` or a plain number of bytes."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value)
    stem = unit.lower().removesuffix("b")
    scale = _BINARY.get(stem) or _DECIMAL.get(stem)
    if scale is None:
        raise ValueError(f"{value!r} has an unknown unit; write 24 MB or 1 GiB")
    return round(number * scale)


def _fraction(value: Any) -> Any:
    """``1 %`` or a plain number from 0 to 1."""
    if isinstance(value, str):
        number, unit = _split(value)
        if unit not in ("", "%"):
            raise ValueError(f"{value!r} is not a fraction; write 1 % or 0.01")
        value = number / 100 if unit == "%" else number
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise ValueError(f"{value} is not between 0 and 1 (0 % and 100 %)")
    return value


def _duration(value: Any) -> Any:
    """``90 s``, ``5 min``, ``2 h`` or a plain number of seconds."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value)
    if unit and unit.lower() not in _SECONDS:
        raise ValueError(f"{value!r} has an unknown unit; write 90 s, 5 min or 2 h")
    return number * _SECONDS.get(unit.lower(), 1)


Count = Annotated[int, BeforeValidator(_count, json_schema_input_type=int | str)]
Bytes = Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str)]
Fraction = Annotated[float, BeforeValidator(_fraction, json_schema_input_type=float | str)]
Seconds = Annotated[float, BeforeValidator(_duration, json_schema_input_type=float | str)]
