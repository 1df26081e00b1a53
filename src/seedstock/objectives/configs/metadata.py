"""The configuration of metadata conditioning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.causal import CausalConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.metadata import Metadata


class MetadataConfig(CausalConfig):
    """Next tokens behind a line that says where the document is from (MeCo: Gao et al. 2025, arXiv 2501.01956).

    ``field`` of the document goes before it, and before what a window holds of a document that began earlier; no loss
    is taken on it. The last ``cooldown`` of the run's examples go without, so that the network can be used without.
    """

    kind: Literal["metadata"] = "metadata"  # type: ignore[assignment]
    field: Literal["host", "site", "source", "domain", "language", "licence"] = "host"
    cooldown: Annotated[Fraction, Field(lt=1)] = 0.1
    room: Annotated[int, Field(ge=2, le=512, description="tokens that the longest such line may have")] = 24

    def scores(self) -> tuple[str, ...]:
        """The field, as a number."""
        return (f"document.{self.field}",)

    def build(self, spec: Spec | None = None) -> Metadata:
        """The objective; imports torch.

        Raises RecipeError where the run's length is not known, and where the context has no room for the line.
        """
        from seedstock.objectives.metadata import Metadata

        self.insist(spec)
        if spec is not None and self.cooldown and not spec.examples:
            what = "the cool-down needs a run of known length"
            raise RecipeError(what, where="objective.cooldown", fix="set training.steps or training.tokens")
        if spec is not None and self.room * 2 > spec.context:
            what = f"a line of up to {self.room} tokens takes more than half of the context of {spec.context}"
            raise RecipeError(what, where="objective.room", fix="lower it, or raise model.context")
        return Metadata(self, spec)
