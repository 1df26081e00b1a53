"""Matrix products of training in float8, as recipes write them. Free of torch."""

from __future__ import annotations

from typing import Literal

from seedstock.config import Config


class Float8Config(Config):
    """Hidden matrices are multiplied in float8 while training, forward and backward; all else is as without.

    ``recipe`` is torchao's: ``tensorwise`` has one scale for each operand, ``rowwise`` one for each row (powers of
    two), ``rowwise_with_gw_hp`` besides takes the gradients of weights in bf16. ``leave`` are patterns of parameters'
    names that stay in bf16. ``emulate`` rounds the operands and multiplies them in the activations' precision, which
    any device can: the numbers of float8, without its speed.
    """

    recipe: Literal["tensorwise", "rowwise", "rowwise_with_gw_hp"] = "tensorwise"
    leave: list[str] = []  # noqa: RUF012 - pydantic copies it
    emulate: bool = False
