"""What the configuration of every objective answers, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedstock.config import Config

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class ObjectiveConfig(Config):
    """Derive from it and set ``kind`` to a ``Literal`` of the objective's name."""

    kind: str

    def specials(self) -> tuple[str, ...]:
        """Names of special tokens that the tokenizer must have for it, in the order of their ids."""
        return ()

    def parents(self) -> tuple[str, ...]:
        """Runs (``run:NAME`` or ``run:NAME@step``) whose networks it learns from."""
        return ()

    def build(self, spec: Spec | None = None) -> Objective:
        """The objective; imports torch. ``spec`` may be left out where the objective needs nothing of it."""
        raise NotImplementedError
