"""The recipe's ``tokenizer``: byte-level BPE, bytes or characters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from seedstock.config import Bytes, Config, Count

MULTIPLE = 64  # vocabularies are padded to it: matrix kernels and splits over devices want it


class _TokenizerConfig(Config):
    reserved: Annotated[Count, Field(ge=0)] = 16
    specials: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...] = Field(
        default=(), description="names of further special tokens; those that the objective needs are added to them"
    )


class BpeConfig(_TokenizerConfig):
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909; on bytes: Radford et al. 2019).

    ``vocab_size`` counts everything: specials, ``reserved`` spare specials, 256 bytes and merges. ``sample`` is how
    much text, balanced over strata, the merges are learnt from; ``min_frequency`` how often a merged pair must occur.
    """

    kind: Literal["bpe"] = "bpe"
    vocab_size: Annotated[Count, Field(ge=320)] = 8192
    sample: Annotated[Bytes, Field(gt=0)] = 64_000_000
    min_frequency: Annotated[Count, Field(ge=1)] = 2

    @field_validator("vocab_size")
    @classmethod
    def _padded(cls, size: int) -> int:
        if size % MULTIPLE:
            below = size - size % MULTIPLE
            raise ValueError(f"{size} is not a multiple of {MULTIPLE}; write {below} or {below + MULTIPLE}")
        return size


class BytesConfig(_TokenizerConfig):
    """One token a UTF-8 byte."""

    kind: Literal["bytes"] = "bytes"


class CharactersConfig(_TokenizerConfig):
    """One token a Unicode character of the training text; any other character becomes ``<|unk|>``."""

    kind: Literal["characters"] = "characters"


TokenizerConfig = BpeConfig | BytesConfig | CharactersConfig
