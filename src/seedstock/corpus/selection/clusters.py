"""Evenly from every cluster of like documents, so that no kind of content crowds out the others.

Centres that are drawn at random lie where the documents are dense, so that equal budgets for them level little. Here
they begin far from each other (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"), and as in Vo
et al. 2024 (arXiv 2405.15613, section 3) the centres are clustered once more, each counting once whatever its size.
Clusters of centres get the budgets, and documents are drawn at random inside them.
"""

from __future__ import annotations

import math

import numpy as np

from seedstock.corpus.asked_runs import RUN
from seedstock.corpus.dedup.config import Semantic
from seedstock.corpus.dedup.embedding import Vectors, embed
from seedstock.corpus.dedup.semantic import assign, centres
from seedstock.corpus.selection.apportion import apportion
from seedstock.corpus.selection.config import Clusters
from seedstock.corpus.selection.pool import Pool

SAMPLE = 1 << 14  # documents among which the first centres are looked for


def kept(step: Clusters, pool: Pool) -> np.ndarray:
    """Which documents stay, bool [rows]: exactly as many as the step says."""
    wanted = step.documents if step.documents is not None else round((step.share or 0) * pool.rows)
    label = labels(step, pool)
    sizes = np.bincount(label)
    budget = budgets(sizes, min(wanted, pool.rows), 0.0 if step.budget == "equal" else 0.5)
    order = np.lexsort((np.arange(pool.rows), pool.draws, label))
    rank = np.empty(pool.rows, np.int64)
    rank[order] = np.arange(pool.rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank < budget[label]


def labels(step: Clusters, pool: Pool) -> np.ndarray:
    """The cluster of each document, int64 [rows]."""
    everything = np.arange(pool.rows)
    fine = min(max(1, math.isqrt(pool.rows)), pool.rows)
    count = min(step.clusters or max(1, math.isqrt(fine)), pool.rows)
    like = Semantic(model=step.model, dimensions=step.dimensions)
    if (step.model or "").startswith(RUN):
        like = like.with_run(step.asked(), step.sha256 or "")
    with pool.folder() as folder, pool.reporter.bar("clustering", pool.rows, "documents") as bar:
        vectors = embed(like, pool.parts, everything, folder)
        sample = np.sort(np.argsort(pool.draws, kind="stable")[: max(SAMPLE, fine, count)])
        start = sample[spread(vectors.read(sample), max(fine, count))]
        middles = centres(vectors, everything, max(fine, count), start)
        found = assign(vectors, everything, middles)
        if len(middles) > count:
            of_centres = Vectors(folder / "centres")
            of_centres.add(middles)
            each = np.arange(len(middles))
            found = assign(of_centres, each, centres(of_centres, each, count, spread(middles, count)))[found]
        bar.advance(pool.rows)
    return found


def spread(vectors: np.ndarray, count: int) -> np.ndarray:
    """``count`` vectors, each as far (by cosine) from those before it as any is: int64; the first is vector 0."""
    lengths = np.sqrt(np.square(vectors.astype(np.float64)).sum(axis=1)).clip(min=1)
    unit = vectors / lengths[:, None]
    found = [0]
    nearest = unit @ unit[0]
    while len(found) < count:
        nearest[found[-1]] = np.inf
        found.append(int(np.argmin(nearest.round(9))))
        nearest = np.maximum(nearest, unit @ unit[found[-1]])
    return np.array(found)


def budgets(sizes: np.ndarray, total: int, power: float) -> np.ndarray:
    """How much of ``total`` each cluster gives, int64: in proportion to its size to ``power``, as far as it has it.

    What small clusters cannot give the others give; the sum is exactly ``total`` where there is as much.
    """
    room = min(total, int(sizes.sum()))
    return np.array(apportion(room, [float(size) ** power if size else 0.0 for size in sizes.tolist()], sizes.tolist()))
