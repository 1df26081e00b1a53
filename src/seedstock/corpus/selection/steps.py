"""What each step keeps of a pool, and why the rest goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.corpus.selection import groups
from seedstock.corpus.selection.config import Amount, Classifier, Clusters, Curriculum, Dsir, Perplexity, Quota
from seedstock.corpus.selection.pool import Pool, by_rank, prefix


@dataclass
class Chosen:
    """``kept`` bool [rows]; ``reason`` of each other document (object [rows]); of a curriculum also ``rank`` int64
    and ``band`` int32 [rows]."""

    kept: np.ndarray
    reason: np.ndarray
    rank: np.ndarray | None = None
    band: np.ndarray | None = None


def choose(step: Any, pool: Pool) -> Chosen:
    """What a step keeps."""
    if not pool.rows:
        return _chosen(pool, np.zeros(0, bool), "")
    return CHOICES[type(step)](step, pool)


def _chosen(pool: Pool, kept: np.ndarray, reason: str) -> Chosen:
    return Chosen(kept, np.full(pool.rows, reason, object))


def _taken(amount: Amount, order: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The first of ``order`` (places in ``sizes``), as many as the amount says."""
    if amount.bytes is not None:
        return prefix(order, sizes, amount.bytes)
    wanted = amount.documents if amount.documents is not None else round((amount.share or 0) * len(order))
    return order[:wanted]


def _members(pool: Pool, by: tuple[str, ...]) -> Iterator[np.ndarray]:
    """The places of each group's documents, ascending."""
    found, codes = pool.groups(by)
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(codes, minlength=len(found)))[:-1])


def _dsir(step: Dsir, pool: Pool) -> Chosen:
    from seedstock.corpus.selection import dsir

    kept = np.zeros(pool.rows, bool)
    kept[_taken(step, dsir.order(step, pool), pool.bytes)] = True
    return _chosen(pool, kept, f"not among the {step.amount} that were drawn for their likeness to the target")


def _classifier(step: Classifier, pool: Pool) -> Chosen:
    score = pool.score(step.score)
    if step.at_least is not None:
        found = _chosen(pool, score >= step.at_least, f"{step.score} below {step.at_least:g}")
    else:
        kept = np.zeros(pool.rows, bool)
        for members in _members(pool, step.by):
            ranked = members[by_rank(score[members], pool.draws[members], descending=True)]
            kept[_taken(step, ranked, pool.bytes)] = True
        inside = f" of each {', '.join(step.by)}" if step.by else ""
        found = _chosen(pool, kept & ~np.isnan(score), f"not among the best {step.amount}{inside} by {step.score}")
    found.reason[np.isnan(score)] = f"it has no {step.score}"
    return found


def _perplexity(step: Perplexity, pool: Pool) -> Chosen:
    score = pool.score(step.score)
    found = _chosen(pool, np.zeros(pool.rows, bool), "")
    for members in _members(pool, step.by):
        valued = members[~np.isnan(score[members])]
        ranked = valued[by_rank(score[valued], pool.draws[valued])]
        wanted = round(step.share * len(ranked))
        first = {"low": 0, "middle": (len(ranked) - wanted) // 2, "high": len(ranked) - wanted}[step.keep]
        found.kept[ranked[first : first + wanted]] = True
        found.reason[ranked[:first]] = (
            f"{step.score} lower than that of the {step.keep} {step.share:.4g} of the documents"
        )
        found.reason[ranked[first + wanted :]] = (
            f"{step.score} higher than that of the {step.keep} {step.share:.4g} of the documents"
        )
    found.reason[np.isnan(score)] = f"it has no {step.score}"
    return found


def _clusters(step: Clusters, pool: Pool) -> Chosen:
    from seedstock.corpus.selection import clusters

    return _chosen(pool, clusters.kept(step, pool), "not drawn from its cluster of like documents")


def _quota(step: Quota, pool: Pool) -> Chosen:
    names, codes = pool.groups(step.by)
    named = [name for name in step.budgets if name != "*"]
    owner = groups.owners(named, names, step.by, "corpus.select: quota")
    shown = ["/".join(group) or "everything" for group in names]
    budget_of = [owner.get(group, f"* {own}") for group, own in zip(names, shown, strict=True)]
    budgets, which = np.unique(np.array(budget_of, object).astype(str), return_inverse=True)
    found = _chosen(pool, np.zeros(pool.rows, bool), "")
    order = np.lexsort((np.arange(pool.rows), pool.draws, which[codes]))
    sizes = pool.bytes if step.bytes is not None else np.ones(pool.rows, np.int64)
    bounds = np.searchsorted(which[codes][order], np.arange(len(budgets) + 1))
    for at, name in enumerate(budgets.tolist()):
        members = order[bounds[at] : bounds[at + 1]]
        budget = step.budgets.get("*" if name.startswith("* ") else name)
        found.kept[members if budget is None else prefix(members, sizes, budget)] = True
        found.reason[members] = f"the budget of {name.removeprefix('* ')} is spent"
    return found


def _curriculum(step: Curriculum, pool: Pool) -> Chosen:
    score = pool.score(step.score)
    rank, band = np.zeros(pool.rows, np.int64), np.zeros(pool.rows, np.int32)
    for members in _members(pool, step.by):
        ranked = members[by_rank(score[members], pool.draws[members], step.descending)]
        rank[ranked] = np.arange(len(ranked))
        sizes = np.maximum(pool.bytes[ranked], 1)
        middle = np.cumsum(sizes) - sizes / 2
        band[ranked] = np.minimum(middle * step.bands // max(1, int(sizes.sum())), step.bands - 1)
    kept = _chosen(pool, np.ones(pool.rows, bool), "")
    kept.rank, kept.band = rank, band
    return kept


CHOICES: dict[type, Callable[[Any, Pool], Chosen]] = {
    Dsir: _dsir,
    Classifier: _classifier,
    Perplexity: _perplexity,
    Clusters: _clusters,
    Quota: _quota,
    Curriculum: _curriculum,
}
