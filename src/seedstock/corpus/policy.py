"""The policy: which signals are found, and what they decide. Declarative, so that a threshold is moved in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from seedstock import kinds
from seedstock.config import Config
from seedstock.corpus.languages import normalise
from seedstock.corpus.rules import Rule
from seedstock.errors import nearest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.signals.base import Signal

PRESETS = Path(__file__).with_name("policies")
KEPT, DROPPED = "kept", "dropped"
LICENCE = "licence"
UNDECLARED = "no licence is declared"
NOT_SPDX = "the declared licence is not an SPDX expression"

Edit = tuple[int, int, str, str]


def _licence_name(text: str) -> str:
    from seedstock.corpus.signals import spdx

    if found := spdx.canonical(text):
        return found
    from packaging.licenses import LICENSES

    close = nearest(text.lower(), LICENSES)
    hint = f"; did you mean {LICENSES[close]['id']!r}?" if close else "; see spdx.org/licenses"
    raise ValueError(f"{text!r} is not a licence of the SPDX list{hint}")


class Licences(Config):
    """Which licences are allowed, as SPDX names (``MIT``, ``GPL-2.0-only WITH Classpath-exception-2.0``).

    An expression passes where all parts of an AND and one part of an OR are allowed. Without ``allow``, every licence
    is allowed that ``deny`` does not name. A licence on both lists is denied.
    """

    allow: tuple[Annotated[str, AfterValidator(_licence_name)], ...] | None = None
    deny: tuple[Annotated[str, AfterValidator(_licence_name)], ...] = ()
    allow_undeclared: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Licences:
        if self.allow is None and not self.deny:
            raise ValueError("licences needs allow or deny (or both): lists of SPDX names")
        return self

    def reason(self, expression: str | None, declared: str | None) -> str:
        """Why a document is dropped for its licence; empty where it is allowed."""
        from seedstock.corpus.signals import spdx

        if expression is None:
            return "" if self.allow_undeclared and not declared else NOT_SPDX if declared else UNDECLARED
        return "" if spdx.permits(self.allow, expression, self.deny) else f"the licence {expression} is not allowed"


def _known_column(rule: Rule, info: ValidationInfo) -> Rule:
    """Checks a rule against the columns of the signals that the policy lists."""
    signals = {signal.name: signal for signal in info.data.get("signals", ())}
    if "signals" not in info.data:
        return rule  # the signals have an error of their own
    columns = {f"{name}.{column}": kind for name, signal in signals.items() for column, kind in signal.types().items()}
    if rule.signal not in columns:
        close = nearest(rule.signal, columns)
        hint = f"did you mean {close!r}?" if close else _advice(rule.signal.partition(".")[0], signals)
        raise PydanticCustomError(
            "unknown_column",
            "no listed signal has the column '{column}'; {hint}",
            {"column": rule.signal, "hint": hint},
        )
    if problem := rule.problem(columns[rule.signal]):
        raise ValueError(problem)
    if (rule.language is not None or rule.by_language is not None) and "language" not in signals:
        raise ValueError("a rule for some languages needs the signal 'language'; add it to signals")
    return _named_languages(rule, signals["language"]) if "language" in signals else rule


def _named_languages(rule: Rule, identifier: Any) -> Rule:
    """The rule with its languages as the identifier spells them; one that it never says would match nothing, unseen."""
    known = set(getattr(identifier, "languages", ()))
    changed: dict[str, Any] = {}
    if rule.signal == "language.language":
        for test in ("is_", "in_", "not_in"):
            value = getattr(rule, test)
            if value is not None:
                changed[test] = normalise(value) if isinstance(value, str) else tuple(map(normalise, value))
    listed = [name for value in changed.values() for name in ([value] if isinstance(value, str) else value)]
    for name in (*listed, *(rule.language or ()), *(rule.by_language or ())):
        if known and name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close!r}?" if close else "docs/corpus/signals.md lists what it can say"
            raise ValueError(f"the signal 'language' never finds {name!r}; {hint}")
    return rule.model_copy(update=changed)


def _advice(name: str, signals: dict[str, Any]) -> str:
    if name in signals:
        return f"{name} has {', '.join(signals[name].types())}"
    known = name in kinds.names("signals")
    return f"add {name!r} to signals" if known else f"listed signals: {', '.join(signals) or 'none'}"


def _named_signal(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


if TYPE_CHECKING:
    _Signals = tuple[Signal, ...]
else:  # every kind that is installed
    _Signals = tuple[Annotated[kinds.field("signals"), BeforeValidator(_named_signal)], ...]


class Policy(Config):
    """What is found out about each document, and what follows from it.

    ``signals`` lists what is measured (``gopher``, or ``{kind: language, sample: 500}``); ``licences`` is an
    allow-list; ``rules`` drop documents, the first that matches gives the reason; ``redact`` replaces the spans that a
    signal found (``{emails: <email>}``; with ``{kind}`` the kind of each: ``{personal: "<{kind}>"}``).
    """

    signals: _Signals = ()
    licences: Licences | None = None
    rules: tuple[Annotated[Rule, AfterValidator(_known_column)], ...] = ()
    redact: dict[str, str] = Field(default_factory=dict)

    @field_validator("signals")
    @classmethod
    def _once(cls, signals: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [signal.name for signal in signals]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the signal {name!r} is listed more than once")
        return signals

    @field_validator("redact")
    @classmethod
    def _has_spans(cls, redact: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        listed = {signal.name: signal for signal in info.data.get("signals", ())}
        spans = [name for name, signal in listed.items() if "spans" in signal.types()]
        for name in redact:
            if "signals" in info.data and name not in spans:
                close = nearest(name, spans)
                hint = f"did you mean {close!r}?" if close else _advice(name, listed)
                raise ValueError(f"no listed signal {name!r} finds spans to redact; {hint}")
            if "{kind}" in redact[name] and name in listed and "kinds" not in listed[name].types():
                raise ValueError(f"{name!r} does not say of what kind a span is; leave {{kind}} out")
        return redact

    @model_validator(mode="after")
    def _has_licence(self) -> Policy:
        if self.licences and LICENCE not in [signal.name for signal in self.signals]:
            raise ValueError("an allow-list of licences needs the signal 'licence'; add it to signals")
        return self

    def decide(self, documents: pa.RecordBatch, signals: dict[str, pa.RecordBatch]) -> pa.RecordBatch:
        """The string columns ``decision`` (kept, dropped), ``step`` and ``reason``, row by row.

        ``documents`` has the columns of documents/, ``signals`` each listed signal's columns by its name. Licences are
        looked at before the rules, and the rules in their order. Step and reason are empty where a document is kept.
        """
        import numpy as np
        import pyarrow as pa

        rows = documents.num_rows
        step, reason = np.full(rows, "", object), np.full(rows, "", object)
        kept = np.ones(rows, bool)
        if self.licences:
            found = signals[LICENCE]
            pairs = zip(found.column("expression").to_pylist(), found.column("declared").to_pylist(), strict=True)
            reason[:] = self._licence_reasons(list(pairs))
            kept = reason == ""
            step[~kept] = LICENCE
        for rule in self.rules:
            name, _, column = rule.signal.partition(".")
            languages = signals["language"].column("language") if rule.by_language is not None else None
            hit = kept & rule.matches(signals[name].column(column), languages)
            hit &= _concerned(rule, documents, signals)
            step[hit], reason[hit] = rule.signal, rule.why
            kept &= ~hit
        columns = {"decision": np.where(kept, KEPT, DROPPED).astype(object), "step": step, "reason": reason}
        return pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in columns.items()})

    def _licence_reasons(self, pairs: list[tuple[str | None, str | None]]) -> list[str]:
        assert self.licences
        known = {pair: self.licences.reason(*pair) for pair in set(pairs)}
        return [known[pair] for pair in pairs]

    def edits(self, documents: pa.RecordBatch, signals: dict[str, pa.RecordBatch]) -> list[list[Edit]]:
        """For each row, what to replace: (start, end, kind, replacement), sorted and disjoint.

        Offsets are bytes of the unedited UTF-8 text. Spans that overlap become one, of the kind that starts first.
        """
        found: list[list[Edit]] = [[] for _ in range(documents.num_rows)]
        for name, replacement in self.redact.items():
            table = signals[name]
            kinds_ = table.column("kinds").to_pylist() if "{kind}" in replacement else [None] * documents.num_rows
            for row, spans in enumerate(table.column("spans").to_pylist()):
                for span, kind in zip(spans or (), kinds_[row] or [name] * len(spans or ()), strict=True):
                    found[row].append((span["start"], span["end"], name, replacement.replace("{kind}", kind)))
        return [_disjoint(row) if len(row) > 1 else row for row in found]


def _concerned(rule: Rule, documents: pa.RecordBatch, signals: dict[str, pa.RecordBatch]) -> np.ndarray:
    """The rows that a rule's conditions leave to it, bool [rows]."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = np.ones(documents.num_rows, bool)
    for wanted, column in (
        (rule.domain, lambda: documents.column("domain")),
        (rule.language, lambda: signals["language"].column("language")),
    ):
        if wanted is not None:
            values = column()
            inside = pc.is_in(values, value_set=pa.array(wanted, values.type))
            rows &= inside.to_numpy(zero_copy_only=False)
    return rows


def _disjoint(spans: list[Edit]) -> list[Edit]:
    merged: list[Edit] = []
    for start, end, kind, replacement in sorted(spans, key=lambda span: (span[0], -span[1], span[2])):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), *merged[-1][2:])
        else:
            merged.append((start, end, kind, replacement))
    return merged


def presets() -> list[str]:
    """The names of the presets: files in ``policies/``, to be used by name or copied into a recipe."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def _preset(value: Any) -> Any:
    """The content of a preset for its name; anything else as it is."""
    if not isinstance(value, str):
        return value
    if value not in presets():
        close = nearest(value, presets())
        hint = f"did you mean {close!r}?" if close else f"presets: {', '.join(presets())}"
        raise PydanticCustomError("unknown_policy", "unknown policy '{name}'; {hint}", {"name": value, "hint": hint})
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load((PRESETS / f"{value}.yaml").read_text(encoding="utf-8"))


PolicyField = Annotated[Policy, BeforeValidator(_preset, json_schema_input_type=str | Policy)]


def default_policy() -> Policy:
    """The preset ``code-and-docs``."""
    return Policy.model_validate(_preset("code-and-docs"))
