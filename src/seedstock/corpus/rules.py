"""A policy's rules: each describes documents to drop, by one column of a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer, model_validator

from seedstock.config import Config
from seedstock.corpus.languages import normalise

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Value = bool | int | float | str
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Languages = Annotated[Names, AfterValidator(lambda names: tuple(map(normalise, names)))]
ByLanguage = Annotated[
    dict[str, float | None], AfterValidator(lambda bounds: {normalise(name): bounds[name] for name in bounds})
]
TESTS = ("below", "above", "is", "in", "not_in")


class Rule(Config):
    """``{signal: gopher.words, below: 50, reason: too few words}`` drops what it says.

    ``signal`` is NAME.COLUMN; exactly one of ``below``, ``above``, ``is``, ``in``, ``not_in`` tests it; ``domain`` and
    ``language`` (as the language signal finds it) limit the rule to some documents. ``by_language`` has other bounds of
    ``below`` or ``above`` for some languages; null means that the rule is not for that one. A column without a value
    matches no test.
    """

    signal: Annotated[str, Field(pattern=r"^[^.\s]+\.[^.\s]+$")]
    below: float | None = None
    above: float | None = None
    is_: Annotated[Value | None, Field(alias="is")] = None
    in_: Annotated[tuple[Value, ...] | None, Field(alias="in")] = None
    not_in: tuple[Value, ...] | None = None
    domain: Names | None = None
    language: Languages | None = None
    by_language: ByLanguage | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _one_test(self) -> Rule:
        given = [name for name in TESTS if self._value(name) is not None]
        if len(given) != 1:
            found = f"this one has {' and '.join(given)}" if given else "this one has none"
            raise ValueError(f"a rule has exactly one of {', '.join(TESTS)}; {found}")
        if self.by_language is not None and given[0] not in ("below", "above"):
            raise ValueError(f"by_language has bounds of below or above; this rule has {given[0]}")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        """Under the names of the recipe, where ``is`` and ``in`` are no Python names."""
        values = {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None and value != ""
        }

    def _value(self, test: str) -> Any:
        return getattr(self, f"{test}_" if test in ("is", "in") else test)

    @property
    def test(self) -> str:
        """Which of the tests the rule has."""
        return next(name for name in TESTS if self._value(name) is not None)

    @property
    def why(self) -> str:
        """The reason that a dropped document gets."""
        if self.reason:
            return self.reason
        value = self._value(self.test)
        values = value if isinstance(value, tuple) else (value,)
        shown = ", ".join(str(int(one) if isinstance(one, float) and one.is_integer() else one) for one in values)
        return f"{self.signal} {self.test.replace('_', ' ')} {shown}"

    def problem(self, column_type: str) -> str | None:
        """Why the rule cannot test a column of this type (as in ``Signal.columns``), or None."""
        if column_type in ("spans", "strings"):
            return f"{self.signal} is a list; use a column that counts"
        number = column_type.startswith(("int", "uint", "float", "double", "half"))
        if self.test in ("below", "above"):
            return None if number else f"{self.signal} is no number, so nothing is {self.test} it"
        value = self._value(self.test)
        for one in value if isinstance(value, tuple) else (value,):
            fits = isinstance(one, bool) if column_type == "bool" else isinstance(one, int | float if number else str)
            if not fits or (number and isinstance(one, bool)):
                return f"{self.signal} is of type {column_type}, which {one!r} is not"
        return None

    def matches(self, column: pa.Array, languages: pa.Array | None = None) -> np.ndarray:
        """Which rows of the column the test is true of, bool [rows]; ``by_language`` needs the rows' ``languages``."""
        if self.by_language is None:
            return self._matches(column, self._value(self.test))
        import numpy as np

        assert languages is not None
        names = np.array(languages.to_pylist(), object)
        found = self._matches(column, self._value(self.test))
        for name, bound in self.by_language.items():
            rows = names == name
            found[rows] = self._matches(column, bound)[rows] if bound is not None else False
        return found

    def _matches(self, column: pa.Array, value: Any) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        if self.test in ("in", "not_in"):
            found = pc.is_in(column, value_set=pa.array(value, kind))
            if self.test == "not_in":
                found = pc.and_(pc.invert(found), column.is_valid())
        elif self.test == "is":
            found = pc.equal(column, pa.scalar(value, kind))
        else:
            # In the column's own precision: 3 of 10 lines are not above 0.3.
            bound = pa.scalar(value, kind) if pa.types.is_floating(kind) else pa.scalar(value, pa.float64())
            found = (pc.less if self.test == "below" else pc.greater)(column, bound)
        return pc.fill_null(found, False).to_numpy(zero_copy_only=False).copy()
