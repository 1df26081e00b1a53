"""The configuration of contrastive prediction of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.hubert import SpansConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0)]


class Wav2Vec2Config(SpansConfig):
    """The code of a hidden frame is to be told from those of other hidden frames of its clip (Baevski et al. 2020).

    Codes are chosen from ``groups`` books of ``entries`` by what the convolutions find, and are ``code_width`` wide
    together; ``negatives`` others are drawn for each frame, and cosines in a space of ``width`` divided by
    ``temperature``. Choosing is softened by Gumbel noise whose temperature falls from ``softest`` to ``hardest`` over
    the first 70 % of the run. ``diversity`` weighs how unevenly a batch uses the entries.

    With ``distractors: book`` the others are ``negatives`` codes drawn from the books for each clip, whoever has them
    (``codebook_negatives`` in fairseq), so that a code is told as one of all there are, as a unit is in HuBERT. Nothing
    but ``diversity`` then keeps one entry from standing for everything: give it more weight (2).
    """

    kind: Literal["wav2vec2"] = "wav2vec2"
    start: Annotated[Fraction, Field(gt=0, le=1)] = 0.065
    groups: Positive = 2
    entries: Annotated[int, Field(gt=1)] = 320
    code_width: Positive = 256
    width: Positive = 256
    negatives: Positive = 100
    distractors: Literal["clip", "book"] = "clip"
    temperature: Scale = 0.1
    softest: Scale = 2.0
    hardest: Scale = 0.5
    diversity: Annotated[float, Field(ge=0)] = 0.1

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model reads no such sounds, or codes do not divide into groups."""
        from seedstock.objectives.wav2vec2 import Wav2Vec2

        self._check(spec)
        if self.code_width % self.groups:
            what = f"a code of {self.code_width} numbers does not divide into {self.groups} groups"
            raise RecipeError(what, where="objective.code_width", fix="take a multiple")
        return Wav2Vec2(self, spec)
