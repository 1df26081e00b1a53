"""Signals that score with a model that the user trained: it is named by its path, and recorded by its digest."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from seedstock.corpus.asked_runs import RUN
from seedstock.corpus.signals.base import Signal
from seedstock.errors import IntegrityError, SeedstockError

NAME = r"^[a-z][a-z0-9_-]*$"


class Trained(Signal):
    """``model`` is a folder or file; ``sha256``, filled in when the recipe is read, tells which model it was."""

    model: str | None = None
    sha256: str | None = None
    advice: ClassVar[str] = "train one: seedstock classifier train"
    asks_runs: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _digest(cls, values: Any) -> Any:
        """The model's digest becomes part of the configuration, and so of the names of everything built with it."""
        if not isinstance(values, dict) or not isinstance(values.get("model"), str):
            return values
        if values["model"].startswith(RUN):
            if not cls.asks_runs:
                raise ValueError(f"{values['model']}: a run's model has no labels to tell; {cls.advice}")
            return values  # its digest is known where the folder of runs is
        try:
            found = digest(values["model"], cls.advice)
        except SeedstockError as error:
            raise ValueError(str(error)) from error
        recorded = values.get("sha256")
        if recorded not in (None, found):
            raise ValueError(
                f"{values['model']} has changed: its SHA-256 begins with {found[:12]}, on record is {recorded[:12]}; "
                "put the old model back, or take sha256 out of the recipe"
            )
        return {**values, "sha256": found}

    def path(self) -> Path:
        """Where the model lies. Raises IntegrityError where it is not the one that the recipe was read with."""
        assert self.model is not None
        found = digest(self.model, self.advice)
        if found != self.sha256:
            raise IntegrityError("the model has changed while it was in use", where=self.model, fix="start again")
        return located(self.model)


class Named(Trained):
    """A signal that needs a model; ``called`` is its name in rules, so that several models can be asked."""

    model: Annotated[str, Field(min_length=1)]
    called: Annotated[str, Field(pattern=NAME)] | None = None

    @property
    def name(self) -> str:
        return self.called or self.kind

    @field_validator("called")
    @classmethod
    def _not_another_s(cls, called: str | None) -> str | None:
        from seedstock import kinds

        if called in kinds.TABLE["signals"]:
            raise ValueError(f"{called!r} is the name of another signal")
        return called


def located(model: str) -> Path:
    """The path of a recipe, its environment variables filled in."""
    from seedstock.corpus.sources.files import expand

    return Path(expand(model, "model"))


def digest(model: str, advice: str = Trained.advice) -> str:
    """The SHA-256 of a model file, or of the record in its folder. Raises RecipeError where there is none."""
    from seedstock.errors import RecipeError

    path = located(model)
    file = path / "model.json" if path.is_dir() else path
    if not file.is_file():
        raise RecipeError("there is no trained model", where=model, fix=advice)
    stat = file.stat()
    return _digest_of(str(file), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_of(file: str, size: int, changed: int) -> str:
    from seedstock.ledger.ids import sha256_file

    return sha256_file(Path(file))
