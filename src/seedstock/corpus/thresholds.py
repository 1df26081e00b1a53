"""Proposes bounds by language for a policy's rules, from what a corpus measured.

A bound that was found on one language cuts off another share of the documents of the next. Here each language gets the
bound that cuts off the share which the rule's own bound cuts off in the reference language: the quantile method of
FineWeb2 (Penedo et al. 2025, arXiv:2506.20920, section 4.3). It carries a judgement over; it does not make one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.languages import normalise
from seedstock.errors import DataError

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus
    from seedstock.corpus.rules import Rule

FEWEST = 100  # documents of a language


def propose(
    corpus: Corpus, rules: tuple[Rule, ...], reference: str = "en", fewest: int = FEWEST
) -> list[dict[str, Any]]:
    """Each rule with ``below`` or ``above``, as in a recipe, with ``by_language`` filled in.

    All documents that were read count, dropped ones too. A rule keeps the bounds that it has; one that is limited to
    some languages, or cuts off nothing of the reference language, is left as it is. Raises DataError where there are
    fewer than ``fewest`` documents of the reference language.
    """
    reference = normalise(reference)
    names = {signal.rpartition("@")[0]: signal for signal in corpus.signals()}
    if "language" not in names:
        raise DataError(
            "the corpus has no signal 'language'", where=corpus.folder, fix="add it to the policy's signals"
        )
    language = np.array(_column(corpus, names["language"], "language"), object)
    kinds, counts = np.unique(language.astype(str), return_counts=True)
    enough = [str(name) for name, count in zip(kinds, counts, strict=True) if count >= fewest]
    if reference not in enough:
        raise DataError(
            f"fewer than {fewest} documents are in {reference!r}",
            where=corpus.folder,
            fix="choose another reference language, or ask for fewer documents",
        )
    found = []
    for rule in rules:
        listed = rule.model_dump(mode="json")
        name, _, column = rule.signal.partition(".")
        if rule.test in ("below", "above") and rule.language is None and name in names:
            values = np.array(_column(corpus, names[name], column), float)
            bounds = _bounds(rule, values, language, reference, enough)
            if bounds:
                listed["by_language"] = {**bounds, **(rule.by_language or {})}
        found.append(listed)
    return found


def _bounds(
    rule: Rule, values: np.ndarray, language: np.ndarray, reference: str, names: list[str]
) -> dict[str, float | None]:
    known = ~np.isnan(values)
    bound = rule.below if rule.test == "below" else rule.above
    assert bound is not None
    own = values[known & (language == reference)]
    cut = float((own < bound).mean() if rule.test == "below" else (own > bound).mean()) if len(own) else 0.0
    if not 0 < cut < 1:
        return {}
    bounds: dict[str, float | None] = {}
    for name in names:
        theirs = values[known & (language == name)]
        if name not in (reference, "und") and len(theirs):
            # A value that occurs: what is equal to the bound stays, so ties never make the share larger.
            at, method = (cut, "lower") if rule.test == "below" else (1 - cut, "higher")
            bounds[name] = float(f"{np.quantile(theirs, at, method=method):.6g}")  # type: ignore[call-overload]
    return bounds


def _column(corpus: Corpus, signal: str, column: str) -> list[Any]:
    import pyarrow.parquet as pq

    return [
        value
        for part in corpus.parts
        for value in pq.read_table(corpus.folder / "signals" / signal / part, columns=[column])[column].to_pylist()
    ]
