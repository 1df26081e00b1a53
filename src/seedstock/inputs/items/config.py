"""The recipe's ``input``: what an example is made of, where it is no window of tokens. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from seedstock.config import Config
from seedstock.inputs.episode_tokens import EpisodeTokensConfig
from seedstock.inputs.picture_codes import PictureCodesConfig
from seedstock.inputs.sound_codes import SoundCodesConfig


@dataclass(frozen=True)
class Field:
    """An array that every item has: ``shape`` and ``dtype`` (little-endian) are the same for all items."""

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        """Of one item."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Document:
    """A document that is cut into items: its media, its text with edits made, its meta, and the number of its label
    (-1: none that training documents have)."""

    media: bytes | None
    text: str
    language: str
    meta: dict[str, Any]
    label: int = -1


Item = dict[str, np.ndarray]


class InputConfig(Config):
    """Derive from it, set ``kind`` to a ``Literal``, and say which ``fields`` an item has and which items a document
    gives. Items are cut once, when shards are written; what is drawn anew at every look (crops, noise) is the
    objective's, keyed by the example's number."""

    kind: str
    media: ClassVar[str | None] = None
    """The beginning of the MIME type of the media that it reads; None: it reads texts alone."""
    modality: ClassVar[str] = "text"
    unit: ClassVar[str] = "items"
    """What people call its items."""
    label: str | None = None

    @property
    def tokenized(self) -> bool:
        """Whether texts become tokens: then the recipe's tokenizer is trained."""
        return False

    def fields(self) -> dict[str, Field]:
        """The arrays of an item by name. ``items`` gives all of them."""
        raise NotImplementedError

    def items(self, document: Document, tokenizer: Any = None) -> Iterator[Item]:
        """The items of a document, in order. Raises corpus.media.types.Undecodable where it cannot be read, which is
        recorded, and the document left out."""
        raise NotImplementedError


class TokensConfig(InputConfig):
    """Windows of tokens: what every objective over symbol sequences reads. With ``pictures`` or ``sounds`` those of
    documents are among them, as codes (``inputs.picture_codes``, ``inputs.sound_codes``), with ``episodes`` those, as
    bins (``inputs.episode_tokens``)."""

    unit: ClassVar[str] = "tokens"

    kind: Literal["tokens"] = "tokens"
    label: None = None
    pictures: PictureCodesConfig | None = None
    sounds: SoundCodesConfig | None = None
    episodes: EpisodeTokensConfig | None = None

    @staticmethod
    def coding() -> dict[str, Any]:
        """What media can be among the tokens: key of the recipe → configuration."""
        return {one.field: one for one in (PictureCodesConfig, SoundCodesConfig, EpisodeTokensConfig)}

    @model_validator(mode="after")
    def _one(self) -> TokensConfig:
        given = [name for name in self.coding() if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: one kind of media is read as codes")
        return self

    @property
    def coded(self) -> Any:
        """The configuration of media that are read as codes; None where none are."""
        return next((one for name in self.coding() if (one := getattr(self, name)) is not None), None)

    @property
    def tokenized(self) -> bool:
        """They do."""
        return True
