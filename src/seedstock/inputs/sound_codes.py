"""Sounds among texts as tokens: the codes of a trained codec, frame by frame and book by book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from seedstock.config import Config, Count
from seedstock.inputs.picture_codes import Pictures


class SoundCodesConfig(Config):
    """A document with a sound becomes its caption and the codes of its sound.

    ``run`` is the codec, ``run:NAME`` or ``run:NAME@step``, with codebooks of ``codes``, of which the first ``books``
    are read; sounds are cut into clips as its own input cuts them, and silence that fills clips up is left out. The
    pattern is the flattened one (Copet et al. 2023, section 2.2): of each frame the code of the first book, of the
    second, and so on, then the next frame, so that one network tells every code from all before it. Each code of each
    book is a special token of its own, and so are the beginning and the end of a sound. ``order`` is as for pictures.
    """

    field: ClassVar[str] = "sounds"

    run: str
    codes: Annotated[Count, Field(gt=1, le=65_536)]
    books: Annotated[int, Field(gt=0, le=128)]
    order: Literal["either", "caption", "sound"] = "either"

    def specials(self) -> tuple[str, ...]:
        """The names of the special tokens, in the order of their ids."""
        codes = (f"code_{book}_{number}" for book in range(self.books) for number in range(self.codes))
        return "sound", "sound_end", *codes


class Sounds(Pictures):
    """Writes documents with sounds as tokens; a coder gives int64 ``[T, books]``."""

    media: ClassVar[str] = "audio/"
    missing: ClassVar[str] = "no sound"
    whole: ClassVar[bool] = False

    config: SoundCodesConfig  # type: ignore[assignment]

    def tokens(self, codes: np.ndarray) -> np.ndarray:
        """A sound as tokens, with its beginning and end."""
        rows = np.arange(self.config.books) * self.config.codes + codes[:, : self.config.books]
        return np.concatenate([self.ids[:1], self.ids[2:][rows.ravel()], self.ids[1:2]])

    def size(self, positions: int) -> int:
        """A token for each book of each frame."""
        return positions * self.config.books

    def codes(self, tokens: Sequence[int]) -> np.ndarray:
        """The way back, int64 ``[T, books]``, of tokens between a beginning and an end: whole frames, up to the first
        token that is not of the book whose turn it is."""
        place = {int(one): number for number, one in enumerate(self.ids[2:])}
        found: list[int] = []
        for token in tokens:
            book, code = divmod(place.get(int(token), -1), self.config.codes)
            if book != len(found) % self.config.books:
                break
            found.append(code)
        whole = len(found) // self.config.books * self.config.books
        return np.array(found[:whole], np.int64).reshape(-1, self.config.books)
