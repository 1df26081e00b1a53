"""What the configuration of every objective answers, without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from seedstock.config import Config
from seedstock.errors import RecipeError

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class ObjectiveConfig(Config):
    """Derive from it and set ``kind`` to a ``Literal`` of the objective's name."""

    second_stage: ClassVar[bool] = False
    """Whether it is a task that a base model is trained on for, and what comes of it no base model any more."""

    kind: str

    def specials(self) -> tuple[str, ...]:
        """Names of special tokens that the tokenizer must have for it, in the order of their ids."""
        return ()

    def parents(self) -> tuple[str, ...]:
        """Runs (``run:NAME`` or ``run:NAME@step``) whose networks it learns from."""
        return ()

    def scores(self) -> tuple[str, ...]:
        """What goes along with every document into the shards (``inputs.scores``): ``toxicity.score``, say."""
        return ()

    def measured(self, shards: Any, say: Callable[[str], None]) -> Self:
        """Itself, with what is measured on the training split of ``shards`` filled in, and so frozen in the recipe."""
        return self

    def networks(self) -> tuple[str, ...]:
        """Those of ``parents()`` whose networks the objective is handed."""
        return self.parents()

    def disk(self, tokens: float, vocab_size: int) -> float:
        """Bytes that it keeps on disk, beside checkpoints, for a run over ``tokens`` positions; an upper bound."""
        return 0

    def export_class(self, model: Any) -> str | None:
        """The class of ``transformers`` for a network of the configuration ``model`` that learnt this, or None."""
        return model.export_class

    def build(self, spec: Spec | None = None) -> Objective:
        """The objective; imports torch. ``spec`` may be left out where the objective needs nothing of it."""
        raise NotImplementedError

    def insist(self, spec: Spec | None) -> None:
        """For ``build`` of objectives over one sequence: raises RecipeError where the model reads another one besides,
        or where the tokenizer lacks a special token that the objective needs."""
        if spec is None:
            return
        if getattr(spec.model, "cross", False):
            what = f"the objective {self.kind} trains one sequence, and the model reads a source besides"
            raise RecipeError(what, where="model.kind", fix="choose model: {kind: encoder} or {kind: decoder}")
        missing = [name for name in self.specials() if name not in spec.specials]
        if missing:
            what = f"the tokenizer has no special token {', '.join(missing)}, which the objective {self.kind} needs"
            raise RecipeError(what, where="tokenizer", fix=f"tokenizer.specials: [{', '.join(missing)}]")
