"""The configuration of span corruption, and of the mixture of denoisers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from seedstock.config import Config, Fraction
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.span_corruption import SpanCorruption

Share = Annotated[Fraction, Field(gt=0, lt=1)]


class Denoiser(Config):
    """``rate`` of the tokens are hidden in spans of ``mean_span`` tokens on average, or in one span at the end."""

    rate: Share = 0.15
    mean_span: Annotated[float, Field(ge=1)] | None = 3.0
    mode: Literal["r", "s", "x"] | None = Field(default=None, description="the mark that says which it is")


def _ul2() -> tuple[Denoiser, ...]:
    regular = [Denoiser(rate=0.15, mean_span=span, mode="r") for span in (3, 8)]
    extreme = [(0.5, 3), (0.5, 8), (0.15, 64), (0.5, 64)]
    last = Denoiser(rate=0.25, mean_span=None, mode="s")
    return (*regular, last, *(Denoiser(rate=rate, mean_span=span, mode="x") for rate, span in extreme))


class SpanCorruptionConfig(ObjectiveConfig):
    """Hidden spans, each behind a sentinel, from the text around them (Raffel et al. 2020, section 3.1.4)."""

    kind: Literal["span-corruption"] = "span-corruption"
    rate: Share = 0.15
    mean_span: Annotated[float, Field(ge=1)] = 3.0
    sentinels: Annotated[int, Field(ge=1, le=10_000)] = 100
    z_loss: Annotated[float, Field(ge=0)] = 0.0

    def mixture(self) -> tuple[Denoiser, ...]:
        """The denoisers, each as likely as the others."""
        return (Denoiser(rate=self.rate, mean_span=self.mean_span),)

    def specials(self) -> tuple[str, ...]:
        """A sentinel for each span, and a token for each mode."""
        modes = dict.fromkeys(f"mode_{denoiser.mode}" for denoiser in self.mixture() if denoiser.mode)
        return (*(f"sentinel_{number}" for number in range(self.sentinels)), *modes)

    def build(self, spec: Spec | None = None) -> SpanCorruption:
        """The objective; imports torch. Raises RecipeError for a model that reads no source, and where a window has
        more spans than there are sentinels."""
        from seedstock.objectives.span_corruption import SpanCorruption

        return SpanCorruption(self, spec)


class Ul2Config(SpanCorruptionConfig):
    """A mixture of denoisers (Tay et al. 2022, table 1): regular spans, one at the end, extreme ones."""

    kind: Literal["ul2"] = "ul2"  # type: ignore[assignment]
    denoisers: tuple[Denoiser, ...] = Field(default_factory=_ul2)

    @field_validator("denoisers")
    @classmethod
    def _some(cls, denoisers: tuple[Denoiser, ...]) -> tuple[Denoiser, ...]:
        if not denoisers:
            raise ValueError("a mixture needs a denoiser")
        return denoisers

    def mixture(self) -> tuple[Denoiser, ...]:
        """The denoisers, each as likely as the others."""
        return self.denoisers
