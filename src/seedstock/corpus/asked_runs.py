"""Parts of a recipe whose ``model`` may be ``run:NAME`` or ``run:NAME@step``: another run's model is asked.

The corpus knows no networks. Who has the folder of runs resolves the name, and hands in a callable from a list of texts
to an array with a row for each, which can be pickled; its checkpoint's digest becomes part of the configuration.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import PrivateAttr

from seedstock.config import Config
from seedstock.errors import RecipeError

RUN = "run:"


class AsksRun(Config):
    """``sha256``, filled in where ``model`` is a run, tells which checkpoint it was."""

    sha256: str | None = None
    _asked: Any = PrivateAttr(default=None)

    def with_run(self, asked: Any, sha256: str) -> Self:
        """The same, with the callable. Raises RecipeError where ``sha256`` was given, and is another."""
        if self.sha256 not in (None, sha256):
            raise RecipeError(
                f"the checkpoint's manifest has the SHA-256 {sha256[:12]}…, on record is {self.sha256[:12]}…",
                where=str(getattr(self, "model", "")),
                fix="put the old checkpoint back, or take sha256 out of the recipe",
            )
        found = self.model_copy(update={"sha256": sha256})
        found._asked = asked
        return found

    def asked(self) -> Any:
        """The callable. Raises RecipeError where none was handed in."""
        if self._asked is None:
            raise RecipeError(
                "a run's model is handed in by whoever has the folder of runs",
                where=str(getattr(self, "model", "")),
                fix="build with `seedstock corpus`, or resolve it first: seedstock.scorers.with_runs(config, runs)",
            )
        return self._asked
