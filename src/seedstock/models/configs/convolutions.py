"""What configurations of networks of convolutions share, and how they tell their layers to whoever counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple, Self

from seedstock.config import Config


class Layer(NamedTuple):
    """A layer for whoever counts: ``taps`` weights between each input and output, at so many ``places``. A ``norm`` has
    a gain and a bias for each input; every other layer biases for its outputs, and so many ``vectors`` besides."""

    kind: Literal["convolution", "attention", "norm"]
    inputs: int
    outputs: int
    taps: int
    places: int
    vectors: int = 0


class ConvolutionsConfig(Config):
    """A network without a size dial, whose sizes are all given and whose places follow from them."""

    size: ClassVar[None] = None
    parts: ClassVar[tuple[Any, ...]] = ()
    experts: ClassVar[int | None] = None
    dropout: ClassVar[float] = 0.0
    cross: ClassVar[bool] = False
    auxiliary: ClassVar[tuple[str, ...]] = ()
    missing: ClassVar[tuple[str, ...]] = ()

    def walk(self) -> Iterator[Layer]:
        """Every layer, in the order of a pass."""
        raise NotImplementedError

    def filled(self, *, check: bool = True) -> Self:
        """Itself: nothing is left open."""
        return self

    def resolved(self) -> Self:
        """Itself."""
        return self
