"""The self-check at the start of a stage: the fastest encoder whose ids are the library's on real texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from seedstock.inputs.tokenizers.encoders import Encoder, Library
from seedstock.progress import Reporter


@dataclass(frozen=True)
class Choice:
    """Who encodes, against whom it was checked, and on how many texts and bytes; ``rejected`` says who differed."""

    encoder: str
    reference: str
    texts: int
    bytes: int
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The choice as JSON."""
        return asdict(self)


def choose(
    found: Sequence[Encoder], library: Library, texts: Sequence[str], reporter: Reporter
) -> tuple[Encoder, Choice]:
    """The first of ``found`` whose ids for ``texts`` are the library's; those that differ are named."""
    wanted = library.encode(texts)
    size = sum(len(text.encode()) for text in texts)
    rejected: list[dict[str, Any]] = []
    for encoder in found:
        differs = None if encoder is library else _differs(encoder, texts, wanted)
        if differs is None:
            return encoder, Choice(encoder.name, library.name, len(texts), size, rejected)
        rejected.append({"encoder": encoder.name, "why": differs})
        reporter.say(f"   {encoder.name} is not used: {differs}")
    return library, Choice(library.name, library.name, len(texts), size, rejected)


def _differs(encoder: Encoder, texts: Sequence[str], wanted: Sequence[np.ndarray]) -> str | None:
    """What is wrong with an encoder, or None."""
    try:
        ours = encoder.encode(texts)
    except Exception as error:  # whatever another library raises: it is not used
        return f"it failed: {type(error).__name__}: {error}"
    for number, (own, other) in enumerate(zip(ours, wanted, strict=True)):
        if not np.array_equal(own, other):
            return f"its ids differ on text {number} of {len(texts)}"
    return None
