"""The configuration of a convolutional autoencoder of pictures, with a codebook or with Gaussian latents between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.models.configs.convolutions import ConvolutionsConfig, Layer
from seedstock.models.configs.transformer import Positive

if TYPE_CHECKING:
    from seedstock.models.autoencoder import AutoencoderNetwork


class AutoencoderConfig(ConvolutionsConfig):
    """Residual convolutions that halve a picture of ``image`` pixels once for each of ``widths`` but the first, and
    others that double it again (Esser et al. 2021; Rombach et al. 2022), ``blocks`` of them at each size.

    ``vq``: what lies between is rounded to the nearest of ``codes`` vectors of ``latent`` numbers (van den Oord et al.
    2017). ``kl``: it is a mean and a log-variance for each of ``latent`` numbers (Kingma and Welling 2014). Every place
    of the smallest size is a position: ``context`` of them. ``groups`` are those of group norm (Wu and He 2018);
    ``attention`` is of one head over all places, in the middle of both halves; of the ``attended`` smallest sizes it
    follows every block as well.
    """

    kind: Literal["autoencoder"] = "autoencoder"
    shape: Literal["vq", "kl"] = "vq"
    image: Annotated[int, Field(gt=0, description="pixels a side")] = 32
    channels: Literal[1, 3] = 3
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (64, 128, 128)
    blocks: Positive = 1
    latent: Positive = 4
    codes: Annotated[Count, Field(gt=1, le=65_536, description="of vq")] = 256
    groups: Positive = 32
    attention: bool = True
    attended: Annotated[int, Field(ge=0)] = 0
    context: Count = Field(default=0, description="places, which follow from image and widths")

    export_class: ClassVar[None] = None

    @model_validator(mode="before")
    @classmethod
    def _places(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        image, widths = (values.get(name, cls.model_fields[name].default) for name in ("image", "widths"))
        if not (isinstance(image, int) and isinstance(widths, list | tuple) and widths):
            return values  # which the fields refuse
        factor = 2 ** (len(widths) - 1)
        if image % factor:
            raise ValueError(
                f"{len(widths)} widths halve a picture {len(widths) - 1} times, which {image} does not bear"
            )
        context = (image // factor) ** 2
        if values.get("context") not in (None, 0, context):
            raise ValueError(f"the context follows from image and widths: {context}; leave it out")
        return {**values, "context": context}

    @model_validator(mode="after")
    def _groups(self) -> AutoencoderConfig:
        odd = [width for width in self.widths if width % self.groups]
        if odd:
            raise ValueError(f"widths {odd} are no multiples of groups ({self.groups})")
        return self

    @property
    def factor(self) -> int:
        """Pixels a side that one place stands for."""
        return 2 ** (len(self.widths) - 1)

    @property
    def width(self) -> int:
        """Of the smallest size."""
        return self.widths[-1]

    @property
    def found(self) -> int:
        """Numbers that the encoder gives for each place."""
        return self.latent * (2 if self.shape == "kl" else 1)

    def walk(self) -> Iterator[Layer]:
        """Every layer, in the order of a pass."""
        side, last = self.image, self.widths[-1]
        yield Layer("convolution", self.channels, self.widths[0], 9, side**2)
        inputs = self.widths[0]
        for number, width in enumerate(self.widths):
            for _ in range(self.blocks):
                yield from _block(inputs, width, side)
                yield from _attention(width, side) if self.attends(number, encoder=True) else ()
                inputs = width
            if number < len(self.widths) - 1:
                side //= 2
                yield Layer("convolution", width, width, 9, side**2)
        yield from self._middle(side)
        yield from _end(last, self.found, side)
        yield Layer("convolution", self.found, self.found, 1, side**2)
        yield Layer("convolution", self.latent, self.latent, 1, side**2)
        yield Layer("convolution", self.latent, last, 9, side**2)
        yield from self._middle(side)
        for number, width in enumerate(reversed(self.widths)):
            for _ in range(self.blocks + 1):
                yield from _block(last, width, side)
                yield from _attention(width, side) if self.attends(number, encoder=False) else ()
                last = width
            if number < len(self.widths) - 1:
                side *= 2
                yield Layer("convolution", width, width, 9, side**2)
        yield from _end(last, self.channels, side)

    def _middle(self, side: int) -> Iterator[Layer]:
        width = self.widths[-1]
        yield from _block(width, width, side)
        yield from _attention(width, side) if self.attention else ()
        yield from _block(width, width, side)

    def attends(self, number: int, encoder: bool) -> bool:
        """Whether attention follows the blocks of a half's size, counted as that half passes them."""
        return (len(self.widths) - 1 - number if encoder else number) < self.attended

    def build(self, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> AutoencoderNetwork:
        """The network, its weights keyed by (seed, parameter name)."""
        from seedstock.models.autoencoder import AutoencoderNetwork

        return AutoencoderNetwork(self, vocab_size, seed, device)


def _block(inputs: int, outputs: int, side: int) -> Iterator[Layer]:
    yield Layer("norm", inputs, inputs, 0, side**2)
    yield Layer("convolution", inputs, outputs, 9, side**2)
    yield Layer("norm", outputs, outputs, 0, side**2)
    yield Layer("convolution", outputs, outputs, 9, side**2)
    if inputs != outputs:
        yield Layer("convolution", inputs, outputs, 1, side**2)


def _attention(width: int, side: int) -> Iterator[Layer]:
    yield Layer("norm", width, width, 0, side**2)
    for _ in range(4):
        yield Layer("attention", width, width, 1, side**2)


def _end(inputs: int, outputs: int, side: int) -> Iterator[Layer]:
    yield Layer("norm", inputs, inputs, 0, side**2)
    yield Layer("convolution", inputs, outputs, 9, side**2)
