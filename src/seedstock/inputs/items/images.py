"""Pictures as squares of pixels, with a label or a caption where they have one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field as Given

from seedstock.inputs.items.captions import caption
from seedstock.inputs.items.config import Document, Field, InputConfig, Item

LONGEST = 8192  # pixels a side of a picture that is filled up to a square: 192 MiB


class ImagesConfig(InputConfig):
    """One item a picture: ``image`` uint8 ``[size, size, channels]``.

    ``fit`` says how a picture becomes a square: ``crop`` scales the shorter side and cuts the middle out, ``pad``
    scales the longer side and fills up with white, ``stretch`` scales each side by itself. Scaling is Pillow's, with
    antialiasing. Grey pictures have one channel (ITU-R 601 luma). Of an animation it is the first frame.

    ``label`` names the key of the meta that holds a picture's class: then items have ``label``, int32, the place of the
    value among those of the training documents, -1 for one that none of them has. With ``caption`` they have
    ``tokens``, int32 ``[caption]``: the text between BOS and EOS, cut off where it is longer, padded where shorter.
    """

    media: ClassVar[str | None] = "image/"
    modality: ClassVar[str] = "image"
    unit: ClassVar[str] = "pictures"

    kind: Literal["images"] = "images"
    size: Annotated[int, Given(ge=4, le=4096, description="pixels a side")] = 32
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "pad", "stretch"] = "crop"
    label: str | None = None
    caption: Annotated[int, Given(ge=3, description="tokens, BOS and EOS among them")] | None = None

    @property
    def tokenized(self) -> bool:
        """Captions become tokens."""
        return self.caption is not None

    def fields(self) -> dict[str, Field]:
        """``image``, and ``label`` and ``tokens`` where they are asked for."""
        found = {"image": Field("|u1", (self.size, self.size, self.channels))}
        if self.label is not None:
            found["label"] = Field("<i4")
        if self.caption is not None:
            found["tokens"] = Field("<i4", (self.caption,))
        return found

    def items(self, document: Document, tokenizer: Any = None) -> Iterator[Item]:
        """One, or none where there is no picture."""
        from seedstock.corpus.media.pictures import picture

        if document.media is None:
            return
        item = {"image": square(picture(document.media), self.size, self.fit, self.channels)}
        if self.label is not None:
            item["label"] = np.array(document.label, "<i4")
        if self.caption is not None:
            item["tokens"] = caption(document.text, tokenizer, self.caption)
        yield item


def square(pixels: np.ndarray, size: int, fit: str = "crop", channels: int = 3) -> np.ndarray:
    """uint8 ``[H, W, 3]`` → ``[size, size, channels]``; see ``ImagesConfig``."""
    from PIL import Image

    image = Image.fromarray(pixels).convert("RGB" if channels == 3 else "L")
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    elif fit == "pad" and width != height:
        if max(width, height) > LONGEST:  # a line of a few bytes would become a square of gigabytes
            image.thumbnail((LONGEST, LONGEST), Image.Resampling.BICUBIC)
            width, height = image.size
        side = max(width, height)
        whole = Image.new(image.mode, (side, side), "white")
        whole.paste(image, ((side - width) // 2, (side - height) // 2))
        image = whole
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(image, np.uint8).reshape(size, size, channels)
