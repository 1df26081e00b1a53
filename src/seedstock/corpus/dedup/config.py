"""How duplicates are found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from seedstock.config import Config, Count, Fraction


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("a threshold of 0 would call every two documents duplicates; write 0.8 or 80 %")
    return value


class DedupConfig(Config):
    """``{kind: exact}``: equal texts. ``{kind: minhash, threshold: 0.8}``: also texts that share most word shingles.

    ``threshold`` is the Jaccard similarity of the sets of ``shingle``-word sequences from which two documents count as
    duplicates. ``permutations`` is the length of the signatures that propose pairs; every pair is then compared
    exactly.
    """

    kind: Literal["exact", "minhash"] = "minhash"
    threshold: Annotated[Fraction, AfterValidator(_above_zero)] = 0.8
    shingle: Annotated[int, Field(ge=1, le=32)] = 5
    permutations: Annotated[Count, Field(ge=16, le=1024)] = 128
