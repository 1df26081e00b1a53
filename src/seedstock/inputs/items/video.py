"""Clips as frames of one size at one rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field as Given

from seedstock.corpus.media.types import Undecodable
from seedstock.inputs.items.config import Document, Field, InputConfig, Item
from seedstock.inputs.items.images import square


class VideoConfig(InputConfig):
    """``clip`` uint8 ``[frames, size, size, channels]``: the frames of a clip, shown at ``rate`` a second whatever its
    own rate is, constant or not; without ``rate`` those that are stored.

    A document gives one item after another, up to ``most``; what is left at its end and shorter is left out, and a
    document that is shorter altogether is skipped, with the reason on record. ``fit``, ``channels``, ``label``: as in
    ``ImagesConfig``.
    """

    media: ClassVar[str | None] = "video/"
    modality: ClassVar[str] = "video"
    unit: ClassVar[str] = "clips"

    kind: Literal["video"] = "video"
    frames: Annotated[int, Given(ge=1, le=256)] = 16
    rate: Annotated[float, Given(gt=0, le=240, description="frames a second")] | None = None
    size: Annotated[int, Given(ge=4, le=1024, description="pixels a side")] = 32
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "pad", "stretch"] = "crop"
    most: Annotated[int, Given(ge=1, le=64, description="items of a document")] = 1
    label: str | None = None

    def fields(self) -> dict[str, Field]:
        """``clip``, and ``label`` where it is asked for."""
        found = {"clip": Field("|u1", (self.frames, self.size, self.size, self.channels))}
        return found | ({"label": Field("<i4")} if self.label is not None else {})

    def items(self, document: Document, tokenizer: object = None) -> Iterator[Item]:
        """Its clips, in order. Raises Undecodable for what is damaged or too short."""
        from seedstock.corpus.media import clips

        if document.media is None:
            return
        about = {} if self.label is None else {"label": np.array(document.label, "<i4")}
        pixels, _ = clips.frames(document.media, self.frames * self.most, rate=self.rate)
        if len(pixels) < self.frames:
            how = f" at {self.rate:g} a second" if self.rate else ""
            raise Undecodable(f"{len(pixels)} frames{how}, and {self.frames} are asked for")
        for first in range(0, len(pixels) - self.frames + 1, self.frames):
            shown = [square(one, self.size, self.fit, self.channels) for one in pixels[first : first + self.frames]]
            yield {"clip": np.stack(shown), **about}
