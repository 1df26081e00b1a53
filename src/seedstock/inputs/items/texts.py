"""One document, one example: a text with its class, or with the text that is to be written for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field as Of

from seedstock.config import Count
from seedstock.corpus.media.types import Undecodable
from seedstock.inputs.items.captions import caption
from seedstock.inputs.items.config import Document, Field, InputConfig, Item

Length = Annotated[Count, Of(ge=3)]


class LabelledTextConfig(InputConfig):
    """A text and its class: ``tokens`` (BOS, the text, EOS, padding), ``label`` and ``cut``.

    ``label`` names what documents' meta calls the class: a column of a table, a key of a JSON line. Classes are those
    of the training documents, numbered in the order of their names; a document without one teaches nothing, and has -1.
    A text of more than ``length`` tokens is cut off at its end, and ``cut`` says so.
    """

    kind: Literal["labelled-text"] = "labelled-text"
    label: str = "label"
    length: Length = 128

    @property
    def tokenized(self) -> bool:
        """They become tokens."""
        return True

    def fields(self) -> dict[str, Field]:
        """``tokens`` ``[length]``, ``label``, ``cut`` (1 where the text was longer)."""
        return {"tokens": Field("<i4", (self.length,)), "label": Field("<i4"), "cut": Field("|u1")}

    def items(self, document: Document, tokenizer: Any = None) -> Iterator[Item]:
        """One item. Raises Undecodable for a text without a character."""
        yield {**_text(document.text, tokenizer, self.length), "label": np.array(document.label)}


class TextToTextConfig(InputConfig):
    """A text and the one to be written for it: ``tokens`` and ``target``, each BOS, text, EOS and padding.

    ``target`` names what documents' meta calls the second text (an answer, a translation, a class in words); where it
    is a class, ``label`` may name it too, and its accuracy is then counted.
    """

    kind: Literal["text-to-text"] = "text-to-text"
    target: str = "target"
    label: str | None = None
    length: Length = 128
    target_length: Length = 128

    @property
    def tokenized(self) -> bool:
        """They become tokens."""
        return True

    def fields(self) -> dict[str, Field]:
        """``tokens`` ``[length]``, ``target`` ``[target_length]``, ``label``, ``cut`` (1 where either was longer)."""
        own = {"tokens": Field("<i4", (self.length,)), "target": Field("<i4", (self.target_length,))}
        return {**own, "label": Field("<i4"), "cut": Field("|u1")}

    def items(self, document: Document, tokenizer: Any = None) -> Iterator[Item]:
        """One item. Raises Undecodable for a document without a target."""
        target = document.meta.get(self.target)
        if target is None or not str(target).strip():
            raise Undecodable(f"it has no {self.target}")
        given, asked = (
            _text(text, tokenizer, length)
            for text, length in ((document.text, self.length), (str(target), self.target_length))
        )
        cut = given["cut"] | asked["cut"]
        yield {"tokens": given["tokens"], "target": asked["tokens"], "label": np.array(document.label), "cut": cut}


def _text(text: str, tokenizer: Any, length: int) -> Item:
    if not text.strip():
        raise Undecodable("it has no text")
    tokens = caption(text, tokenizer, length)
    # A full row whose text goes on: the last token before EOS is not the text's last.
    full = tokens[-1] == tokenizer.specials["eos"]
    cut = bool(full) and len(tokenizer.encode(text)) > length - 2
    return {"tokens": tokens, "cut": np.array(cut)}
