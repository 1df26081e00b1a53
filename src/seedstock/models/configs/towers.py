"""The configuration of two networks side by side: one reads pictures, the other texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Config
from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.vision import VisionConfig

if TYPE_CHECKING:
    from seedstock.models.towers import TowersNetwork


class TowersConfig(Config):
    """``picture`` is a vision transformer, ``text`` a decoder whose head is not used.

    ``clip``: texts are read from left to right, and what stands for one is where it ends (Radford et al. 2021);
    ``siglip``: they are read from both sides, padding and all, to the last position, and a head of its own gathers a
    picture (Zhai et al. 2023).

    Sizes are written out for each: there is no dial over two networks.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"clip": {}, "siglip": {}}
    size: ClassVar[None] = None
    cross: ClassVar[bool] = False
    towers: ClassVar[tuple[str, ...]] = ("picture", "text")
    auxiliary: ClassVar[tuple[str, ...]] = ()
    export_class: ClassVar[None] = None
    missing: ClassVar[tuple[str, ...]] = ()

    kind: Literal["towers"] = "towers"
    shape: Literal["clip", "siglip"] = "clip"
    picture: VisionConfig
    text: DecoderConfig = Field(default_factory=lambda: DecoderConfig(shape="gpt2"))

    @model_validator(mode="after")
    def _known(self) -> TowersConfig:
        for name in self.towers:
            tower = getattr(self, name)
            if tower.missing:
                raise ValueError(f"the {name} tower's {', '.join(tower.missing)} are not known; write them out")
        if self.text.experts or not self.text.filled().tied_embeddings:
            raise ValueError("the text tower has no head: leave experts out, and tied_embeddings as they are")
        return self

    @property
    def parts(self) -> tuple[Any, ...]:
        """The towers' configurations, for whoever counts."""
        return tuple(getattr(self, name) for name in self.towers)

    @property
    def context(self) -> int:
        """Positions of both together."""
        return self.picture.context + self.text.context

    @property
    def width(self) -> int:
        """The picture tower's."""
        return self.picture.width  # type: ignore[return-value]

    def filled(self, *, check: bool = True) -> TowersConfig:
        """With the presets' choices of both."""
        return self.model_copy(
            update={"picture": self.picture.filled(check=check), "text": self.text.filled(check=check)}
        )

    def resolved(self) -> TowersConfig:
        """``filled()``. Raises RecipeError where a tower's sizes are missing."""
        found = self.filled()
        if any(tower.missing for tower in found.parts):
            raise RecipeError(
                "a tower's sizes are not known", where="model", fix="write width, layers and heads of both"
            )
        return found.model_copy(update={"picture": found.picture.resolved(), "text": found.text.resolved()})

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> TowersNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.towers import TowersNetwork

        return TowersNetwork(self.resolved(), vocab_size, seed, device)
