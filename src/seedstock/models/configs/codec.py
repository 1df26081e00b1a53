"""The configuration of a convolutional autoencoder of sounds whose latents are rounded several times over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.models.configs.convolutions import ConvolutionsConfig, Layer
from seedstock.models.configs.transformer import Positive

if TYPE_CHECKING:
    from seedstock.models.codec import CodecNetwork


class CodecConfig(ConvolutionsConfig):
    """Convolutions that see no later sample make a frame of as many samples as ``ratios`` multiply to (``hop``), and
    others make samples of it again (Défossez et al. 2022, EnCodec): ``filters`` outputs, twice as many after each
    ratio, ``blocks`` residual blocks before each, ``recurrent`` layers of LSTM (Hochreiter and Schmidhuber 1997) where
    frames are. A frame of ``latent`` numbers is rounded to the nearest of ``codes`` vectors, what is left of it to
    those of the next of ``books`` codebooks (Zeghidour et al. 2021). Every frame of a clip is a position: ``context``
    of them.
    """

    kind: Literal["codec"] = "codec"
    shape: Literal["encodec"] = "encodec"
    samples: Count = Field(default=24_000, description="of a clip: seconds by rate of the input")
    rate: Count = Field(default=24_000, description="samples a second, as the input has them")
    filters: Positive = 32
    ratios: Annotated[tuple[Annotated[int, Field(gt=1)], ...], Field(min_length=1)] = (8, 5, 4, 2)
    blocks: Positive = 1
    recurrent: Annotated[int, Field(ge=0)] = 2
    latent: Positive = 128
    codes: Annotated[Count, Field(gt=1, le=65_536)] = 1024
    books: Annotated[int, Field(gt=0, le=128)] = 8
    taps: Annotated[int, Field(gt=0, description="of the first and the last convolutions")] = 7
    context: Count = Field(default=0, description="frames, which follow from samples and ratios")

    export_class: ClassVar[None] = None

    @model_validator(mode="before")
    @classmethod
    def _frames(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        samples, ratios = (values.get(name, cls.model_fields[name].default) for name in ("samples", "ratios"))
        try:
            samples, hop = int(samples), math.prod(int(one) for one in ratios)
        except (TypeError, ValueError):
            return values  # which the fields refuse
        if hop < 1 or samples < 1:
            return values
        if samples % hop:
            near = ", ".join(f"{one:,}" for one in (samples // hop * hop, (samples // hop + 1) * hop) if one)
            raise ValueError(f"clips of {samples:,} samples are no whole frames of {hop:,}: make them {near}")
        if values.get("context") not in (None, 0, samples // hop):
            raise ValueError(f"the context follows from samples and ratios: {samples // hop}; leave it out")
        return {**values, "context": samples // hop}

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return math.prod(self.ratios)

    @property
    def width(self) -> int:
        """Outputs of the convolutions where frames are."""
        return self.filters * 2 ** len(self.ratios)

    def walk(self) -> Iterator[Layer]:
        """Every layer, in the order of a pass."""
        width, places = self.filters, self.samples
        yield _layer(1, width, self.taps, places)
        for ratio in reversed(self.ratios):
            yield from self._blocks(width, places)
            places //= ratio
            yield _layer(width, 2 * width, 2 * ratio, places)
            width *= 2
        yield from self._recurrent(places)
        yield _layer(width, self.latent, self.taps, places)
        yield _layer(self.latent, width, self.taps, places)
        yield from self._recurrent(places)
        for ratio in self.ratios:
            # Each input spreads to its taps; a length belongs to an input.
            yield Layer("convolution", width, width // 2, 2 * ratio, places, width)
            width, places = width // 2, places * ratio
            yield from self._blocks(width, places)
        yield _layer(width, 1, self.taps, places)

    def _blocks(self, width: int, places: int) -> Iterator[Layer]:
        for _ in range(self.blocks):
            yield _layer(width, width // 2, 3, places)
            yield _layer(width // 2, width, 1, places)
            yield _layer(width, width, 1, places)

    def _recurrent(self, places: int) -> Iterator[Layer]:
        for _ in range(self.recurrent):  # four gates of what comes and of what was, with biases each
            yield Layer("convolution", 2 * self.width, 4 * self.width, 1, places, 4 * self.width)

    def build(self, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> CodecNetwork:
        """The network, its weights keyed by (seed, parameter name)."""
        from seedstock.models.codec import CodecNetwork

        return CodecNetwork(self, vocab_size, seed, device)


def _layer(inputs: int, outputs: int, taps: int, places: int) -> Layer:
    """A convolution whose weight is a length and a direction for each output."""
    return Layer("convolution", inputs, outputs, taps, places, outputs)
