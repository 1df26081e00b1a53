"""Pictures among texts as tokens: the codes of a trained autoencoder, before or after their captions (early fusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from seedstock.config import Config, Count

BEGIN, END = "image", "image_end"


class PictureCodesConfig(Config):
    """A document with a picture becomes its caption and the codes of its picture (Chameleon Team 2024).

    ``run`` is the autoencoder, ``run:NAME`` or ``run:NAME@step``, with a codebook of ``codes``; pictures are cut as its
    own input cuts them. Each code is a special token of its own, and so are the beginning and the end of a picture.
    ``order`` says what comes first: with ``either`` half of the documents, by their ids, begin with the picture.
    """

    field: ClassVar[str] = "pictures"
    """Its key in the input and in the shards' index."""

    run: str
    codes: Annotated[Count, Field(gt=1, le=65_536)]
    order: Literal["either", "caption", "picture"] = "either"

    def specials(self) -> tuple[str, ...]:
        """The names of the special tokens, in the order of their ids."""
        return BEGIN, END, *(f"code_{number}" for number in range(self.codes))


class Coder(Protocol):
    """What turns the bytes of media into codes: int64 ``[T, …]`` each, None for one that cannot be decoded."""

    def __call__(self, media: Sequence[bytes]) -> list[np.ndarray | None]: ...

    def record(self) -> dict[str, Any]: ...


class Pictures:
    """Writes documents with pictures as tokens of a tokenizer that has the codes among its specials."""

    media: ClassVar[str] = "image/"
    """The beginning of the MIME type of what it reads."""
    missing: ClassVar[str] = "no picture"
    """Why a document is listed in ``skipped.jsonl``."""
    whole: ClassVar[bool] = True
    """Whether each is as many codes as any other."""

    def __init__(self, config: PictureCodesConfig, coder: Coder, specials: dict[str, int]) -> None:
        self.config, self.coder = config, coder
        self.ids = np.array([specials[name] for name in config.specials()], np.uint32)

    def record(self) -> dict[str, Any]:
        """What the tokens follow from."""
        return {"config": self.config.model_dump(mode="json"), "coder": self.coder.record()}

    def written(
        self, documents: Sequence[bytes], captions: Sequence[np.ndarray], media: Sequence[bytes | None]
    ) -> tuple[list[np.ndarray], list[int]]:
        """The tokens of each document, between BOS and EOS: its caption alone where it has no picture, or none that can
        be decoded; and the rows of the latter."""
        rows = [row for row, data in enumerate(media) if data is not None]
        coded = dict(zip(rows, self.coder([media[row] for row in rows]), strict=True)) if rows else {}  # type: ignore[misc]
        found, broken = [], []
        for row, (document, caption) in enumerate(zip(documents, captions, strict=True)):
            codes = coded.get(row)
            if codes is None:
                broken += [row] if row in coded else []
                found.append(caption)
                continue
            picture = self.tokens(codes)
            parts = (picture, caption) if self.first(document) else (caption, picture)
            found.append(np.concatenate(parts).astype(np.uint32))
        return found, broken

    def tokens(self, codes: np.ndarray) -> np.ndarray:
        """A picture as tokens, with its beginning and end."""
        return np.concatenate([self.ids[:1], self.ids[2:][codes], self.ids[1:2]])

    def codes(self, tokens: Sequence[int]) -> np.ndarray:
        """The way back, int64 ``[T]``, of tokens between a beginning and an end, up to the first that is no code."""
        place = {int(one): number for number, one in enumerate(self.ids[2:])}
        found = [place.get(int(token), -1) for token in tokens]
        return np.array(found[: found.index(-1)] if -1 in found else found, np.int64)

    def size(self, positions: int) -> int:
        """How many tokens lie between beginning and end for so many places of a picture, or frames of a sound."""
        return positions

    def first(self, document: bytes) -> bool:
        """Whether a document begins with its media: ids are keyed digests, so that a bit of one is a fair coin."""
        order = self.config.order
        return bool(document[-1] & 1) if order == "either" else order != "caption"
