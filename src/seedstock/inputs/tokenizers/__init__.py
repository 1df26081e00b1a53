"""Tokenizers: trained on the corpus, kept in the ecosystem's ``tokenizer.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedstock.inputs.tokenizers.tokenizer import Tokenizer

__all__ = ["Tokenizer"]


def __getattr__(name: str) -> Any:
    if name == "Tokenizer":  # a recipe is checked without the library that encodes
        from seedstock.inputs.tokenizers.tokenizer import Tokenizer

        return Tokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
